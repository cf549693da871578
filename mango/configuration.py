"""What a study is made of, checked once and kept with it: enough to make its optimizer again, anywhere."""

from __future__ import annotations

import json
import math
import platform
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.metadata import version
from typing import Any

import numpy as np

from mango.errors import InputError, OptionError, StorageError
from mango.evaluators.threads import one_thread
from mango.naturalness import log_prior_quantiles, natural_band, penalty
from mango.optimizers import Optimizer, make_optimizer
from mango.optimizers.base import Floats
from mango.space import Codes, SearchSpace

HEAVIEST = 1e50  # weight; the sum of a value and a weighted penalty stays a number that optimizers take
WITHOUT_LEADERS = 2  # batches before the first leader is shown again
SAID_OF_THE_STUDY = {"self", "name", "space", "seed", "chart", "natural", "budget"}  # `make_optimizer` takes these
SPACE_ARRAYS = ("lower", "upper", "levels", "ordered", "embedding")


@dataclass(frozen=True, kw_only=True)
class Configuration:
    """The arguments of a `mango.Study`; see there.

    Attributes:
        band: natural log priors in nats, see `mango.naturalness.natural_band`; None where the weight is 0.
        made_with: versions and processor that made the study, to explain a replay that differs.

    Raises:
        OptionError: a number out of range, or options that cannot be stored.
    """

    space: SearchSpace
    natural: Codes | None
    budget: int | None
    optimizer: str
    seed: int
    batch: int
    repeats: int
    chart: str | None
    options: Mapping[str, Any]
    weight: float
    ordered: bool
    leaders: float = 0.0
    confirm: int = 0
    band: tuple[float, float] | None = None
    made_with: Mapping[str, str] = field(default_factory=lambda: here())

    def __post_init__(self) -> None:
        for name, lowest in (("budget", 1), ("batch", 1), ("repeats", 1), ("seed", 0), ("confirm", 0)):
            value = getattr(self, name)
            if name == "budget" and value is None:
                continue
            if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < lowest:
                end = ", or None to ask until it is finished" if name == "budget" else ""
                raise OptionError(f"{name} must be a whole number >= {lowest}{end}; got {value!r}")
            object.__setattr__(self, name, int(value))
        if self.budget is None and self.confirm:
            raise OptionError(
                f"confirm keeps presentations at the end of the budget, and there is none; got {self.confirm}: give a "
                "budget, or set confirm to 0 and have leaders show the leading codes again during the search"
            )
        if self.budget is not None and self.budget < self.repeats:
            raise OptionError(
                f"a budget of {self.budget} presentations is less than one trial of {self.repeats} repeats"
            )
        for name in ("weight", "leaders"):
            if isinstance(value := getattr(self, name), np.floating):
                object.__setattr__(self, name, float(value))
        number = isinstance(self.weight, (int, float)) and not isinstance(self.weight, bool)
        if not number or not 0 <= self.weight <= HEAVIEST:
            raise OptionError(f"weight must be a finite number >= 0, at most {HEAVIEST:g}; got {self.weight!r}")
        share = isinstance(self.leaders, (int, float)) and not isinstance(self.leaders, bool)
        if not share or not 0 <= self.leaders < 1:
            raise OptionError(f"leaders must be a share of the presentations, 0 <= leaders < 1; got {self.leaders!r}")
        if 0 < self.confirm < self.repeats or (self.search_trials is not None and self.search_trials < 1):
            raise OptionError(
                f"confirm must be 0, or leave a trial of {self.repeats} presentations both to itself and to the search "
                f"in a budget of {self.budget}; got {self.confirm}"
            )
        if not isinstance(self.optimizer, str):
            raise OptionError(f"optimizer must be a name, so that a resumed study can make it; got {self.optimizer!r}")
        if self.chart is not None and not isinstance(self.chart, str):
            raise OptionError(f"chart must be a text such as 'frequencies:64'; got {self.chart!r}")
        said = sorted(SAID_OF_THE_STUDY & set(self.options))
        if said:
            raise OptionError(f"{', '.join(said)}: said of the study itself, never among the optimizer's options")
        for name, value in self.options.items():
            _check_option(name, value)

    @property
    def trials(self) -> int | None:
        """How many trials the budget of presentations allows; None without one."""
        return None if self.budget is None else self.budget // self.repeats

    @property
    def search_trials(self) -> int | None:
        """How many of them come before the final choice; None without a budget."""
        return None if self.trials is None else self.trials - self.confirm // self.repeats

    def check_leaders(self) -> None:
        """Whether the leaders of a new study ever come.

        Raises:
            OptionError: they do not.
        """
        if self.leaders and self.budget is not None and self.leading == 0:
            raise OptionError(
                f"leaders {self.leaders:g} shows no code again: of {self.budget} presentations {self.confirm} are kept "
                f"for the final choice, and the first {WITHOUT_LEADERS} batches of {self.batch} trials have none; "
                "use a larger budget or share, smaller batches, or leaders 0"
            )

    @property
    def leading(self) -> int:
        """How many of them show leading codes again, in a budget."""
        first = WITHOUT_LEADERS * self.batch
        return math.floor(self.leaders * max((self.search_trials or 0) - first, 0))

    @property
    def proposals(self) -> int | None:
        """How many of these are not kept for leaders; None without a budget."""
        return None if self.search_trials is None else self.search_trials - self.leading

    @property
    def noisy(self) -> bool:
        """Whether codes are shown more than once, so that the optimizer is told errors and pooled means."""
        return shows_again(self.repeats, self.leaders, self.confirm)

    def objective(self, values: Floats, log_priors: Floats) -> Floats:
        """What the optimizer hears and the best trial is best by: ``value + weight * penalty``, ``(n,)``.

        The penalty is 0 in the natural band and falls outside of it, see `mango.naturalness.penalty`.
        """
        return values if self.band is None else values + self.weight * penalty(log_priors, self.band)

    def make_optimizer(self) -> Optimizer:
        """A fresh optimizer, the same each time: on one thread, since the charts' components round by the number."""
        with one_thread():
            return make_optimizer(
                self.optimizer,
                self.space,
                seed=self.seed,
                chart=self.chart,
                natural=self.natural,
                budget=self.proposals,
                **self.options,
            )

    def dump(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """A JSON-able dict, and the arrays beside it."""
        kept = {name: getattr(self, name) for name in (*_NUMBERS_AND_TEXTS, *_LATER)}
        plain = {name: value for name, value in self.options.items() if not isinstance(value, np.ndarray)}
        arrays = {f"option.{name}": value for name, value in self.options.items() if name not in plain}
        arrays |= {f"space.{name}": getattr(self.space, name) for name in SPACE_ARRAYS}
        if self.natural is not None:
            arrays["natural"] = compact(self.space, self.natural)
        kept |= {"options": plain, "made_with": dict(self.made_with), "band": self.band}
        kept["space"] = {"prior": self.space.prior, "layout": self.space.layout}
        return kept, {name: array for name, array in arrays.items() if array is not None}

    @classmethod
    def load(cls, kept: Mapping[str, Any], arrays: Mapping[str, Any]) -> Configuration:
        """The inverse of `dump`.

        Raises:
            StorageError: something is missing.
        """
        try:
            axes = {name: arrays.get(f"space.{name}") for name in SPACE_ARRAYS}
            layout = kept["space"]["layout"]
            space = SearchSpace(prior=kept["space"]["prior"], layout=layout and tuple(layout), **axes)  # type: ignore[arg-type]
            options = {**kept["options"], **{k[7:]: v for k, v in arrays.items() if k.startswith("option.")}}
            natural = space.validate(arrays["natural"]) if "natural" in arrays else None
            fields = {name: kept[name] for name in _NUMBERS_AND_TEXTS}
            fields |= {name: kept[name] for name in _LATER if name in kept}
            band = tuple(kept["band"]) if fields["weight"] else None
            return cls(space=space, natural=natural, options=options, band=band, made_with=kept["made_with"], **fields)
        except (KeyError, TypeError, ValueError) as error:
            raise StorageError(f"the stored configuration cannot be read: {error!r}") from error


_NUMBERS_AND_TEXTS = ("budget", "optimizer", "seed", "batch", "repeats", "chart", "weight", "ordered")
_LATER = ("leaders", "confirm")  # which the first studies did not have


def shows_again(repeats: int, leaders: float, confirm: int) -> bool:
    """Whether a study with these options shows codes more than once."""
    return repeats > 1 or leaders > 0 or confirm > 0


def here() -> dict[str, str]:
    """Versions and processor of this process, which may decide the last bit of a proposal."""
    found = {name: version(name) for name in ("mango-neuro", "numpy")}
    return {**found, "python": platform.python_version(), "machine": f"{platform.system()} {platform.machine()}"}


def space_of(source: Any) -> SearchSpace:
    """The space of a generator, or the space itself.

    Raises:
        InputError: neither.
    """
    space = source if isinstance(source, SearchSpace) else getattr(source, "space", None)
    if not isinstance(space, SearchSpace):
        raise InputError(f"a study needs a generator (an object with .space) or a SearchSpace; got {source!r}")
    return space


def check_source(source: Any, configuration: Configuration) -> None:
    """Whether a study of this configuration can go on with this generator or space, or with None.

    Raises:
        InputError: another space, or no prior where the weight needs one.
    """
    if source is not None and not same_space(space_of(source), configuration.space):
        raise InputError(
            "the study was made in another search space than this one; name the generator it was made with"
        )
    if configuration.weight and not hasattr(source, "log_prior"):
        raise OptionError(f"weight {configuration.weight:g} needs a generator with a log_prior; got {source!r}")


def band_of(source: Any, configuration: Configuration) -> tuple[float, float] | None:
    """The natural band that a new study of this configuration keeps; None where its weight is 0.

    Raises:
        OptionError: the generator has neither quantiles of its log prior nor natural codes.
    """
    if not configuration.weight:
        return None
    quantiles = log_prior_quantiles(source, configuration.natural)
    if quantiles is None:
        raise OptionError(
            f"weight {configuration.weight:g} needs to know the log priors of natural codes: give the generator "
            f"log_prior_quantiles or natural(n, rng), or the study natural codes; got {source!r}"
        )
    return natural_band(quantiles)


def compact(space: SearchSpace, codes: Codes) -> Codes:
    """The codes in the smallest dtype that holds them; `SearchSpace.validate` turns them back."""
    if space.continuous.any():
        return codes
    return codes.astype(np.min_scalar_type(int(space.levels.max()) - 1))


def same_space(one: SearchSpace, other: SearchSpace) -> bool:
    """Whether two spaces hold the same codes with the same meaning."""
    a, b = (dict(vars(space)) for space in (one, other))
    return all(np.array_equal(a[name], b[name]) if a[name] is not None else b[name] is None for name in a)


def _check_option(name: str, value: Any) -> None:
    if isinstance(value, np.ndarray):
        return
    try:
        json.dumps(value)
    except (TypeError, ValueError) as error:
        raise OptionError(f"option {name} cannot be stored: {error}; give numbers, texts, lists or an array") from error
