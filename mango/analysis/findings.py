"""What a search found, as plain data: what the figures draw and the report tells."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mango.errors import InputError

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
    """

    shown: Sequence[Shown] = ()
    kind: str = "natural stimuli"
    maximum: float | None = None
    p999: float | None = None
    source: str = ""


@dataclass(frozen=True, eq=False)
class Findings:
    """One finished search.

    Attributes:
        unit: what was searched for, such as ``"snn-cifar10:lif2/17@rate"``.
        quantity: what a value is, such as ``"spikes per step"``.
        repeats: presentations of each trial.
        values: ``(n,)`` responses in the order of the trials; NaN where a trial was lost or failed.
        found: the best distinct stimuli found, best first; empty where no response was found.
        steps: the trial numbers at which the best so far improved, first to last.
        stimuli: what was best from each of these on; as many as ``steps``.
        nature: what it is compared with.
    """

    unit: str
    values: Floats
    found: Sequence[Shown] = ()
    steps: Sequence[int] = ()
    stimuli: Sequence[NDArray[Any]] = ()
    nature: Nature = field(default_factory=Nature)
    quantity: str = "response"
    repeats: int = 1

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

    Images ``(1 or 3, height, width)`` in [0, 1] are drawn as they are. Anything else is laid out row by row on a map
    that is nearly square, its smallest number dark and its largest bright.
    """
    array = np.asarray(stimulus, np.float64)
    if array.ndim == 3 and array.shape[0] in (1, 3):
        planes = np.broadcast_to(array, (3, *array.shape[1:]))
        return np.rint(np.clip(planes, 0, 1) * 255).astype(np.uint8).transpose(1, 2, 0)
    return _map(array.ravel())


def number(value: float | None) -> str:
    """A value for people: three decimals from 0.1 to 10, else three or four significant digits."""
    if value is None or math.isnan(value):
        return "\N{EN DASH}"
    size = abs(value)
    form = ",.0f" if 1e4 <= size < 1e15 else ".4g" if size >= 10 else ".3f" if size >= 0.1 else ".3g"
    return f"{value:{form}}".replace("-", "\N{MINUS SIGN}")


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
