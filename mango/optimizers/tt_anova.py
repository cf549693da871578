"""An additive model of the answers, f(x) = sum_k f_k(x_k): the first order of the ANOVA decomposition, by ridge.

Fitted in the dual (Saunders, Gammerman and Vovk 1998), so that the cost is that of the answers, a bounded number, and
hardly of the axes. Ordered axes have a slope each; axes of labels a number for each label. The answers enter by rank,
as the utilities ln(n + 1/2) - ln(rank) of CMA-ES (Hansen 2016, eq. 49), so that the scale of a target does not matter
and keys order equal values.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from mango.optimizers.axes import Digits
from mango.optimizers.base import Floats
from mango.optimizers.generation import shared_weights
from mango.optimizers.tt_prior import Prior

RIDGE = 1.0  # times the number of axes; a sum of d unit features against unit noise


class Additive(NamedTuple):
    """Terms ``(d, n)`` f_k on the points of each axis, 0 on padding, and the share of the spread that they predict.

    ``skill`` is the root of 1 - (leave-one-out error / variance), or 0 where the model predicts nothing.
    """

    terms: Floats
    skill: float


def fit(prior: Prior, digits: Digits, values: Floats, keys: Floats) -> Additive | None:
    """Fits measured points ``(m, d)``, m at least 3; equal answers share their utilities; None where all are equal."""
    m = len(values)
    utilities = shared_weights(values, keys, np.log(m + 0.5) - np.log(np.arange(1, m + 1)))
    if utilities is None:
        return None
    utilities = (utilities - utilities.mean()) / utilities.std()
    slopes: Floats = prior.places(digits)[:, prior.linear]
    slopes -= slopes.mean(0)
    spread = (float(np.sqrt(np.square(slopes).mean())) or 1.0) if slopes.size else 1.0
    slopes /= spread
    gram = slopes @ slopes.T
    labels = np.flatnonzero(~prior.linear).tolist()
    scale = 0.0
    if len(labels):
        alike = np.zeros((m, m))
        for k in labels:
            alike += digits[:, k][:, None] == digits[:, k]
        alike -= alike.mean(0)
        alike -= alike.mean(1, keepdims=True)
        scale = len(labels) / max(float(np.trace(alike)) / m, 1e-9)
        gram += scale * alike
    inverse = np.linalg.inv(gram + RIDGE * len(prior.sizes) * np.eye(m))
    dual: Floats = inverse @ utilities
    missed = dual / np.diag(inverse)  # leave-one-out residuals
    terms: Floats = np.zeros_like(prior.density)
    terms[prior.linear] = (slopes.T @ dual)[:, None] * prior.coordinates[prior.linear] / spread
    for k in labels:
        terms[k] = scale * np.bincount(digits[:, k], dual, minlength=terms.shape[1])
    return Additive(terms, float(np.sqrt(max(0.0, 1 - np.square(missed).mean()))))
