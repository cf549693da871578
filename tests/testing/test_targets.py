"""The target suite passes what keeps the rules, and each of its rules catches a target that breaks it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from mango.testing import TARGET_RULES, ConformanceError, check_target

SHAPE = (1, 4, 4)


class Brightness:
    """The mean of a stimulus with noise from its seed, and its first pixel as a key; keeps all rules."""

    name = "brightness"
    batch_size = 8
    summary: Any = {"natural_maximum": 1.0}  # noqa: RUF012 (a target's own numbers)

    def respond(self, stimuli: Any, seeds: Any = None) -> Any:
        noise = [np.random.default_rng(int(s)).normal() for s in (np.zeros(len(stimuli)) if seeds is None else seeds)]
        return stimuli.mean((1, 2, 3)) + 0.1 * np.array(noise), stimuli[:, 0, 0, 0].copy()


class OneNumber(Brightness):
    def respond(self, stimuli: Any, seeds: Any = None) -> Any:  # noqa: ARG002
        return stimuli.mean()


class Column(Brightness):
    def respond(self, stimuli: Any, seeds: Any = None) -> Any:
        return super().respond(stimuli, seeds)[0][:, None]


class Infinite(Brightness):
    def respond(self, stimuli: Any, seeds: Any = None) -> Any:
        values = super().respond(stimuli, seeds)[0]
        values[-1] = np.inf
        return values


class Three(Brightness):
    def respond(self, stimuli: Any, seeds: Any = None) -> Any:
        return (*super().respond(stimuli, seeds), 0)


class KeysForSome(Brightness):
    def respond(self, stimuli: Any, seeds: Any = None) -> Any:
        values, keys = super().respond(stimuli, seeds)
        return (values, keys) if len(values) > 1 else values


class NoSeeds(Brightness):
    def respond(self, stimuli: Any) -> Any:  # type: ignore[override]
        return super().respond(stimuli)


class FreshNoise(Brightness):
    def respond(self, stimuli: Any, seeds: Any = None) -> Any:  # noqa: ARG002
        return super().respond(stimuli, np.random.default_rng().integers(0, 2**31, len(stimuli)))


class Relative(Brightness):
    def respond(self, stimuli: Any, seeds: Any = None) -> Any:
        values, keys = super().respond(stimuli, seeds)
        return values - values.mean(), keys


class ByPlace(Brightness):
    def respond(self, stimuli: Any, seeds: Any = None) -> Any:  # noqa: ARG002
        return super().respond(stimuli, np.arange(len(stimuli)))


class GlobalNoise(Brightness):
    def respond(self, stimuli: Any, seeds: Any = None) -> Any:
        return super().respond(stimuli, seeds)[0] + np.random.random()  # noqa: NPY002 (the very fault)


class Centers(Brightness):
    def respond(self, stimuli: Any, seeds: Any = None) -> Any:
        stimuli -= stimuli.mean()
        return super().respond(stimuli, seeds)


class Remembers(Brightness):
    """Answers from a table that it hands out."""

    def __init__(self) -> None:
        self.table: dict[bytes, Any] = {}

    def respond(self, stimuli: Any, seeds: Any = None) -> Any:
        key = stimuli.tobytes()
        self.table[key] = self.table.get(key, super().respond(stimuli, seeds)[0])
        return self.table[key]


class Unnamed(Brightness):
    name = 7  # type: ignore[assignment]


class NoBatch(Brightness):
    batch_size = 0


class NoCalls(Brightness):
    concurrency = 0


class Prose(Brightness):
    summary = "bright"


class Seeded(Brightness):
    def respond(self, stimuli: Any, seeds: Any = None) -> Any:
        if seeds is None:
            raise ValueError("seeds, please")
        return super().respond(stimuli, seeds)


BROKEN: dict[str, tuple[type[Brightness], ...]] = {
    "answers": (OneNumber, Column, Infinite, Three, KeysForSome, Seeded),
    "seeds": (NoSeeds, FreshNoise),
    "own answer": (Relative, ByPlace),
    "global randomness": (GlobalNoise,),
    "arguments": (Centers, Remembers),
    "attributes": (Unnamed, NoBatch, NoCalls, Prose),
}


def test_what_keeps_the_rules_passes() -> None:
    assert check_target(Brightness(), SHAPE) is None  # type: ignore[func-returns-value]


def test_every_rule_has_a_target_that_breaks_it() -> None:
    assert set(BROKEN) == set(TARGET_RULES)


@pytest.mark.parametrize(
    ("rule", "kind"),
    [(rule, kind) for rule, kinds in BROKEN.items() for kind in kinds],
    ids=lambda part: part if isinstance(part, str) else part.__name__,
)
def test_each_rule_catches_what_breaks_it(rule: str, kind: type[Brightness]) -> None:
    with pytest.raises(ConformanceError) as caught:
        check_target(kind(), SHAPE, rules=[rule])
    assert caught.value.rule == rule


def test_a_target_that_says_so_may_need_seeds() -> None:
    class Stochastic(Seeded):
        stochastic = True

    assert check_target(Stochastic(), SHAPE) is None  # type: ignore[func-returns-value]


def test_lost_measurements_may_be_answered() -> None:
    class Losing(Brightness):
        def respond(self, stimuli: Any, seeds: Any = None) -> Any:
            values, _ = super().respond(stimuli, seeds)
            return np.where(stimuli[:, 0, 0, 0] > 0.5, np.nan, values)

    assert check_target(Losing(), SHAPE) is None  # type: ignore[func-returns-value]


def test_own_stimuli_and_tolerance() -> None:
    class WholeNumbers(Brightness):
        def respond(self, stimuli: Any, seeds: Any = None) -> Any:  # noqa: ARG002
            if not np.array_equal(stimuli, np.rint(stimuli)):
                raise ValueError("whole numbers only")
            return stimuli.sum(1) + 1e-4 * len(stimuli)

    stimuli = np.random.default_rng(0).integers(0, 2, (5, 6))
    assert check_target(WholeNumbers(), (6,), stimuli=stimuli, tolerance=1e-3) is None  # type: ignore[func-returns-value]
    with pytest.raises(ConformanceError, match="ValueError: whole numbers only"):
        check_target(WholeNumbers(), (6,))
    with pytest.raises(ConformanceError, match="the same value alone as in a batch"):
        check_target(WholeNumbers(), (6,), stimuli=stimuli)
