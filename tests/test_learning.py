"""A learner hears every word once, in order, and at the latest when it is asked."""

from __future__ import annotations

import math
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from mango.errors import StudyError, TellError
from mango.learning import Learner
from tests import learner
from tests.studies import BOX

NONE = np.array([math.nan])


def made() -> Learner:
    return Learner(learner.Learner(BOX, seed=3))


def tell(pupil: Learner, number: int, value: float) -> None:
    pupil.tell([number], np.array([value]), NONE, None)


def test_words_are_heard_in_order_whenever_it_learns() -> None:
    at_once, later = made(), made()
    for pupil in (at_once, later):
        pupil.ask(4)
        for number, value in enumerate((0.5, -0.25, math.nan)):
            tell(pupil, number, value)
            pupil.settle()
            if pupil is at_once:
                pupil.learn()
        pupil.observe(BOX.sample(1, np.random.default_rng(0)), np.array([2.0]), NONE, None)
        pupil.settle()
    assert later.behind
    assert later.ask(3).codes.tobytes() == at_once.ask(3).codes.tobytes()
    assert not later.behind
    assert later.seconds > 0
    state, other = later.state_dict(), at_once.state_dict()
    assert all(np.array_equal(state[name], other[name], equal_nan=True) for name in state)


def test_what_is_not_settled_is_heard_only_by_the_step_that_said_it() -> None:
    pupil = made()
    pupil.ask(1)
    tell(pupil, 0, 1.0)
    pupil.learn()
    with pytest.raises(StudyError, match="nothing was measured"):
        pupil.recommend()
    pupil.ask(1)
    assert pupil.recommend().shape == (3,)


@pytest.mark.parametrize("column", ["value", "key", "error"])
def test_what_no_optimizer_takes_is_refused_before_it_is_heard(column: str) -> None:
    pupil = made()
    pupil.ask(1)
    columns = {name: np.array([math.inf if name == column else 1.0]) for name in ("value", "key", "error")}
    with pytest.raises(TellError, match=f"the {column} of a trial, as the optimizer hears it, is -?inf; expected"):
        pupil.tell([0], *columns.values())
    pupil.settle()
    assert not pupil.behind


def test_what_it_raises_it_raises_again_and_it_learns_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    pupil, tries = made(), []

    def fails(*_: object) -> None:
        tries.append(1)
        raise ZeroDivisionError

    monkeypatch.setattr(learner.Learner, "_learn", fails)
    pupil.ask(2)
    for number in range(2):
        tell(pupil, number, 1.0)
    pupil.settle()
    for call in (pupil.learn, pupil.learn, pupil.recommend, pupil.state_dict, lambda: pupil.ask(1)):
        with pytest.raises(ZeroDivisionError):
            call()
    assert isinstance(pupil.failure, ZeroDivisionError)
    assert not pupil.behind
    assert len(tries) == 1


def test_who_asks_waits_for_who_learns(monkeypatch: pytest.MonkeyPatch) -> None:
    pupil, began, go_on = made(), threading.Event(), threading.Event()

    def slowly(*_: object) -> None:
        began.set()
        assert go_on.wait(30)

    monkeypatch.setattr(learner.Learner, "_learn", slowly)
    pupil.ask(1)
    tell(pupil, 0, 1.0)
    pupil.settle()
    with ThreadPoolExecutor(2) as pool:
        learning = pool.submit(pupil.learn)
        assert began.wait(30)
        asking = pool.submit(pupil.ask, 1)
        assert not asking.done()
        go_on.set()
        assert asking.result(30).ids.tolist() == [1]
        assert learning.done() or learning.result(30) is None
