"""What a search found, as plain data: what the figures draw and the report tells."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mango.analysis.curve import curve
from mango.errors import InputError
from mango.trial import Confirmed

Floats = NDArray[np.float64]
Pixels = NDArray[np.uint8]  # (height, width, 3)


@dataclass(frozen=True, eq=False)
class Shown:
    """One stimulus with the response to it.

    Attributes:
        stimulus: as the generator gave it; `picture` says what is drawn.
        value: the response.
        caption: where it comes from, such as ``"trial 1234"`` or ``"frog"``.
        details: more about it, column name to text, for tables.
    """

    stimulus: NDArray[Any]
    value: float
    caption: str = ""
    details: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Nature:
    """Natural stimuli shown to the same unit.

    Attributes:
        shown: the best of them, best first.
        kind: what they are, such as ``"natural images"``.
        maximum, p999: largest and 99.9th percentile of the responses; None where unknown.
        source: over what the two were taken, such as ``"10,000 test images"``.
        values, log_priors: ``(m,)`` of natural stimuli beside one another, in nats; empty where there is no log prior.
    """

    shown: Sequence[Shown] = ()
    kind: str = "natural stimuli"
    maximum: float | None = None
    p999: float | None = None
    source: str = ""
    values: Floats = field(default_factory=lambda: np.empty(0))
    log_priors: Floats = field(default_factory=lambda: np.empty(0))


@dataclass(frozen=True, eq=False)
class Plausibility:
    """How natural the trials of a search are, beside their values; see `mango.naturalness`.

    Attributes:
        percentiles: ``(n,)`` of each trial's log prior among natural codes; NaN where nothing was measured.
        values: ``(n,)`` of the trials; under noise what is expected of their codes by all that was measured, at the
            first trial of each, NaN at the others.
        best: the trial number of the best, the first that showed it.
        front: trial numbers of the Pareto front of value and naturalness, highest value first.
        shown: the stimuli of the front, as many.
        natural_values, natural_percentiles: ``(m,)`` of natural stimuli; empty where unknown.
        contrasts: RMS contrast of the best, then of the front's; empty where stimuli are no images.
        natural_contrasts: of natural stimuli; empty where there are none.
        distance: feature distance of the best; None where the space has no map of latent vectors or no natural codes.
    """

    percentiles: Floats
    values: Floats
    best: int
    front: Sequence[int]
    shown: Sequence[Shown]
    natural_values: Floats = field(default_factory=lambda: np.empty(0))
    natural_percentiles: Floats = field(default_factory=lambda: np.empty(0))
    contrasts: Floats = field(default_factory=lambda: np.empty(0))
    natural_contrasts: Floats = field(default_factory=lambda: np.empty(0))
    distance: float | None = None


@dataclass(frozen=True)
class Origin:
    """What proposed some of the trials.

    Attributes:
        name: as trials have it, such as ``"frequencies:cma"``.
        trials: how many it proposed.
        best: their highest value; NaN where none was measured.
        trial: the number of the one that had it.
    """

    name: str
    trials: int
    best: float
    trial: int


@dataclass(frozen=True, eq=False)
class Findings:
    """One finished search.

    Attributes:
        unit: what was searched for, such as ``"snn-cifar10:lif2/17@rate"``.
        quantity: what a value is, such as ``"spikes per step"``.
        repeats: presentations of each trial.
        values: ``(n,)`` responses in the order of the trials; NaN where a trial was lost or failed.
        found: the best distinct stimuli found, best first; empty where no response was found. A confirmed one leads,
            whatever luckier trials gave.
        steps: the trial numbers at which the best so far improved, first to last.
        stimuli: what was best from each of these on; as many as ``steps``.
        nature: what it is compared with.
        weight: of the penalty outside the natural band, in what the best is best by.
        plausibility: how natural the trials are; None without a log prior or where no response was found.
        noisy: whether codes were shown more than once, so that the highest trial owes some of its value to luck.
        confirmed: the final choice by fresh presentations; None where none was made.
        origins: where the trials came from, the busiest first.
    """

    unit: str
    values: Floats
    found: Sequence[Shown] = ()
    steps: Sequence[int] = ()
    stimuli: Sequence[NDArray[Any]] = ()
    nature: Nature = field(default_factory=Nature)
    quantity: str = "response"
    repeats: int = 1
    weight: float = 0.0
    plausibility: Plausibility | None = None
    noisy: bool = False
    confirmed: Confirmed | None = None
    origins: Sequence[Origin] = ()

    @property
    def best_so_far(self) -> Floats:
        """``(n,)`` value of what was best after each trial; NaN before the first."""
        best = np.full(len(self.values), np.nan)
        for step in self.steps:
            best[step:] = self.values[step]
        return best

    @property
    def criterion(self) -> str:
        """What the best is best by, in words; empty where that is the value alone."""
        return (
            f"best by value + {self.weight:g} \N{MULTIPLICATION SIGN} penalty for unnatural codes"
            if self.weight
            else ""
        )

    @property
    def effort(self) -> str:
        """How much was tried, in words."""
        trials = f"{len(self.values):,}"
        return f"{trials} evaluations" if self.repeats == 1 else f"{trials} trials of {self.repeats} presentations"

    @property
    def responded(self) -> bool:
        """Whether any value ever differed from another; else there is no winner."""
        return differing(self.values)


def differing(values: Floats) -> bool:
    """Whether the measured values are not all the same."""
    measured = values[~np.isnan(values)]
    return bool(len(measured)) and bool((measured != measured[0]).any())


def picture(stimulus: NDArray[Any]) -> Pixels:
    """A stimulus as pixels ``(height, width, 3)``.

    Images ``(1 or 3, height, width)`` in [0, 1] are drawn as they are, series ``(1, length)`` as curves. Anything else
    is laid out row by row on a map that is nearly square, its smallest number dark and its largest bright.
    """
    array = np.asarray(stimulus, np.float64)
    if array.ndim == 3 and array.shape[0] in (1, 3):
        planes = np.broadcast_to(array, (3, *array.shape[1:]))
        return np.rint(np.clip(planes, 0, 1) * 255).astype(np.uint8).transpose(1, 2, 0)
    if array.ndim == 2 and array.shape[0] == 1 and array.shape[1] > 1:
        return curve(array[0])
    return _map(array.ravel())


def number(value: float | None) -> str:
    """A value for people: three decimals from 0.1 to 10, else three or four significant digits."""
    if value is None or math.isnan(value):
        return "\N{EN DASH}"
    size = abs(value)
    form = ",.0f" if 1e4 <= size < 1e15 else ".4g" if size >= 10 else ".3f" if size >= 0.1 else ".3g"
    return f"{value:{form}}".replace("-", "\N{MINUS SIGN}")


def with_error(value: float | None, error: float | None) -> str:
    """A mean and its standard error for people; the mean alone where there is none."""
    more = "" if error is None or math.isnan(error) else f" \N{PLUS-MINUS SIGN} {number(error)}"
    return f"{number(value)}{more}"


def best_of(found: Mapping[str, Any]) -> float | None:
    """The value of the best: of the confirmed one where there is one, else of the highest trial.

    Args:
        found: of one search, as ``result.json`` says it.
    """
    confirmed: float | None = found.get("confirmed_value")
    best: float | None = found.get("best_value")
    return best if confirmed is None else confirmed


def naturalness_lines(result: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """How natural the best is: name, number and remark of whatever ``result.json`` says of it."""
    lines = []
    if result.get("naturalness") is not None:
        lines.append((
            "naturalness", f"{result['naturalness']:.1f} %",
            f"percentile of log prior {result['percentile']:.1f}, where 50 is typical",
        ))  # fmt: skip
    if result.get("rms_contrast") is not None:
        usual = result.get("natural_rms_contrast")
        remark = f"90 % of natural stimuli: {number(usual[0])} to {number(usual[1])}" if usual else "0: a uniform field"
        lines.append(("RMS contrast", number(result["rms_contrast"]), remark))
    if result.get("feature_distance") is not None:
        remark = "1: as near to natural stimuli as they are to one another"
        lines.append(("feature distance", number(result["feature_distance"]), remark))
    return lines


def _map(numbers: Floats) -> Pixels:
    from matplotlib import colormaps

    if not len(numbers):
        raise InputError("a stimulus of no numbers cannot be drawn")
    low, high = float(numbers.min()), float(numbers.max())
    width = math.ceil(math.sqrt(len(numbers)))
    height = math.ceil(len(numbers) / width)
    cells = np.full(width * height, np.nan)
    cells[: len(numbers)] = (numbers - low) / ((high - low) or 1.0)
    colours = np.asarray(colormaps["cividis"](np.nan_to_num(cells)))[:, :3]
    colours[np.isnan(cells)] = 0.5  # no number lies here
    pixels: Pixels = np.rint(colours * 255).astype(np.uint8).reshape(height, width, 3)
    return pixels
