"""Rules on what an optimizer depends on and what it keeps. The first line of each is its meaning."""

from __future__ import annotations

from typing import Any

import numpy as np

from mango.optimizers import Optimizer
from mango.testing.conformance import expect, frozen, same_under_any_global_seed, scribble
from mango.testing.session import Case, Session, copied, expect_same_proposals, expect_same_state, unchanged

SHORT = 10  # steps of a session, about 130 proposals: several generations of most methods
LONG = 24  # about 310
RESUMES = 5  # at random moments, besides the first two; a method that replays its history pays for each


def seed(case: Case) -> None:
    """The same seed and answers give the same proposals; another seed gives others."""
    first, second, other = (Session(case, case.make(s)).play(SHORT) for s in (3, 3, 4))
    for one, two in zip(first, second, strict=True):
        expect_same_proposals(one, two, "two optimizers of one seed to ask the same")
    codes, others = (np.concatenate([p.codes for p in run]) for run in (first, other))
    expect(not np.array_equal(codes, others), "another seed to give other proposals", "the same ones")


def global_randomness(case: Case) -> None:
    """Global random states are neither used nor advanced."""
    first, second = same_under_any_global_seed(lambda: Session(case, case.make()).play(SHORT))
    for one, two in zip(first, second, strict=True):
        expect_same_proposals(one, two, "the same proposals after another numpy.random.seed")


def independence(case: Case) -> None:
    """Optimizers share nothing: two used in turns ask what each would ask alone."""
    alone = Session(case, case.make(3)).play(SHORT)
    session, neighbour = Session(case, case.make(3)), Session(case, case.make(4), script=9)
    for one in alone:
        neighbour.step()
        expect_same_proposals(one, session.step(), "the same proposals beside another optimizer")


def read_only(case: Case) -> None:
    """Read-only arrays are taken, and no argument is ever changed."""
    optimizer = case.make()
    for writeable in (False, True):
        ids, codes, _ = case.ask(optimizer, 41)
        points = case.foreign(4)
        given = [ids[::-1], case.values(codes)[::-1], np.arange(len(ids)) / 7.0, np.full(len(ids), 0.1)]
        foreign = [points, case.values(points), np.arange(4.0), np.full(4, 0.1)]
        given, foreign = ([frozen(a) for a in columns] for columns in (given, foreign))
        kept = [a.copy() for a in (*given, *foreign)]
        for array in (*given, *foreign):
            array.setflags(write=writeable)
        optimizer.tell(given[0], given[1], keys=given[2], errors=given[3])
        optimizer.observe(foreign[0], foreign[1], keys=foreign[2], errors=foreign[3])
        case.ask(optimizer, 1)
        for before, after in zip(kept, (*given, *foreign), strict=True):
            expect(before.tobytes() == after.tobytes(), "arguments left as they were", "an array of other content")


def aliasing(case: Case) -> None:
    """What it returned or was given may be overwritten by the caller without any effect on it."""
    careful, careless = case.make(), case.make()
    for part in range(3):
        proposals, theirs = case.ask(careful, 15), case.ask(careless, 15)
        expect_same_proposals(proposals, theirs, "proposals that do not depend on what the caller overwrites")
        ids, codes = proposals.ids.copy(), proposals.codes.copy()
        scribble(theirs.codes)
        scribble(theirs.ids)
        theirs.origins[:] = ["overwritten"] * len(theirs.origins)
        told = [ids[part:].copy(), case.values(codes)[part:], np.arange(float(len(ids) - part))]
        foreign = [case.foreign(2), case.values(case.foreign(2))]
        careful.tell(*told[:2], keys=told[2])
        careful.observe(*foreign)
        given, observed = [a.copy() for a in told], [a.copy() for a in foreign]
        careless.tell(*given[:2], keys=given[2])
        careless.observe(*observed)
        for array in (*given, *observed, careless.recommend(), *_arrays(careless.state_dict())):
            scribble(array)
        expect_same_state(
            careful.state_dict(), careless.state_dict(), "a state that does not depend on what the caller overwrites"
        )


def state_types(case: Case) -> None:
    """The state is flat: arrays of numbers, whole numbers, floats, bools and texts under names."""
    session = Session(case, case.make())
    for steps in (0, 1, SHORT):
        session.play(steps)
        state = session.optimizer.state_dict()
        expect(type(state) is dict, "a dict", type(state).__name__)
        for name, part in state.items():
            expect(isinstance(name, str), "names that are texts", repr(name))
            expect(
                isinstance(part, (np.ndarray, int, float, str)),
                f"entry {name!r} to be an array, a whole number, a float, a bool or a text",
                type(part).__name__,
            )
            expect(
                not isinstance(part, np.ndarray) or (part.dtype.kind in "biuf" and part.dtype.itemsize <= 8),
                f"entry {name!r} to hold bools, whole numbers or floats of at most 64 bits",
                getattr(part, "dtype", ""),
            )
        with unchanged(session.optimizer, "state_dict()"):
            session.optimizer.state_dict()


def state_round_trip(case: Case) -> None:
    """A fresh optimizer that loads the state at any moment, trials open, goes on bit for bit."""
    kept, resumed = Session(case, case.make()), Session(case, case.make())
    moments = {0, 1, *np.random.default_rng(6).choice(np.arange(2, LONG), RESUMES, replace=False).tolist()}
    for step in range(LONG):
        if step in moments:
            resumed.optimizer = _reloaded(case, resumed.optimizer)
        expect_same_proposals(kept.step(), resumed.step(), "the same proposals after a resume as without")
    expect_same_state(
        kept.optimizer.state_dict(), resumed.optimizer.state_dict(), "the same state after resumes as without"
    )


def _reloaded(case: Case, optimizer: Optimizer) -> Optimizer:
    """A fresh optimizer with the state, whose arrays are read-only when it loads them and overwritten afterwards."""
    state = copied(optimizer.state_dict())
    given = copied(state)
    for array in _arrays(given):
        array.setflags(write=False)
    fresh = case.make()
    fresh.load_state_dict(given)
    for array in _arrays(given):
        array.setflags(write=True)
        scribble(array)
    expect_same_state(state, fresh.state_dict(), "the state that was loaded, whatever becomes of the arrays given")
    return fresh


def _arrays(state: dict[str, Any]) -> list[np.ndarray[Any, Any]]:
    return [part for part in state.values() if isinstance(part, np.ndarray)]
