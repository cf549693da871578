"""The generator suite passes what keeps the rules, and each of its rules catches a generator that breaks it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from mango.errors import UnknownName
from mango.generators import make_generator
from mango.space import SearchSpace
from mango.testing import GENERATOR_RULES, ConformanceError, check_generator


class Checkers:
    """Images 1 x 4 x 4 whose four quarters are grey as the code says; keeps all rules."""

    name = "checkers"

    def __init__(self) -> None:
        self.space = SearchSpace.grid(4, 256)
        self.stimulus_shape: Any = (1, 4, 4)

    def decode(self, codes: Any) -> Any:
        quarters = self.space.validate(codes).reshape(-1, 1, 2, 2) / 255
        return quarters.repeat(2, 2).repeat(2, 3).astype(np.float32)

    def encode(self, stimuli: Any) -> Any:
        return np.rint(stimuli[:, 0, ::2, ::2].reshape(-1, 4) * 255).astype(np.int64)

    def natural(self, n: int, rng: np.random.Generator) -> Any:
        return self.space.sample(n, rng)

    def log_prior(self, codes: Any) -> Any:
        return -np.abs(np.diff(codes, axis=1)).sum(1) / 255.0

    log_prior_quantiles: Any = np.linspace(-3, 0, 31)

    def sample_prior(self, n: int, rng: np.random.Generator) -> Any:
        return np.repeat(self.space.sample(n, rng)[:, :1], 4, axis=1)


class NoSpace(Checkers):
    def __init__(self) -> None:
        super().__init__()
        self.space = (4, 256)  # type: ignore[assignment]


class ShapeAsList(Checkers):
    def __init__(self) -> None:
        super().__init__()
        self.stimulus_shape = [1, 4, 4]


class OneAtATime(Checkers):
    def decode(self, codes: Any) -> Any:
        return super().decode(codes)[:1]


class Doubles(Checkers):
    def decode(self, codes: Any) -> Any:
        return super().decode(codes).astype(np.float64)


class FromMinusOne(Checkers):
    def decode(self, codes: Any) -> Any:
        return super().decode(codes) * 2 - 1


class Unrounded(Checkers):
    def decode(self, codes: Any) -> Any:
        return super().decode(codes) * np.float32(0.997)


class NotANumber(Checkers):
    def decode(self, codes: Any) -> Any:
        return super().decode(codes) * np.float32(np.nan)


class Noisy(Checkers):
    def decode(self, codes: Any) -> Any:
        return np.rint(super().decode(codes) * 255 * np.random.random()).astype(np.float32) / 255  # noqa: NPY002


class Normalised(Checkers):
    """Each batch to its own maximum."""

    def decode(self, codes: Any) -> Any:
        stimuli = super().decode(codes)
        return stimuli / stimuli.max()


class Overwrites(Checkers):
    def decode(self, codes: Any) -> Any:
        codes = np.asarray(codes)
        stimuli = super().decode(codes)
        codes[:] = 0
        return stimuli


class OneBuffer(Checkers):
    """Hands out what it keeps for the next time."""

    kept: Any = None

    def decode(self, codes: Any) -> Any:
        self.kept = super().decode(codes) if self.kept is None or len(self.kept) != len(codes) else self.kept
        return self.kept


class Clips(Checkers):
    def decode(self, codes: Any) -> Any:
        return super().decode(np.clip(codes, 0, 255))


class EncodesFloats(Checkers):
    def encode(self, stimuli: Any) -> Any:
        return super().encode(stimuli) / 2


class OwnNature(Checkers):
    def natural(self, n: int, rng: np.random.Generator) -> Any:  # noqa: ARG002
        return super().natural(n, np.random.default_rng())


class TooLittleNature(Checkers):
    def natural(self, n: int, rng: np.random.Generator) -> Any:
        return super().natural(n - 1, rng)


class Impossible(Checkers):
    def log_prior(self, codes: Any) -> Any:
        return np.full(len(codes), -np.inf)


class RelativePrior(Checkers):
    def log_prior(self, codes: Any) -> Any:
        own = super().log_prior(codes)
        return own - own.max()


class OwnSamples(Checkers):
    def sample_prior(self, n: int, rng: np.random.Generator) -> Any:  # noqa: ARG002
        return super().sample_prior(n, np.random.default_rng())


class ImagesOfThePrior(Checkers):
    def sample_prior(self, n: int, rng: np.random.Generator) -> Any:
        return self.decode(super().sample_prior(n, rng))


class SamplesOfNothing:
    def sample_prior(self, n: int, rng: np.random.Generator) -> Any:
        return SearchSpace.grid(4, 256).sample(n, rng)


class LikeliestFirst(Checkers):
    log_prior_quantiles = np.linspace(0, -3, 31)


class NoWidth(Checkers):
    log_prior_quantiles = np.full(31, -1.0)


class OtherUnits(Checkers):
    log_prior_quantiles = np.linspace(-3000, -2000, 31)


class QuantilesOfNothing:
    def __init__(self) -> None:
        self.log_prior_quantiles = np.linspace(-3, 0, 31)


BROKEN: dict[str, tuple[type[Any], ...]] = {
    "attributes": (NoSpace, ShapeAsList),
    "decode": (OneAtATime, Doubles, FromMinusOne, Unrounded, NotANumber),
    "repeatable": (Noisy, Normalised),
    "arguments": (Overwrites, OneBuffer),
    "refusals": (Clips,),
    "encode": (EncodesFloats,),
    "natural": (OwnNature, TooLittleNature),
    "log prior": (Impossible, RelativePrior),
    "sample prior": (OwnSamples, ImagesOfThePrior, SamplesOfNothing),
    "quantiles": (LikeliestFirst, NoWidth, OtherUnits, QuantilesOfNothing),
}


def test_what_keeps_the_rules_passes() -> None:
    assert check_generator(Checkers()) is None  # type: ignore[func-returns-value]


@pytest.mark.parametrize("name", ["pixels", "identity:box:3", "identity:grid:5:4"])
def test_the_generators_of_the_table_pass(name: str) -> None:
    assert check_generator(make_generator(name)) is None  # type: ignore[func-returns-value]


def test_every_rule_has_a_generator_that_breaks_it() -> None:
    assert set(BROKEN) == set(GENERATOR_RULES)


@pytest.mark.parametrize(
    ("rule", "kind"),
    [(rule, kind) for rule, kinds in BROKEN.items() for kind in kinds],
    ids=lambda part: part if isinstance(part, str) else part.__name__,
)
def test_each_rule_catches_what_breaks_it(rule: str, kind: type[Any]) -> None:
    with pytest.raises(ConformanceError) as caught:
        check_generator(kind(), rules=[rule])
    assert caught.value.rule == rule


def test_optional_methods_may_be_missing() -> None:
    class Bare:
        def __init__(self) -> None:
            self.space, self.stimulus_shape = SearchSpace.box(3, 0, 1), (3,)

        def decode(self, codes: Any) -> Any:
            return self.space.validate(codes)

    assert check_generator(Bare()) is None  # type: ignore[func-returns-value]


def test_unknown_rules_are_refused() -> None:
    with pytest.raises(UnknownName, match=r"unknown rule 'decod'; did you mean decode"):
        check_generator(Checkers(), rules=["decod"])
