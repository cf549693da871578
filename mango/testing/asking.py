"""Rules on what an optimizer is made with and what it asks. The first line of each is its meaning."""

from __future__ import annotations

import numpy as np

from mango.errors import CodeError, InputError, OptionError, StudyError
from mango.optimizers import Optimizer
from mango.space import Codes
from mango.testing.conformance import Mismatch, expect, expect_refusal
from mango.testing.session import Case, Session, expect_same_proposals, unchanged

ASKS = (1, 7, 40, 1)  # any number may be asked at any time
MANY = 300  # open trials that must not block an optimizer


def numbering(case: Case) -> None:
    """Trials are numbered 0, 1, 2, ... and a number never comes twice."""
    optimizer = case.make()
    following = 0
    for n in ASKS:
        ids, codes, origins = case.ask(optimizer, n)
        expect(isinstance(ids, np.ndarray) and ids.dtype == np.int64, "ids as an int64 array", repr(ids))
        wanted = np.arange(following, following + len(ids))
        expect(np.array_equal(ids, wanted), f"trial numbers from {following} on", ids)
        expect(len(codes) == len(ids), f"{len(ids)} codes, one for each number", len(codes))
        expect(len(origins) == len(ids), f"{len(ids)} origins, one for each number", len(origins))
        odd = [o for o in origins if not isinstance(o, str) or len(o.split()) != 1]
        expect(not odd, "origins of one short word each", odd[:3])
        following += len(ids)
        optimizer.tell(ids[::2], case.values(codes[::2]))


def codes(case: Case) -> None:
    """Every code asked lies in the space and has its dtype."""
    session = Session(case, case.make())
    for _ in range(6):
        expect_codes(case, session.step(40).codes)


def ask_size(case: Case) -> None:
    """Ask refuses what is no whole number >= 1 and changes nothing."""
    optimizer, _ = case.started()
    for bad in (0, -1, 2.5, True, "3", None):
        with unchanged(optimizer, f"ask({bad!r})"):
            expect_refusal(InputError, f"ask({bad!r})", lambda bad=bad: optimizer.ask(bad))  # type: ignore[misc]


def patience(case: Case) -> None:
    """Any number of trials may be open: an optimizer that waits asks fillers."""
    optimizer = case.make()
    asked = [case.ask(optimizer, n) for n in (MANY // 2, 1, MANY // 2 - 1)]
    for proposals in asked:
        expect_codes(case, proposals.codes)
    ids = np.concatenate([proposals.ids for proposals in asked])[::-1]
    values = case.values(np.concatenate([proposals.codes for proposals in asked])[::-1])
    for part in range(3):
        optimizer.tell(ids[part::3], values[part::3])
    expect_codes(case, case.ask(optimizer, 10).codes)


def recommend(case: Case) -> None:
    """A recommendation is one code of the space; there is none before a measurement, and giving it changes nothing."""
    optimizer = case.make()
    expect_refusal(StudyError, "recommend() on a new optimizer", optimizer.recommend)
    ids, asked, _ = case.ask(optimizer, 9)
    expect_refusal(StudyError, "recommend() before any answer", optimizer.recommend)
    optimizer.tell(ids[:3], np.full(len(ids[:3]), np.nan))
    expect_refusal(StudyError, "recommend() while all answers are lost", optimizer.recommend)
    optimizer.tell(ids[3:], case.values(asked[3:]))
    with unchanged(optimizer, "recommend()"):
        _expect_code(case, optimizer)
    twin = case.make()
    twin.observe(case.foreign(3), case.values(case.foreign(3)))
    _expect_code(case, twin)
    optimizer, twin = case.started()[0], case.started()[0]
    optimizer.recommend()
    expect_same_proposals(
        case.ask(optimizer, 15), case.ask(twin, 15), "the same proposals with and without a recommendation"
    )


def arguments(case: Case) -> None:
    """A bad seed, budget or option is refused when the optimizer is made."""
    for seed in (-1, 1.5, "0", True, None):
        expect_refusal(OptionError, f"seed={seed!r}", lambda seed=seed: case.make(seed))  # type: ignore[misc]
    for budget in (0, -3, 2.5, "9", True):
        expect_refusal(
            OptionError,
            f"budget={budget!r}",
            lambda budget=budget: case.make(budget=budget),  # type: ignore[misc]
        )
    expect_refusal(OptionError, "an unknown option", lambda: case.make(no_such_option=1))


def expect_codes(case: Case, asked: Codes) -> None:
    """Ends the rule where codes are not ``(n, dim)`` of the space's dtype and range."""
    expect(isinstance(asked, np.ndarray), "codes as an array", type(asked).__name__)
    expect(asked.dtype == case.space.dtype, f"codes of dtype {case.space.dtype}", asked.dtype)
    try:
        case.space.validate(asked)
    except CodeError as error:
        raise Mismatch("codes of the space", error) from error


def _expect_code(case: Case, optimizer: Optimizer) -> None:
    code = optimizer.recommend()
    expect(np.shape(code) == (case.space.dim,), f"a recommendation of shape ({case.space.dim},)", np.shape(code))
    expect_codes(case, np.asarray(code)[None])
