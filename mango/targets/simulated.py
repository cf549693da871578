"""A simulated neuron: a target's answer as spikes, to rehearse a session the day before.

``simulated:TARGET``, or with options ``simulated:fano=1.5,drop=0.05:TARGET``: any target, whose answer sets how many
spikes are expected of a presentation. Options stand before the target, so that a range of units still ends the text,
and need no quotes in a shell.
"""

from __future__ import annotations

import inspect
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import KW_ONLY, dataclass, field, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mango.errors import InputError, OptionError, TargetError
from mango.targets import Target, make_target

STREAM = 0x5391  # of this noise, which shares its seeds with a target that has noise of its own
PACE = 1000  # presentations in which drift and walk come to what they say
WAITING = 16  # calls at a time where each waits and none depends on another
MOST = 1e9  # expected spikes of one presentation

RANGES: Mapping[str, tuple[Callable[[float], bool], str]] = {
    "spikes": (lambda x: x > 0, "a number > 0"),
    "maximum": (math.isfinite, "a number"),
    "threshold": (math.isfinite, "a number"),
    "fano": (lambda x: x >= 0, "a number >= 0"),
    "tiring": (lambda x: 0 <= x < 1, "a number from 0 to below 1"),
    "recovery": (lambda x: x > 0, "a number of presentations > 0"),
    "drift": (lambda x: x > -1, "a number > -1"),
    "walk": (lambda x: x >= 0, "a number >= 0"),
    "drop": (lambda x: 0 <= x <= 1, "a number from 0 to 1"),
    "latency": (lambda x: x >= 0, "a number of seconds >= 0"),
}


