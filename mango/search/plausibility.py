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
from mango.optimizers.leaders import between, shrunk
from mango.pool import Pool
from mango.space import Codes, SearchSpace
from mango.trial import Confirmed, TrialRecord

CONTRASTS = 200  # natural stimuli whose contrast is taken


def judge(
    records: Sequence[TrialRecord],
    values: Floats,
    best: int,
    generator: Any,
    natural: Codes | None,
    nature: Nature,
    *,
    noisy: bool = False,
    confirmed: Confirmed | None = None,
) -> Plausibility | None:
    """None where there are no log priors, or nothing tells what natural ones are.

    Args:
        records: of every trial.
        values: ``(n,)`` of them; NaN where none was measured.
        best: the number of the best.
        generator: of the search.
        natural: codes ``(m, dim)`` that the study holds.
        nature: natural stimuli that were shown.
        noisy: whether codes were shown more than once.
        confirmed: the final choice, which has the mean of its fresh presentations.
    """
    quantiles = log_prior_quantiles(generator, natural)
    if quantiles is None or math.isnan(records[best].log_prior):
        return None
    log_priors = np.array([record.log_prior for record in records])
    percentiles = np.where(np.isnan(values), np.nan, percentile(log_priors, quantiles))
    measured = [record for record, value in zip(records, values, strict=True) if not math.isnan(value)]
    best = next(record.number for record in measured if np.array_equal(record.code, records[best].code))
    natural_values = nature.values
    if noisy:
        values, natural_values = _expected(measured, len(records), natural_values)
    if confirmed is not None:
        values[best] = confirmed.value
    front = pareto_front(values, np.where(np.isnan(values), np.nan, naturalness(percentiles)))
    codes = np.stack([records[i].code for i in [best, *front]])
    stimuli = generator.decode(codes)
    shown = [Shown(stimulus, float(values[i]), f"trial {i}") for stimulus, i in zip(stimuli[1:], front, strict=True)]
    return Plausibility(
        percentiles=percentiles,
        values=values,
        best=best,
        front=front,
        shown=shown,
        natural_values=natural_values,
        natural_percentiles=percentile(nature.log_priors, quantiles),
        contrasts=_contrasts(stimuli),
        natural_contrasts=np.empty(0) if natural is None else _contrasts(generator.decode(natural[:CONTRASTS])),
        distance=_distance(generator.space, codes[:1], natural),
    )


def told(plausibility: Plausibility | None) -> dict[str, Any]:
    """What ``result.json`` says of it; the values of the front are under noise what is expected of its codes."""
    if plausibility is None:
        return {"percentile": None, "naturalness": None, "rms_contrast": None, "natural_rms_contrast": None,
                "feature_distance": None, "front": []}  # fmt: skip
    percents = plausibility.percentiles[[plausibility.best, *plausibility.front]]
    contrasts = plausibility.contrasts.tolist() or [None] * len(percents)
    values = plausibility.values
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


def _expected(measured: Sequence[TrialRecord], n: int, natural: Floats) -> tuple[Floats, Floats]:
    """What is expected of the codes of ``n`` trials, each at the first that measured it, else NaN; and of natural ones.

    All are drawn towards the mean of their kind as far as they are not sure, see `mango.pool`.
    """
    pool, values = Pool(), np.full(n, np.nan)
    for record in measured:
        pool.add(record.number, record.code, [v for v in record.values if not math.isnan(v)], record.key)
    first, expected = pool.expected()
    values[first] = expected
    known = natural[~np.isnan(natural)]
    if len(known) and not math.isnan(pool.level):
        noise = pool.level / measured[0].repeats
        spread = between(float(known.var()), noise)
        natural = shrunk(natural, np.full(len(natural), math.sqrt(noise)), float(known.mean()), spread)
    return values, natural


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
