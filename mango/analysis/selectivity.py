"""How selective units are: for stimuli, from their responses to many, and for classes, from one stimulus.

Sources: Rolls & Tovee 1995 (J. Neurophysiol. 73, 713-726), Vinje & Gallant 2000 (Science 287, 1273-1276); effective
numbers: Hill 1973 (Ecology 54, 427-432), the one of order 1.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mango.errors import InputError

Floats = NDArray[np.float64]

SUM = 1e-4  # by which probabilities may miss 1, as those of a softmax in float32 or less do


def lifetime_sparseness(responses: ArrayLike) -> Floats:
    """How few of the stimuli a unit responds to: 0 where it responds to all alike, 1 where to a single one.

    In the form of Vinje & Gallant 2000, ``S = (1 - a) / (1 - 1/n)`` with the activity fraction of Rolls & Tovee 1995,
    ``a = (sum r / n)^2 / sum(r^2 / n)``. The scale of the responses does not change it, but an offset does: spontaneous
    activity makes a unit look less sparse.

    Args:
        responses: to n >= 2 stimuli, ``(n,)`` of one unit or ``(n, units)``, as ``record`` gives them: rates or counts,
            not negative.

    Returns:
        ``()`` or ``(units,)``; NaN for a unit that never responded, of which nothing can be said.

    Raises:
        InputError: another shape; responses that are negative, NaN or infinite.
    """
    r = _numbers("responses", responses, "(n,) or (n, units)")
    n = len(r)
    if n < 2:
        raise InputError(f"lifetime sparseness needs responses to at least 2 stimuli; got {n}")
    largest = r.max(0)
    r = r / np.where(largest > 0, largest, 1)  # so that no square is too small or too large for a float
    with np.errstate(invalid="ignore"):
        a = r.mean(0) ** 2 / (r**2).mean(0)
    sparseness: Floats = np.clip((1 - a) / (1 - 1 / n), 0, 1)  # beyond by rounding alone
    return sparseness


def effective_classes(probabilities: ArrayLike) -> Floats:
    """Among how many classes a stimulus hovers, ``exp(H)`` with ``H = -sum p ln p``; lower is more selective.

    1 where one class is certain, the number of classes where all are equally likely. The entropy is in nats, so its
    exponential is to the base e: 2^H would need bits, and with nats gives too small a number.

    Args:
        probabilities: of the classes, ``(classes,)`` or ``(n, classes)``; they sum to 1.

    Returns:
        ``()`` or ``(n,)``, from 1 to the number of classes.

    Raises:
        InputError: another shape; probabilities that are negative, NaN, or do not sum to 1.
    """
    p = _numbers("probabilities", probabilities, "(classes,) or (n, classes)")
    total = p.sum(-1)
    if np.abs(total - 1).max() > SUM:
        raise InputError(
            f"probabilities sum to 1 over the classes, the last axis; got sums from {total.min():g} to "
            f"{total.max():g}: take the softmax of logits, or divide rates by their sum"
        )
    entropy = -(p * np.log(np.where(p > 0, p, 1))).sum(-1)
    effective: Floats = np.clip(np.exp(entropy), 1, p.shape[-1])  # beyond by rounding alone
    return effective


def _numbers(name: str, given: ArrayLike, shape: str) -> Floats:
    try:
        array = np.asarray(given, np.float64)
    except (TypeError, ValueError) as error:
        raise InputError(f"{name} must be numbers of shape {shape}; {error}") from error
    if array.ndim not in (1, 2) or not array.size:
        raise InputError(f"{name} must have the shape {shape}; got {array.shape}")
    if not np.isfinite(array).all():
        raise InputError(f"{name} must be finite; {int((~np.isfinite(array)).sum())} of {array.size} are not")
    if array.min() < 0:
        raise InputError(f"{name} must not be negative; got {array.min():g}")
    return array