@dataclass(eq=False)
class SimulatedNeuron:
    """Answers each presentation with a spike count, drawn around what another target answers.

    Where the target answers v, ``gain * spikes * max(v - threshold, 0) / (maximum - threshold)`` spikes are expected,
    more than ``spikes`` above the maximum. Each presentation draws from its own seed alone. Without tiring, drift and
    walk the gain is 1, and stimulus and seed decide the count, in any order and in any number of processes.

    With them the gain depends on the presentations that this object has answered before: such a run repeats only in the
    same order with a new object. Each worker process holds an object, a neuron with its own past, and a resumed search
    begins with a rested one; use one process (``--workers 0``) for one neuron.

    Args:
        target: answers the stimuli. Its keys are not seen, as they are not on a rig.
        spikes: expected of the natural maximum.
        maximum: value that stands for so many; by default the ``natural_maximum`` of the target's ``summary``.
        threshold: value up to which no spike is expected, below zero for targets with negative values.
        fano: variance over mean of the counts at one gain. 1: Poisson. Above: negative binomial, the Poisson process of
            a gamma-distributed gain (Goris, Movshon and Simoncelli 2014; with theirs, of constant variance, the factor
            grows with the mean; here the variance is ``(fano - 1) / mean`` and the factor the same at every mean).
            Below: binomial, see `spike_count` for where it can be so low.
        tiring: share of the response that is lost in the long run where the natural maximum is all that is shown.
            The gain is divided by ``1 + c a``, where a follows the spikes of recent presentations (activity-driven
            adaptation as in Benda and Herz 2003), and returns when fewer come.
        recovery: time constant of a, in presentations.
        drift: share by which the gain has changed after 1,000 presentations, and again after each further 1,000; -0.3:
            30 % are lost.
        walk: standard deviation of the gain's logarithm after 1,000 presentations of a random walk.
        drop: share of the presentations that are lost, answered NaN. The neuron has fired all the same.
        latency: seconds that each presentation takes.

    Attributes:
        name: the text that makes this neuron again, where the target's name makes the target.
        presentations: answered so far, where the gain depends on them; else 0.
        batch_size: the target's; 1 where calls wait, so that their waits overlap.
        concurrency: 16 where presentations take time and do not depend on each other; else 1.

    Raises:
        OptionError: an option out of range; no maximum above the threshold.
    """

    target: Target
    _: KW_ONLY
    spikes: float = 10.0
    maximum: float | None = None
    threshold: float = 0.0
    fano: float = 1.0
    tiring: float = 0.0
    recovery: float = 10.0
    drift: float = 0.0
    walk: float = 0.0
    drop: float = 0.0
    latency: float = 0.0
    presentations: int = field(default=0, init=False)
    _tired: float = field(default=0.0, init=False)  # recent spikes, 1 where each presentation had ``spikes``
    _walked: float = field(default=0.0, init=False)  # of the gain's logarithm

    quantity = "spikes"
    stochastic = True

    def __post_init__(self) -> None:
        self._check()
        inner = str(getattr(self.target, "name", type(self.target).__name__))
        said = {option.name: getattr(self, option.name) for option in fields(self) if option.name in RANGES}
        usual = type(self).__dict__  # defaults of a dataclass
        given = ",".join(f"{name}={_text(value)}" for name, value in said.items() if value != usual[name])
        self.name = f"simulated:{given}{':' if given else ''}{inner}"
        self.stimulus_shape: tuple[int, ...] | None = getattr(self.target, "stimulus_shape", None)
        self._scale = self.spikes / (self._top(inner) - self.threshold)
        parameters = inspect.signature(self.target.respond).parameters
        self._takes_seeds = "seeds" in parameters or any(p.kind is p.VAR_KEYWORD for p in parameters.values())
        self._remembers = bool(self.tiring or self.drift or self.walk)
        self.concurrency = WAITING if self.latency and not self._remembers else 1
        size = 1 if self.concurrency > 1 else getattr(self.target, "batch_size", None)
        if size is not None:
            self.batch_size = size

    def respond(self, stimuli: NDArray[Any], seeds: NDArray[np.int64] | None = None) -> NDArray[np.float64]:
        """Spike counts ``(n,)``, NaN where the presentation is lost; the stimuli are presented in their order.

        Args:
            stimuli: ``(n, ...)``, as the target takes them.
            seeds: ``(n,)``, whole numbers >= 0, one for each presentation.

        Raises:
            InputError: no such seeds.
            TargetError: the target answered with something else than a number or NaN for each stimulus, or so large a
                one that it cannot be meant.
        """
        checked = _checked(seeds, len(stimuli))
        drives = self._drives(stimuli, checked)
        if self.latency:
            time.sleep(self.latency * len(drives))
        return np.array([self._presented(drive, seed) for drive, seed in zip(drives, checked.tolist(), strict=True)])

    @property
    def gain(self) -> float:
        """By which the expected spikes of the next presentation are multiplied."""
        divisor = 1 + self._tired * self.tiring / (1 - self.tiring) ** 2  # at rest 1; c of a steady a = 1 - tiring
        drifted = math.log1p(self.drift) * self.presentations / PACE + self._walked
        return math.exp(drifted) / divisor

    @property
    def summary(self) -> dict[str, float]:
        """Spikes expected of natural stimuli at gain 1, of what the target's own summary says of their values."""
        known = getattr(self.target, "summary", None) or {}
        return {name: self._expected(value) for name, value in known.items() if name.startswith("natural_")}

    def _drives(self, stimuli: NDArray[Any], seeds: NDArray[np.int64]) -> list[float]:
        """Spikes expected at gain 1."""
        answer = self.target.respond(stimuli, seeds=seeds) if self._takes_seeds else self.target.respond(stimuli)
        values = np.asarray(answer[0] if isinstance(answer, tuple) else answer, np.float64)
        if values.shape != (len(stimuli),):
            raise TargetError(
                f"the target of {self.name} must answer with one number for each stimulus, shape ({len(stimuli)},); "
                f"got shape {values.shape}"
            )
        return [self._expected(value) for value in values.tolist()]

    def _expected(self, value: float) -> float:
        above = value - self.threshold
        return self._scale * above if above > 0 or math.isnan(above) else 0.0

    def _presented(self, drive: float, seed: int) -> float:
        rng = np.random.default_rng((seed, STREAM))
        lost, step = rng.random() < self.drop, rng.standard_normal()  # always drawn: options do not change other noise
        expected = drive * self.gain
        if expected > MOST:
            raise TargetError(
                f"{self.name} would answer with {expected:.3g} spikes; expected at most {MOST:g}: "
                "give the option maximum as the highest value of the target that is usual"
            )
        count = math.nan if math.isnan(expected) else spike_count(expected, self.fano, rng)
        if self._remembers:
            self.presentations += 1
            self._walked += self.walk * step / math.sqrt(PACE)
            fired = 0.0 if math.isnan(count) else count / self.spikes
            self._tired += (fired - self._tired) * -math.expm1(-1 / self.recovery)
        return math.nan if lost else float(count)

    def _top(self, inner: str) -> float:
        """The value that stands for ``spikes``."""
        top, said = self.maximum, f"maximum={self.maximum}"
        if top is None:
            top = (getattr(self.target, "summary", None) or {}).get("natural_maximum")
            said = f"{inner} says no natural maximum" if top is None else f"the natural maximum of {inner} is {top:g}"
        if top is None or top <= self.threshold:
            raise OptionError(
                f"a simulated neuron needs a maximum, the value of its target for {_text(self.spikes)} spikes, above "
                f"the threshold {_text(self.threshold)}, where spikes begin; {said}: give maximum, threshold or both"
            )
        return top

    def _check(self) -> None:
        for name, (allowed, words) in RANGES.items():
            value = getattr(self, name)
            if name == "maximum" and value is None:
                continue
            number = isinstance(value, (int, float, np.number)) and not isinstance(value, bool)
            if not number or not math.isfinite(value) or not allowed(value):
                raise OptionError(f"{name} of a simulated neuron must be {words}; got {value!r}")


