"""A case to check (factory, space, options), a scripted session with an optimizer, and the comparison of states."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mango.optimizers import Optimizer, Proposals
from mango.space import Codes, SearchSpace
from mango.testing.conformance import Mismatch, expect

State = dict[str, Any]


@dataclass(frozen=True)
class Case:
    """What `check_optimizer` was given."""

    factory: Callable[..., Optimizer]
    space: SearchSpace
    options: dict[str, Any] = field(default_factory=dict)
    finite: bool = False

    def make(self, seed: Any = 0, **options: Any) -> Optimizer:
        """A fresh optimizer."""
        return self.factory(self.space, seed=seed, **{**self.options, **options})

    def ask(self, optimizer: Optimizer, n: int) -> Proposals:
        """``n`` proposals; a finite design may give fewer."""
        proposals = optimizer.ask(n)
        rows = len(proposals.ids)
        expect(rows == n or (self.finite and rows < n), f"{n} proposals from ask({n})", f"{rows}")
        return proposals

    def started(self, n: int = 12) -> tuple[Optimizer, Proposals]:
        """A fresh optimizer and its first proposals, the first half of them told."""
        optimizer = self.make()
        proposals = self.ask(optimizer, n)
        half = len(proposals.ids) // 2
        optimizer.tell(proposals.ids[:half], self.values(proposals.codes[:half]))
        return optimizer, proposals

    def values(self, codes: Codes) -> NDArray[np.float64]:
        """A smooth objective ``(n,)`` with its maximum inside the space."""
        span = np.where(self.space.upper > self.space.lower, self.space.upper - self.space.lower, 1.0)
        scaled = (np.asarray(codes, np.float64) - self.space.lower) / span
        values: NDArray[np.float64] = 1.0 - np.square(scaled - 0.3).mean(1)
        return values

    def foreign(self, n: int, seed: int = 5) -> Codes:
        """Codes that no optimizer asked."""
        return self.space.sample(n, np.random.default_rng(seed))


class Session:
    """Asks and tells by a script: any number, any subset, late, out of order, ties, keys, losses, foreign points.

    Two sessions of one script stay equal as long as their optimizers propose the same.
    """

    def __init__(self, case: Case, optimizer: Optimizer, script: int = 0) -> None:
        self.case = case
        self.optimizer = optimizer
        self.rng = np.random.default_rng(script)
        self.open: dict[int, Codes] = {}
        self.steps = 0

    def step(self, most: int = 25) -> Proposals:
        """One ask, one tell of some open trials, now and then an observe; returns what was asked."""
        proposals = self.case.ask(self.optimizer, int(self.rng.integers(1, most + 1)))
        self.open.update(zip(proposals.ids.tolist(), proposals.codes, strict=True))
        chosen = [i for i in self.open if self.rng.random() < 0.8]
        self.rng.shuffle(chosen)
        if chosen:
            values = self.case.values(np.stack([self.open.pop(i) for i in chosen]))
            keys = values + self.rng.normal(size=len(chosen))
            values = np.where(self.rng.random(len(chosen)) < 0.1, np.nan, np.round(values, 1 + self.steps % 3))
            errors = np.full(len(chosen), 0.1)
            extra = (
                {"keys": keys} if self.steps % 3 == 1 else {"keys": keys, "errors": errors} if self.steps % 3 else {}
            )
            self.optimizer.tell(chosen, values, **extra)
        if self.rng.random() < 0.3:
            codes = self.case.space.sample(2, self.rng)
            self.optimizer.observe(codes, self.case.values(codes))
        self.steps += 1
        return proposals

    def play(self, steps: int) -> list[Proposals]:
        """Several steps."""
        return [self.step() for _ in range(steps)]


def expect_same_proposals(first: Proposals, second: Proposals, expected: str) -> None:
    """Ends the rule where two asks differ in number, code or origin."""
    if not np.array_equal(first.ids, second.ids):  # a message is written only where it is needed: arrays print slowly
        raise Mismatch(expected, f"trial numbers {first.ids} and {second.ids}")
    if not np.array_equal(first.codes, second.codes):
        row = int(np.flatnonzero((first.codes != second.codes).any(1))[0])
        raise Mismatch(expected, f"trial {first.ids[row]} at {first.codes[row]} and at {second.codes[row]}")
    if list(first.origins) != list(second.origins):
        raise Mismatch(expected, f"origins {first.origins} and {second.origins}")


def expect_same_state(first: State, second: State, expected: str) -> None:
    """Ends the rule where two states differ in a name, a type, a dtype, a shape or a bit."""
    odd = sorted(set(first) ^ set(second))
    expect(not odd, expected, f"states of different entries: {odd}")
    for name, one in first.items():
        if not _same(one, second[name]):
            raise Mismatch(expected, f"entry {name!r}: {_brief(one)} and {_brief(second[name])}")


@contextmanager
def unchanged(optimizer: Optimizer, during: str) -> Iterator[None]:
    """Ends the rule where the optimizer's state is another one afterwards."""
    before = copied(optimizer.state_dict())
    yield
    expect_same_state(before, optimizer.state_dict(), f"the state to stay as it was after {during}")


def copied(state: State) -> State:
    """The state with arrays of its own."""
    return {name: np.array(part) if isinstance(part, np.ndarray) else part for name, part in state.items()}


def _same(one: Any, other: Any) -> bool:
    if isinstance(one, np.ndarray) and isinstance(other, np.ndarray):
        return one.dtype == other.dtype and one.shape == other.shape and one.tobytes() == other.tobytes()
    if isinstance(one, float) and isinstance(other, float):
        return one == other or (one != one and other != other)
    return type(one) is type(other) and bool(one == other)


def _brief(part: Any) -> str:
    return f"{part.dtype} {part.shape}" if isinstance(part, np.ndarray) and part.size > 8 else repr(part)
