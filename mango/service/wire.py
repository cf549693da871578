"""Trials, results and spaces as a client reads and writes them: the other side of `mango.service.views`."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mango.errors import InputError
from mango.space import SearchSpace
from mango.trial import Confirmed, Result, Trial, TrialRecord, TrialState, trial_seed

LONGEST_REASON = 10_000  # characters that the service takes


def trial_of(row: Mapping[str, Any], dtype: np.dtype[Any], seed: int) -> Trial:
    """One that was handed out, in a study of that seed."""
    number, until = row["number"], row["lease_until"]
    seeds = tuple(trial_seed(seed, number, repeat) for repeat in range(row["repeats"]))
    code = np.array(row["code"], dtype)
    return Trial(number, row["attempt"], code, row["origin"], seeds, math.inf if until is None else until)


def record_of(row: Mapping[str, Any], dtype: np.dtype[Any], repeats: int) -> TrialRecord:
    """One as the study knows it."""
    same: dict[str, Any] = {name: row[name] for name in ("number", "origin", "asked_at", "attempt", "reason")}
    numbers = {name: _number(row[name]) for name in ("value", "key", "log_prior", "told_at", "seconds")}
    return TrialRecord(
        code=np.array(row["code"], dtype),
        repeats=repeats,
        state=TrialState(row["state"]),
        values=tuple(_number(value) for value in row["values"]),
        **same | numbers,
    )


def confirmed_of(row: Mapping[str, Any], recommended: Mapping[str, Any], dtype: np.dtype[Any]) -> Confirmed:
    """The final choice, whose trial is then the recommended one."""
    code, error = np.array(recommended["code"], dtype), _number(row["error"])
    return Confirmed(row["number"], code, float(row["value"]), error, row["presentations"])


def told(result: Result, response: NDArray[Any] | None) -> dict[str, Any]:
    """One answer; the service stores NaN as null."""
    said: dict[str, Any] = {"number": int(result.number), "attempt": int(result.attempt)}
    said["seconds"] = float(result.seconds)
    if result.status is TrialState.FAILED:
        said["reason"] = str(result.reason).encode(errors="backslashreplace").decode()[:LONGEST_REASON]
    else:
        said["values"] = floats(result.values)
        if result.keys is not None:
            said["keys"] = floats(result.keys)
    if response is not None:
        said["response"] = np.ascontiguousarray(response, np.float64)
    return said


def floats(numbers: Sequence[float]) -> list[float]:
    """In Python's own numbers."""
    return [float(number) for number in numbers]


def space_of(axes: Mapping[str, Any]) -> SearchSpace:
    """A space as the service tells it."""
    embedding, layout = axes["embedding"], axes["layout"]
    return SearchSpace(
        **{name: np.array(axes[name]) for name in ("lower", "upper", "levels", "ordered")},
        prior=axes["prior"],
        embedding=None if embedding is None else np.array(embedding, np.float64),
        layout=None if layout is None else tuple(layout),
    )


def described(space: SearchSpace) -> dict[str, Any]:
    """A space as the service makes one.

    Raises:
        InputError: its axes differ.
    """
    alike = all(len(np.unique(axis)) == 1 for axis in (space.lower, space.upper, space.levels, space.ordered))
    plain = space.embedding is None and space.layout is None
    if alike and space.is_box and plain:
        low, high = float(space.lower[0]), float(space.upper[0])
        return {"kind": "box", "dim": space.dim, "low": low, "high": high, "prior": space.prior}
    if alike and not space.continuous.any() and space.levels[0] >= 2:
        kind = {"dim": space.dim, "levels": int(space.levels[0])}
        if space.ordered[0] and plain:
            return {"kind": "grid", **kind}
        if not space.ordered[0]:
            return {"kind": "codebook", **kind, "embedding": space.embedding, "layout": space.layout}
    raise InputError(
        "a service makes spaces whose axes are all alike: a box, a grid or a code book; name a generator that it knows "
        "for any other"
    )


def _number(told: float | None) -> float:
    return math.nan if told is None else float(told)