def make_simulated(_family: str, detail: str, **options: Any) -> SimulatedNeuron:
    """From ``"TARGET"`` or ``"NAME=VALUE,NAME=VALUE:TARGET"``, and options of `SimulatedNeuron`.

    Raises:
        InputError: no target; whatever making it raises.
        OptionError: an unknown option, one that is given twice, or one out of range.
    """
    first, _, rest = detail.partition(":")
    texts, inner = (first.split(","), rest) if "=" in first else ([], detail)
    if not inner:
        raise InputError(f"expected simulated:TARGET, such as simulated:snn-cifar10:lif2/17; got simulated:{detail}")
    given = [(name.strip(), _number(name, text)) for name, _, text in (word.partition("=") for word in texts)]
    given += options.items()
    unknown = [name for name, _ in given if name not in RANGES]
    if unknown:
        raise OptionError(f"a simulated neuron takes {', '.join(RANGES)}; got {', '.join(unknown)}")
    if len(dict(given)) < len(given):
        raise OptionError(f"an option of a simulated neuron is given once; got {', '.join(name for name, _ in given)}")
    return SimulatedNeuron(make_target(inner), **dict(given))


def spike_count(mean: float, fano: float, rng: np.random.Generator) -> int:
    """One count, a whole number of this mean and Fano factor.

    Below 1 it is a mixture of two binomial counts, of k and of k + 1 possible spikes, whose variances lie on either
    side. Where the mean is above k there is only the second, and the factor ``1 - mean / (k + 1)`` is higher than was
    asked for; for a mean below 1 that is the least that whole numbers can have.

    Args:
        mean: expected, >= 0.
        fano: variance over mean, >= 0.
        rng: from which it is drawn.
    """
    if fano == 1:
        return int(rng.poisson(mean))
    if fano > 1:
        return int(rng.poisson(rng.gamma(mean / (fano - 1), fano - 1)))
    if mean == 0:
        return 0
    possible = math.floor(mean / (1 - fano))
    share = possible * ((1 - fano) * (possible + 1) / mean - 1)  # (1 - fano) / mean = share / k + (1 - share) / (k + 1)
    if possible < mean or rng.random() >= share:
        possible += 1
    return int(rng.binomial(possible, mean / possible))


def _checked(seeds: NDArray[np.int64] | None, count: int) -> NDArray[np.int64]:
    given = np.asarray(() if seeds is None else seeds)
    if given.shape != (count,) or (count and (given.dtype.kind not in "iu" or given.min() < 0)):
        came = "none" if seeds is None else f"{given.dtype} of shape {given.shape}"
        raise InputError(f"a simulated neuron takes seeds ({count},), whole numbers >= 0, for its noise; got {came}")
    return given


def _number(name: str, text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise OptionError(f"options of a simulated neuron are given as NAME=NUMBER; got {name}={text}") from None


def _text(value: float) -> str:
    return repr(float(value)).removesuffix(".0")
