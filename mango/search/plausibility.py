"""How natural the trials of a search are: percentiles, the Pareto front with value, contrast and feature distance."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mango.analysis.findings import Floats, Nature, Plausibility, Shown
from mango.analysis.pareto import pareto_front
from mango.analysis.stimulus_statistics import NEAREST, feature_distance, latent_features, rms_contrast
from mango.errors import InputError
from mango.naturalness import log_prior_quantiles, naturalness, percentile
from mango.space import Codes, SearchSpace
from mango.trial import TrialRecord

CONTRASTS = 200  # natural stimuli whose contrast is taken


def judge(
    records: Sequence[TrialRecord], values: Floats, best: int, generator: Any, natural: Codes | None, nature: Nature
) -> Plausibility | None:
    """None where there are no log priors, or nothing tells what natural ones are.

    Args:
        records: of every trial.
        values: ``(n,)`` of them; NaN where none was measured.
        best: the number of the best.
        generator: of the search.
        natural: codes ``(m, dim)`` that the study holds.
        nature: natural stimuli that were shown.
    """
    quantiles = log_prior_quantiles(generator, natural)
    if quantiles is None or math.isnan(records[best].log_prior):
        return None
    log_priors = np.array([record.log_prior for record in records])
    percentiles = np.where(np.isnan(values), np.nan, percentile(log_priors, quantiles))
    front = pareto_front(values, naturalness(percentiles))
    codes = np.stack([records[i].code for i in [best, *front]])
    stimuli = generator.decode(codes)
    shown = [Shown(stimulus, float(values[i]), f"trial {i}") for stimulus, i in zip(stimuli[1:], front, strict=True)]
    return Plausibility(
        percentiles=percentiles,
        best=best,
        front=front,
        shown=shown,
        natural_values=nature.values,
        natural_percentiles=percentile(nature.log_priors, quantiles),
        contrasts=_contrasts(stimuli),
        natural_contrasts=np.empty(0) if natural is None else _contrasts(generator.decode(natural[:CONTRASTS])),
        distance=_distance(generator.space, codes[:1], natural),
    )


def told(plausibility: Plausibility | None, values: Floats) -> dict[str, Any]:
    """What ``result.json`` says of it."""
    if plausibility is None:
        return {"percentile": None, "naturalness": None, "rms_contrast": None, "natural_rms_contrast": None,
                "feature_distance": None, "front": []}  # fmt: skip
    percents = plausibility.percentiles[[plausibility.best, *plausibility.front]]
    contrasts = plausibility.contrasts.tolist() or [None] * len(percents)
    rows = [
        {"number": i, "value": values[i].item(), "percentile": p, "naturalness": n, "rms_contrast": c}
        for i, p, n, c in zip(
            [plausibility.best, *plausibility.front], percents.tolist(), naturalness(percents).tolist(), contrasts,
            strict=True,
        )
    ]  # fmt: skip
    usual = plausibility.natural_contrasts
    return {
        **{name: rows[0][name] for name in ("percentile", "naturalness", "rms_contrast")},
        "natural_rms_contrast": np.quantile(usual, [0.05, 0.95]).tolist() if len(usual) else None,
        "feature_distance": plausibility.distance,
        "front": rows[1:],
    }


def _contrasts(stimuli: NDArray[Any]) -> Floats:
    image = stimuli.ndim == 4 and stimuli.shape[1] in (1, 3)
    return rms_contrast(stimuli) if image else np.empty(0)


def _distance(space: SearchSpace, code: Codes, natural: Codes | None) -> float | None:
    """By the latent vectors of the generator's own encoder, which know nothing of the unit that was searched.

    The target's features would be biased: they are what the search drives away from nature.
    """
    layout = space.layout
    if space.embedding is None or layout is None or len(layout) != 2 or min(layout) < 2:
        return None
    if natural is None or len(natural) <= NEAREST:
        return None
    ours, theirs = (latent_features(space.embedding[c].reshape(len(c), *layout, -1)) for c in (code, natural))
    try:
        return float(feature_distance(ours, theirs)[0])
    except InputError:  # natural codes that are all the same give no unit
        return None
