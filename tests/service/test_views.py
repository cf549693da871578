"""Trials and studies as JSON: what is no number is null, and a long course is thinned without losing its rises."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

from mango.service import views
from mango.trial import TrialRecord, TrialState

DONE, LOST = TrialState.DONE, TrialState.LOST


def record(number: int, value: float, state: TrialState = DONE, origin: str = "prior") -> TrialRecord:
    values = (value,) if state is DONE else ()
    told = {"state": state, "value": value, "values": values}
    return TrialRecord(number, np.zeros(1), origin, 1, 1e9, **told)


def course(values: list[float]) -> tuple[list[TrialRecord], list[float]]:
    records = [record(n, v, LOST if math.isnan(v) else DONE) for n, v in enumerate(values)]
    return records, np.fmax.accumulate(np.array(values)).tolist() if values else []


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
def test_what_is_no_number_is_null(number: float) -> None:
    assert views.null(number) is None
    assert views.null(0.0) == 0.0


def test_a_url_can_hold_any_name() -> None:
    assert views.stimulus_url("a.b-c_d", (3, 4, 4), "trials/0") == "/v1/studies/a.b-c_d/trials/0/stimulus.png"
    assert views.stimulus_url("a", (2, 4, 4), "trials/0") is None
    assert views.stimulus_url("a", None, "trials/0") is None


def test_a_short_course_is_told_whole() -> None:
    nan = math.nan
    said = views.curve(*course([nan, 1.0, 0.5, nan, 2.0]))
    assert said == {
        "numbers": [0, 1, 2, 3, 4],
        "values": [None, 1.0, 0.5, None, 2.0],
        "best": [None, 1.0, 1.0, 1.0, 2.0],
    }
    assert views.curve([], []) == {"numbers": [], "values": [], "best": []}


def test_a_long_course_is_thinned_and_keeps_its_rises() -> None:
    values = np.random.default_rng(0).normal(size=50_000).tolist()
    values[3] = values[49_998] = math.nan
    values[31_337] = 99.0
    said = views.curve(*course(values))
    assert len(said["numbers"]) <= 2001
    assert (said["numbers"][0], said["numbers"][-1], said["best"][-1]) == (0, 49_999, 99.0)
    best = course(values)[1]
    rises = [n for n in range(1, 50_000) if best[n] > best[n - 1]]
    assert set(rises) <= set(said["numbers"])
    assert said["numbers"] == sorted(set(said["numbers"]))
    json.dumps(said, allow_nan=False)
    rising = views.curve(*course([float(n) for n in range(10_000)]))
    assert len(rising["numbers"]) <= 2001
    assert rising["numbers"][-1] == 9_999


def test_arms_are_told_with_the_busiest_of_late_first() -> None:
    early = [record(n, float(n), origin="prior") for n in range(250)]
    late = [record(250 + n, float(n), origin="mutation") for n in range(150)] + [record(400, math.nan, LOST, "tt")]
    rows = views.arms([*early, *late])
    assert [(row["origin"], row["asked"], row["done"], row["best"], row["recent"]) for row in rows] == [
        ("mutation", 150, 150, 149.0, 0.75), ("prior", 250, 250, 249.0, 0.245), ("tt", 1, 0, None, 0.005),
    ]  # fmt: skip
    assert views.arms([]) == []
