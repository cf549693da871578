"""Rules on answers: what must be taken, what must be refused. The first line of each is its meaning."""

from __future__ import annotations

import numpy as np

from mango.errors import CodeError, TellError
from mango.testing.asking import expect_codes
from mango.testing.conformance import expect, expect_refusal
from mango.testing.session import Case, unchanged
from mango.trial import LARGEST

ROUNDS = 3
BATCH = 41  # more than a usual generation


def any_order(case: Case) -> None:
    """Any subset of the open trials may be told, in any order, and some may never be told."""
    optimizer, rng = case.make(), np.random.default_rng(1)
    ids = np.empty(0, np.int64)
    codes = np.empty((0, case.space.dim), case.space.dtype)
    for _ in range(ROUNDS):
        proposals = case.ask(optimizer, BATCH)
        expect_codes(case, proposals.codes)
        ids, codes = np.concatenate([ids, proposals.ids]), np.concatenate([codes, proposals.codes])
        order = rng.permutation(len(ids))
        for rows in np.array_split(order[: 2 * len(order) // 3], 3):
            optimizer.tell(ids[rows].tolist(), case.values(codes[rows]).tolist())
        ids, codes = ids[order[2 * len(order) // 3 :]], codes[order[2 * len(order) // 3 :]]
    optimizer.tell(np.empty(0, np.int64), np.empty(0))


def lost(case: Case) -> None:
    """NaN is a lost measurement: it may come for some trials or for all of them."""
    optimizer, measured = case.make(), False
    for fate in ("all", "all", "some", "all", "some"):
        ids, codes, _ = case.ask(optimizer, BATCH)
        expect_codes(case, codes)
        values = case.values(codes)
        values[:: 1 if fate == "all" else 3] = np.nan
        optimizer.tell(ids, values)
        measured |= not np.isnan(values).all()
        if measured:
            expect_codes(case, optimizer.recommend()[None])


def equal_values(case: Case) -> None:
    """All values may be equal, as they are for a silent neuron."""
    for value in (0.0, 1.0, -1e6):
        optimizer = case.make()
        for _ in range(ROUNDS):
            ids, codes, _ = case.ask(optimizer, BATCH)
            expect_codes(case, codes)
            optimizer.tell(ids, np.full(len(ids), value))
        expect_codes(case, optimizer.recommend()[None])


def keys_and_errors(case: Case) -> None:
    """Keys that order equal values and standard errors are taken, NaN where there is none."""
    optimizer, rng = case.make(), np.random.default_rng(2)
    for _ in range(ROUNDS):
        ids, codes, _ = case.ask(optimizer, BATCH)
        expect_codes(case, codes)
        keys, errors = rng.normal(size=len(ids)), rng.uniform(0, 1, len(ids))
        keys[::5] = np.nan
        errors[::4] = np.nan
        optimizer.tell(ids, np.round(case.values(codes), 1), keys=keys, errors=errors)


def largest(case: Case) -> None:
    """The largest values that may be told are learned, among small ones."""
    optimizer, rng = case.make(), np.random.default_rng(3)
    for _ in range(ROUNDS):
        ids, codes, _ = case.ask(optimizer, BATCH)
        expect_codes(case, codes)
        optimizer.tell(ids, rng.choice([LARGEST, -LARGEST, 0.0, 1.0], len(ids)))
    expect_codes(case, optimizer.recommend()[None])


def infinity(case: Case) -> None:
    """An infinite value, key or error, or one that is too large, is refused, and nothing changes."""
    for bad in (np.inf, -np.inf, -2 * LARGEST):
        for name in ("values", "keys", "errors"):
            optimizer, (ids, codes, _) = case.started()
            columns = {"values": case.values(codes), "keys": np.zeros(len(ids)), "errors": np.ones(len(ids))}
            columns[name][-1] = bad
            half = len(ids) // 2
            told = {key: column[half:] for key, column in columns.items()}
            values = told.pop("values")
            with unchanged(optimizer, f"telling {bad} among {name}"):
                expect_refusal(
                    TellError,
                    f"telling {bad} among {name}",
                    lambda o=optimizer, i=ids[half:], v=values, t=told: o.tell(i, v, **t),  # type: ignore[misc]
                )


def negative_error(case: Case) -> None:
    """A standard error below 0 is refused, and nothing changes."""
    optimizer, (ids, codes, _) = case.started()
    errors = np.ones(len(ids))
    errors[-1] = -1e-9
    with unchanged(optimizer, "telling a negative error"):
        expect_refusal(
            TellError,
            "telling a negative error",
            lambda: optimizer.tell(ids, case.values(codes), errors=errors),
        )


def never_asked(case: Case) -> None:
    """An answer to a trial that was never asked is refused, with all that came along, and nothing changes."""
    optimizer, (ids, codes, _) = case.started()
    for unknown in (int(ids[-1]) + 1, 10**9, -1):
        wrong = [*ids[-2:].tolist(), unknown]
        with unchanged(optimizer, f"telling trial {unknown}"):
            expect_refusal(
                TellError,
                f"telling trial {unknown}, of which there is none,",
                lambda wrong=wrong: optimizer.tell(wrong, [*case.values(codes[-2:]), 0.5]),  # type: ignore[misc]
            )


def told_twice(case: Case) -> None:
    """The same answer again is nothing; another answer is refused and changes nothing."""
    optimizer, (ids, codes, _) = case.started()
    values = case.values(codes)
    optimizer.tell(ids[-1:], [np.nan])
    with unchanged(optimizer, "telling the same again"):
        optimizer.tell(ids[:2], values[:2])
        optimizer.tell(ids[1::-1], values[1::-1])
        optimizer.tell(ids[-1:], [np.nan])
    half = len(ids) // 2
    fresh, value = ids[half : half + 1].tolist(), values[half : half + 1].tolist()
    conflicts = {
        "another value": lambda: optimizer.tell(ids[:1], values[:1] + 1),
        "another value beside a fresh trial": lambda: optimizer.tell([*fresh, int(ids[0])], [*value, values[0] + 1]),
        "a value for a lost trial": lambda: optimizer.tell(ids[-1:], [0.5]),
        "a loss for a measured trial": lambda: optimizer.tell(ids[:1], [np.nan]),
        "two values in one tell": lambda: optimizer.tell(fresh * 2, [*value, value[0] + 1]),
    }
    for what, call in conflicts.items():
        with unchanged(optimizer, f"telling {what}"):
            expect_refusal(TellError, f"telling {what}", call)
    optimizer.tell(fresh, value)


def lengths(case: Case) -> None:
    """Ids, values, keys and errors of unequal lengths are refused, and nothing changes."""
    optimizer, (ids, codes, _) = case.started()
    ids, values = ids[-3:], case.values(codes[-3:])
    wrong = {
        "too few values": lambda: optimizer.tell(ids, values[:-1]),
        "too many values": lambda: optimizer.tell(ids[:-1], values),
        "too few keys": lambda: optimizer.tell(ids, values, keys=values[:-1]),
        "too many errors": lambda: optimizer.tell(ids[:-1], values[:-1], errors=values),
        "values in a column": lambda: optimizer.tell(ids, values[:, None]),
        "texts for values": lambda: optimizer.tell(ids, ["a", "b", "c"]),
        "fractions for trial numbers": lambda: optimizer.tell(ids + 0.5, values),
    }
    for what, call in wrong.items():
        with unchanged(optimizer, f"telling {what}"):
            expect_refusal(TellError, f"telling {what}", call)


def observe(case: Case) -> None:
    """Points it did not ask are taken at any time, lost ones included; they take no trial numbers."""
    optimizer = case.make()
    asked = 0
    for seed in range(ROUNDS):
        points = case.foreign(8, seed)
        values = case.values(points)
        optimizer.observe(points, values)
        optimizer.observe(points[:1], values[:1])  # the same point again
        values[::2] = np.nan
        optimizer.observe(points, values, keys=np.arange(8.0), errors=np.full(8, np.nan))
        optimizer.observe(points[:0], values[:0])
        ids, codes, _ = case.ask(optimizer, BATCH)
        expect(np.array_equal(ids, np.arange(asked, asked + len(ids))), f"trial numbers from {asked} on", ids)
        expect_codes(case, codes)
        asked += len(ids)
        optimizer.tell(ids, case.values(codes))


def observe_refusals(case: Case) -> None:
    """Foreign points outside the space, or with values that do not fit, are refused, and nothing changes."""
    optimizer, _ = case.started()
    points = case.foreign(3)
    values = case.values(points)
    outside = points.astype(np.float64)
    outside[1] = case.space.upper + 1
    refusals = {
        "observing a point outside the space": (CodeError, lambda: optimizer.observe(outside, values)),
        "observing points of another width": (CodeError, lambda: optimizer.observe(points[:, :-1], values)),
        "observing NaN for a code": (CodeError, lambda: optimizer.observe(points * np.nan, values)),
        "observing too few values": (TellError, lambda: optimizer.observe(points, values[:-1])),
        "observing infinity": (TellError, lambda: optimizer.observe(points, [0.1, np.inf, 0.2])),
        "observing too few keys": (TellError, lambda: optimizer.observe(points, values, keys=[1.0])),
    }
    for what, (kind, call) in refusals.items():
        with unchanged(optimizer, what):
            expect_refusal(kind, what, call)
