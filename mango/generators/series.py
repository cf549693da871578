"""Time series ``(1, n)`` from codes: point by point, smoothed, or from slow cosines alone.

The parameterisations are those of Sequence Dreaming (Schlegel et al. 2024, arXiv 2408.10628) for black boxes:
exponential smoothing, and in place of a penalty on roughness a code that holds no fast frequency. Series have mean 0
and variance 1 or nearly so, as those of the UCR archive, and are cut to the range of the data.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.fft import dct, idct
from scipy.signal import lfilter

from mango import zoo
from mango.errors import InputError
from mango.space import Codes, SearchSpace

Floats = NDArray[np.float64]

RANGE = 4.0  # standard deviations; series of other data sets than the zoo's lie between minus and plus this
FOLLOW = 0.2  # a of the smoothing
REACH = 4.0  # of a coefficient, in units of its natural spread


class Kind(NamedTuple):
    """What series are like: points of one, the range of their values, and training series ``(m, length)``, if any."""

    length: int
    low: float
    high: float
    natural: Floats


class Coding(NamedTuple):
    """How codes ``(n, dim)`` of a space become series ``(n, length)`` and back; these may leave the space."""

    space: SearchSpace
    series_of: Callable[[Floats], Floats]
    codes_of: Callable[[Floats], Floats]


class SeriesGenerator:
    """Codes are those of a coding; stimuli are series ``(n, 1, length)``.

    Args:
        kind: of series.
        coding: of codes.

    Attributes:
        space: of the codes.
        stimulus_shape: ``(1, length)``.
    """

    def __init__(self, kind: Kind, coding: Coding) -> None:
        self._kind, self._coding = kind, coding
        self.space = coding.space
        self.stimulus_shape = (1, kind.length)

    def decode(self, codes: Codes) -> NDArray[np.float32]:
        """Series, cut to the range of the data."""
        series = self._coding.series_of(self.space.validate(codes))
        return np.clip(series, self._kind.low, self._kind.high).astype(np.float32)[:, None]

    def encode(self, stimuli: NDArray[np.floating]) -> Codes:
        """The codes ``(n, dim)`` whose series are near the given ones ``(n, 1, length)``.

        Raises:
            InputError: another shape.
        """
        given = np.asarray(stimuli, np.float64)
        if given.ndim != 3 or given.shape[1:] != self.stimulus_shape:
            raise InputError(f"expected series (n, 1, {self._kind.length}); got {given.shape}")
        return self.space.validate(np.clip(self._coding.codes_of(given[:, 0]), self.space.lower, self.space.upper))


class NaturalSeriesGenerator(SeriesGenerator):
    """The same, where natural series are known."""

    @property
    def natural_count(self) -> int:
        """How many natural series there are."""
        return len(self._kind.natural)

    def natural(self, n: int, rng: np.random.Generator) -> Codes:
        """Codes of ``n`` training series of the data set, drawn without replacement.

        Raises:
            InputError: more are asked than there are.
        """
        if n > self.natural_count:
            raise InputError(f"the zoo holds {self.natural_count} natural series of this kind; {n} were asked for")
        return self.encode(self._kind.natural[rng.permutation(self.natural_count)[:n], None])


def make_series(detail: str, folder: Path = zoo.FOLDER) -> SeriesGenerator:
    """From ``"identity:N"``, ``"smoothed:N"`` or ``"bandlimited:N:K"``.

    N is a number of points, or ``trace`` or ``gunpoint``: the length, range and natural series of that data set. K is
    the number of cosines.

    Raises:
        InputError: anything else.
        WeightsError: the zoo's file with the data set's series is missing, damaged, or not the one of its card.
    """
    form, _, rest = detail.partition(":")
    length, _, count = rest.partition(":")
    kind = _kind(length, folder)
    if kind is not None and form in ("identity", "smoothed") and not count:
        coding = _identity(kind) if form == "identity" else _smoothed(kind)
    elif kind is not None and form == "bandlimited" and _whole(count) and int(count) < kind.length:
        coding = _bandlimited(kind, int(count))
    else:
        raise InputError(
            "expected series:identity:N, series:smoothed:N or series:bandlimited:N:K, with N points (2 or more) or "
            f"{' or '.join(_named())} for N, and K cosines, fewer than points; got series:{detail}"
        )
    return (NaturalSeriesGenerator if len(kind.natural) else SeriesGenerator)(kind, coding)


def _identity(kind: Kind) -> Coding:
    return Coding(_points(kind), np.copy, np.copy)


def _smoothed(kind: Kind) -> Coding:
    """``s_t = a x_t + (1 - a) s_(t-1)``, ``s_0 = x_0``; codes follow a series as far as their range allows."""
    space = _points(kind)

    def series_of(codes: Floats) -> Floats:
        smoothed: Floats = lfilter([FOLLOW], [1, FOLLOW - 1], codes, axis=1, zi=(1 - FOLLOW) * codes[:, :1])[0]
        return smoothed

    def codes_of(series: Floats) -> Floats:
        codes = np.empty_like(series)
        reached = series[:, 0]
        for t in range(series.shape[1]):
            codes[:, t] = np.clip((series[:, t] - (1 - FOLLOW) * reached) / FOLLOW, kind.low, kind.high)
            reached = FOLLOW * codes[:, t] + (1 - FOLLOW) * reached
        return codes

    return Coding(space, series_of, codes_of)


def _bandlimited(kind: Kind, count: int) -> Coding:
    """The ``count`` slowest cosines (DCT-II) but the constant, each in units of its natural spread.

    Where no natural series are known, the spread falls as one over the frequency, and the variances add up to 1.
    """
    if len(kind.natural):
        spread = np.sqrt(np.square(dct(kind.natural, norm="ortho")[:, 1 : count + 1]).mean(0))
        spread = np.maximum(spread, 1e-3 * spread.max())  # a cosine that no series holds still has an axis
    else:
        spread = 1 / np.arange(1, count + 1)
        spread *= np.sqrt(kind.length / np.square(spread).sum())

    def series_of(codes: Floats) -> Floats:
        coefficients = np.zeros((len(codes), kind.length))
        coefficients[:, 1 : count + 1] = codes * spread
        series: Floats = idct(coefficients, norm="ortho")
        return series

    def codes_of(series: Floats) -> Floats:
        codes: Floats = dct(series, norm="ortho")[:, 1 : count + 1] / spread
        return codes

    return Coding(SearchSpace.box(count, -REACH, REACH, prior="normal"), series_of, codes_of)


def _points(kind: Kind) -> SearchSpace:
    """An axis for each point, one beside the other."""
    return replace(SearchSpace.box(kind.length, kind.low, kind.high), layout=(1, kind.length))


def _kind(length: str, folder: Path) -> Kind | None:
    """What N says; None where it says nothing."""
    if length in _named():
        natural = zoo.nature(f"series-{length}", folder)["natural_series"].astype(np.float64)
        return Kind(natural.shape[1], float(natural.min()), float(natural.max()), natural)
    if _whole(length) and int(length) > 1:
        return Kind(int(length), -RANGE, RANGE, np.empty((0, int(length))))
    return None


def _named() -> list[str]:
    """Data sets whose classifiers are in the zoo."""
    return [name.removeprefix("series-") for name in zoo.TABLE if name.startswith("series-")]


def _whole(text: str) -> bool:
    return text.isascii() and text.isdecimal() and int(text) > 0
