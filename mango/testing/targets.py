"""`check_target`: the rules on whatever answers stimuli."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mango.targets import Target
from mango.testing.conformance import (
    expect,
    frozen,
    run_rules,
    same_under_any_global_seed,
    scribble,
)
from mango.testing.generators import expect_close

ROWS = 6


@dataclass(frozen=True)
class Answered:
    """What `check_target` was given."""

    target: Any
    stimuli: NDArray[Any]
    tolerance: float

    def respond(self, stimuli: NDArray[Any], **seeds: Any) -> tuple[NDArray[Any], NDArray[Any] | None]:
        """Values and, where the target gives them, keys; checked for their form."""
        answer = self.target.respond(stimuli, **seeds)
        columns: list[Any] = list(answer) if isinstance(answer, tuple) else [answer]
        expect(len(columns) in (1, 2), "values, or a pair (values, keys)", f"{len(columns)} columns")
        for name, column in zip(("values", "keys"), columns, strict=False):
            array = np.asarray(column)
            expect(array.dtype.kind in "iuf", f"{name} that are numbers", array.dtype)
            expect(array.shape == (len(stimuli),), f"{name} of shape ({len(stimuli)},)", array.shape)
            expect(not np.isinf(array).any(), f"finite {name}, or NaN where the measurement is lost", array)
        values = np.array(columns[0], np.float64)
        return values, np.array(columns[1], np.float64) if len(columns) == 2 else None

    @property
    def stochastic(self) -> bool:
        """Whether the target cannot answer without seeds."""
        return bool(getattr(self.target, "stochastic", False))

    @property
    def seeds(self) -> NDArray[np.int64]:
        """One for each stimulus."""
        return np.arange(100, 100 + len(self.stimuli))


def check_target(
    target: Target,
    stimulus_shape: tuple[int, ...],
    *,
    stimuli: ArrayLike | None = None,
    tolerance: float = 1e-6,
    rules: Iterable[str] | None = None,
) -> None:
    """Checks that a target keeps every rule of `TARGET_RULES`.

    Args:
        target: with ``respond(stimuli, seeds=None)``; optional ``name``, ``batch_size``, ``concurrency``,
            ``summary``, ``stochastic`` (it needs seeds).
        stimulus_shape: of one stimulus.
        stimuli: ``(n, *stimulus_shape)``, n >= 2, where the target needs special ones; uniform noise in [0, 1] in
            steps of 1/255 unless given.
        tolerance: how far the rounding of another batch size may move a value.
        rules: names of the rules to check; all of them unless given.

    Raises:
        ConformanceError: a rule is broken; the text says which, what was expected and what came.
    """
    if stimuli is None:
        noise = np.random.default_rng(12).integers(0, 256, (ROWS, *stimulus_shape))
        given: NDArray[Any] = (noise / 255).astype(np.float32)
    else:
        given = np.asarray(stimuli)
    run_rules(TARGET_RULES, Answered(target, given, tolerance), rules)


def answers(case: Answered) -> None:
    """One finite value (or NaN) for each stimulus of any batch, and one key each where it gives keys.

    Seeds are left out unless the target says that it is stochastic.
    """
    whole, one = ({"seeds": case.seeds[:n]} if case.stochastic else {} for n in (len(case.stimuli), 1))
    _, keys = case.respond(case.stimuli, **whole)
    _, single = case.respond(case.stimuli[:1], **one)
    expect((keys is None) == (single is None), "keys always or never", "keys for some batches only")


def seeds(case: Answered) -> None:
    """Seeds are taken, one for each stimulus, and the same seeds give the same answers."""
    first, second = (case.respond(case.stimuli, seeds=case.seeds) for _ in range(2))
    for one, two in zip(first, second, strict=True):
        if one is not None and two is not None:
            expect_close(one, two, 0.0, "the same answers for the same seeds")


def own_answer(case: Answered) -> None:
    """A stimulus and its seed decide its answer, wherever it stands in a batch."""
    whole, _ = case.respond(case.stimuli, seeds=case.seeds)
    backwards, _ = case.respond(case.stimuli[::-1].copy(), seeds=case.seeds[::-1].copy())
    expect_close(backwards[::-1], whole, case.tolerance, "the same value at another place of the batch")
    alone = [
        case.respond(case.stimuli[row : row + 1], seeds=case.seeds[row : row + 1])[0]
        for row in range(len(case.stimuli))
    ]
    expect_close(np.concatenate(alone), whole, case.tolerance, "the same value alone as in a batch")


def global_randomness(case: Answered) -> None:
    """Global random states are neither used nor advanced: noise comes from the seeds."""
    first, second = same_under_any_global_seed(lambda: case.respond(case.stimuli, seeds=case.seeds)[0])
    expect_close(first, second, 0.0, "the same values after another numpy.random.seed")


def arguments(case: Answered) -> None:
    """Stimuli and seeds may be read-only, are never changed, and never shared with the answers."""
    first, _ = case.respond(frozen(case.stimuli), seeds=frozen(case.seeds))
    given, given_seeds = case.stimuli.copy(), case.seeds.copy()
    answer = case.target.respond(given, seeds=given_seeds)
    for column in answer if isinstance(answer, tuple) else (answer,):
        if isinstance(column, np.ndarray):
            scribble(column)
    expect(np.array_equal(given, case.stimuli), "stimuli left as they were", "changed")
    expect(np.array_equal(given_seeds, case.seeds), "seeds left as they were", "changed")
    again, _ = case.respond(case.stimuli, seeds=case.seeds)
    expect_close(again, first, 0.0, "values that overwriting earlier ones does not change")


def attributes(case: Answered) -> None:
    """A name is a text, best batch size and calls at a time whole numbers >= 1, a summary a table of numbers."""
    target = case.target
    name = getattr(target, "name", "")
    expect(isinstance(name, str), "name to be a text", repr(name))
    for what in ("batch_size", "concurrency"):
        number = getattr(target, what, 1)
        expect(isinstance(number, int) and number >= 1, f"{what} to be a whole number >= 1", repr(number))
    summary = getattr(target, "summary", None)
    if summary is not None:
        plain = isinstance(summary, Mapping) and all(isinstance(v, (int, float)) for v in summary.values())
        expect(plain, "summary to map names to numbers", repr(summary))


TARGET_RULES: Mapping[str, Callable[[Answered], None]] = {
    "answers": answers,
    "seeds": seeds,
    "own answer": own_answer,
    "global randomness": global_randomness,
    "arguments": arguments,
    "attributes": attributes,
}
