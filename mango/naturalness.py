"""How natural codes are, told from their log prior: percentile, naturalness, and a penalty outside the natural band.

The log prior alone does not serve: likelihood models favour what is simple (Serra et al. 2020, arXiv 1909.11480), and a
uniform field is often likelier than every natural image. Therefore both tails count as unnatural.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mango.errors import InputError, OptionError

Floats = NDArray[np.float64]

BAND = (0.05, 0.95)  # shares of natural codes with a lower log prior, at the two ends of the natural band


def log_prior_quantiles(generator: Any, natural: ArrayLike | None) -> Floats | None:
    """Ascending quantiles ``(q,)`` of the log prior of natural codes, in nats, at equally spaced shares from 0 to 1.

    Args:
        generator: whose own ``log_prior_quantiles`` (among test codes) are taken where it has them.
        natural: codes ``(q, dim)``, whose log priors serve otherwise.

    Returns:
        None where the generator has no ``log_prior``, or neither quantiles nor natural codes are there.

    Raises:
        InputError: the generator's quantiles are not ascending numbers, or its log priors are not finite.
    """
    if not hasattr(generator, "log_prior"):
        return None
    own = getattr(generator, "log_prior_quantiles", None)
    if own is None and natural is None:
        return None
    given = (
        np.sort(np.asarray(generator.log_prior(natural), np.float64)) if own is None else np.asarray(own, np.float64)
    )
    if given.ndim != 1 or len(given) < 2 or not np.isfinite(given).all() or (np.diff(given) < 0).any():
        what = "log_prior_quantiles" if own is not None else "log priors of natural codes"
        raise InputError(f"expected the {what} as two or more finite numbers (q,), ascending; got {given!r}")
    return given


def natural_band(quantiles: Floats) -> tuple[float, float]:
    """Lower and upper end, in nats, of what 90 % of natural codes have: the 5 % and 95 % quantiles.

    Raises:
        OptionError: the two are equal, so that no distance can be measured in widths of the band.
    """
    low, high = np.interp(BAND, np.linspace(0, 1, len(quantiles)), quantiles).tolist()
    if not low < high:
        raise OptionError(
            f"naturalness needs natural codes of different log priors; their 5 % and 95 % quantiles are both {low:g}"
        )
    return low, high


def penalty(log_prior: Floats, band: tuple[float, float]) -> Floats:
    """0 inside the band, outside minus the distance from it in widths of the band; it keeps its slope far outside.

    Args:
        log_prior: ``(n,)`` in nats.
        band: see `natural_band`.
    """
    low, high = band
    outside: Floats = np.maximum(np.maximum(low - log_prior, log_prior - high), 0) / (high - low)
    return 0.0 - outside  # no minus zero


def percentile(log_prior: Floats, quantiles: Floats) -> Floats:
    """Percent ``(n,)`` of natural codes that are less likely, equal ones counted half; 50 is typical.

    Args:
        log_prior: ``(n,)`` in nats.
        quantiles: see `log_prior_quantiles`; interpolated linearly.
    """
    at, first, count = np.unique(quantiles, return_index=True, return_counts=True)
    ranks = 100 * np.stack([first, first + count - 1], axis=1) / (len(quantiles) - 1)  # of equal ones, first and last
    between = np.interp(log_prior, np.repeat(at, 2), ranks.ravel(), left=0, right=100)
    place = np.searchsorted(at, log_prior).clip(max=len(at) - 1)  # of the next quantile, where there is one
    between = np.where(log_prior > at[place], between, np.minimum(between, ranks[place, 0]))  # against rounding
    found: Floats = np.where(at[place] == log_prior, ranks.mean(1)[place], between)
    return found


def naturalness(percentiles: ArrayLike) -> Floats:
    """Two-sided, in percent: ``100 (1 - |2 p / 100 - 1|)`` of a percentile ``p`` of the log prior.

    It is 100 where half of the natural codes are likelier, 10 at the ends of the natural band, and 0 beyond them all.
    """
    return 100 * (1 - np.abs(2 * np.asarray(percentiles, np.float64) / 100 - 1))
