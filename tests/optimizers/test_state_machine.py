"""Any order of ask, tell, observe, loss, refusal, repetition and resume, against a model, with hypothesis.

Beside the optimizer that is resumed runs a twin that is told the same and never stopped: both must ask the same.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from mango.errors import StudyError, TellError
from mango.optimizers import make_optimizer
from tests.optimizers.spaces import PLACES

CONFIGURATIONS = [
    ("auto", "codebook-natural"),
    ("random", "mixed-labels"),
    ("tt", "codebook@frequencies"),
    ("tt", "codebook-natural"),
    ("tt-s", "binary"),
    ("tt-surrogate", "codebook@frequencies"),
    ("ttopt", "grid"),
    ("cma", "codebook@principal"),
    ("cma-diagonal", "box"),
    ("cma-sphere", "normal"),
    ("evolution", "codebook"),
    ("genetic", "normal"),
    ("nevergrad:OnePlusOne", "codebook"),
]

value = st.sampled_from([0.0, 0.25, 1.0, -3.0, math.nan])


class Machine(RuleBasedStateMachine):
    name: str
    where: str

    def make(self) -> Any:
        space, options = PLACES[self.where]
        return make_optimizer(self.name, space, seed=self.seed, **options)

    @initialize(seed=st.integers(0, 3))
    def start(self, seed: int) -> None:
        self.seed = seed
        self.space = PLACES[self.where].space
        self.optimizer, self.twin = self.make(), self.make()
        self.asked: dict[int, Any] = {}
        self.told: dict[int, float] = {}
        self.observed = 0
        self.measured = False

    @property
    def open(self) -> list[int]:
        return [i for i in self.asked if i not in self.told]

    def both(self, operation: str, *args: Any, **more: Any) -> None:
        getattr(self.optimizer, operation)(*args, **more)
        getattr(self.twin, operation)(*args, **more)

    @rule(n=st.integers(1, 12))
    def ask(self, n: int) -> None:
        ids, codes, origins = self.optimizer.ask(n)
        twin = self.twin.ask(n)
        assert ids.tolist() == list(range(len(self.asked), len(self.asked) + n))
        assert codes.tobytes() == self.space.validate(codes).tobytes()
        assert codes.dtype == self.space.dtype
        assert codes.tobytes() == twin.codes.tobytes()
        assert origins == twin.origins
        self.asked.update(zip(ids.tolist(), codes.copy(), strict=True))
        codes[:] = 0  # the caller's own now

    @precondition(lambda self: self.open)
    @rule(data=st.data(), keyed=st.booleans(), read_only=st.booleans())
    def tell(self, data: st.DataObject, keyed: bool, read_only: bool) -> None:
        ids = data.draw(st.lists(st.sampled_from(self.open), min_size=1, unique=True))
        values = data.draw(st.lists(value, min_size=len(ids), max_size=len(ids)))
        keys = data.draw(st.lists(value, min_size=len(ids), max_size=len(ids)))
        arrays = [np.array(ids), np.array(values), np.array(keys), np.full(len(ids), 0.1)]
        for array in arrays:
            array.setflags(write=not read_only)
        self.both("tell", arrays[0], arrays[1], **({"keys": arrays[2], "errors": arrays[3]} if keyed else {}))
        if not read_only:
            for array in arrays:
                array[:] = 0
        self.told.update(zip(ids, values, strict=True))
        self.measured |= not all(math.isnan(v) for v in values)

    @precondition(lambda self: len(self.open) > 5)
    @rule()
    def tell_all(self) -> None:
        ids = self.open
        values = [float(np.cos(np.sum(self.asked[i]))) for i in ids]
        self.both("tell", ids, values)
        self.told.update(zip(ids, values, strict=True))
        self.measured = True

    @precondition(lambda self: self.told)
    @rule(data=st.data())
    def tell_again(self, data: st.DataObject) -> None:
        ids = data.draw(st.lists(st.sampled_from(list(self.told)), min_size=1))
        before = self.optimizer.state_dict()
        self.optimizer.tell(ids, [self.told[i] for i in ids])
        assert_same(before, self.optimizer.state_dict())

    @precondition(lambda self: self.asked)
    @rule(data=st.data())
    def tell_wrong(self, data: st.DataObject) -> None:
        ids = data.draw(st.lists(st.sampled_from(list(self.asked)), min_size=1, unique=True))
        values = [self.told.get(i, 0.5) for i in ids]
        before = self.optimizer.state_dict()
        for wrong_ids, wrong_values in (
            (ids, [*values[:-1], math.inf]),
            (ids, [*values, 0.5]),
            ([*ids, ids[0]], [*values, 77.0]),
            ([*ids, len(self.asked)], [*values, 0.5]),
            ([*ids, -1], [*values, 0.5]),
        ):
            with pytest.raises(TellError):
                self.optimizer.tell(wrong_ids, wrong_values)
            assert_same(before, self.optimizer.state_dict())

    @rule(seed=st.integers(0, 5), values=st.lists(value, min_size=1, max_size=4), keyed=st.booleans())
    def observe(self, seed: int, values: list[float], keyed: bool) -> None:
        codes = self.space.sample(len(values), np.random.default_rng(seed))
        self.both("observe", codes, values, keys=np.arange(float(len(values))) if keyed else None)
        self.measured |= not all(math.isnan(v) for v in values)

    @rule()
    def resume(self) -> None:
        state = self.optimizer.state_dict()
        arrays = [part for part in state.values() if isinstance(part, np.ndarray)]
        for part in arrays:
            part.setflags(write=False)
        self.optimizer = self.make()
        self.optimizer.load_state_dict(state)
        assert_same(state, self.optimizer.state_dict())
        for part in arrays:
            part.setflags(write=True)
            part.fill(0)

    @invariant()
    def recommends_a_code_once_something_was_measured(self) -> None:
        if not hasattr(self, "optimizer"):
            return
        if self.measured:
            code = self.optimizer.recommend()
            self.space.validate(code[None])
            code[:] = 0
        else:
            with pytest.raises(StudyError):
                self.optimizer.recommend()

    def teardown(self) -> None:
        if hasattr(self, "optimizer"):
            assert_same(self.twin.state_dict(), self.optimizer.state_dict())


def assert_same(first: dict[str, Any], second: dict[str, Any]) -> None:
    assert first.keys() == second.keys()
    for name, part in first.items():
        if isinstance(part, np.ndarray):
            assert part.dtype == second[name].dtype, name
            assert part.shape == second[name].shape, name
            assert part.tobytes() == second[name].tobytes(), name
        else:
            assert repr(part) == repr(second[name]), name


@pytest.mark.parametrize(("name", "where"), CONFIGURATIONS)
def test_any_order_of_events(name: str, where: str) -> None:
    machine = type(f"{name} on {where}", (Machine,), {"name": name, "where": where})
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=12,
            stateful_step_count=20,
            derandomize=True,
            suppress_health_check=list(HealthCheck),
        ),
    )
