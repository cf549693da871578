"""What requests may hold: bounds on sizes, and shapes that fit."""

from __future__ import annotations

import math
from typing import Any

import pytest
from pydantic import BaseModel, ValidationError

from mango.service.schemas import Ask, Enqueue, Render, StudyNew, Tell, ToldTrial, Veto

NEW = {"name": "a", "space": {"kind": "box", "dim": 2}, "budget": 9}
TOLD = {"number": 0, "attempt": 1}


def reason(model: type[BaseModel], said: dict[str, Any]) -> str:
    with pytest.raises(ValidationError) as raised:
        model.model_validate(said)
    return "; ".join(f"{fault['loc'][-1] if fault['loc'] else ''}: {fault['msg']}" for fault in raised.value.errors())


@pytest.mark.parametrize(
    "generator",
    [
        "pixels", "identity:box:20", "identity:grid:65536:16", "vqvae-cifar10", "mine",
        "series:identity:65536", "series:smoothed:trace", "series:bandlimited:275:32", "series:bandlimited:trace:32",
    ],
)  # fmt: skip
def test_generators_of_a_size_are_taken(generator: str) -> None:
    StudyNew.model_validate({"name": "a", "generator": generator, "budget": 9})
    Render.model_validate({"generator": generator, "codes": [[0.0]]})


@pytest.mark.parametrize(
    "generator",
    [
        "identity:box:65537", "identity:box:4000000000", "identity:grid:4:65537", "identity:grid:99999:4", "identity:",
        "identity:box:\u00b2", "identity:box:-1", "identity:os:getcwd", "identity:box:20:20", "identity:box:20\n",
    ],
)  # fmt: skip
def test_a_generator_of_any_size_is_refused(generator: str) -> None:
    """A space of four thousand million axes is made of arrays."""
    said = reason(StudyNew, {"name": "a", "generator": generator, "budget": 9})
    assert "expected identity:box:DIM or identity:grid:DIM:LEVELS, with at most 65,536" in said
    assert "65,536" in reason(Render, {"generator": generator, "codes": [[0.0]]})


@pytest.mark.parametrize(
    "generator",
    [
        "series:identity:65537", "series:identity:4000000000", "series:bandlimited:275:99999", "series:", "series:a",
        "series:identity:-1", "series:identity:\u00b2", "series:bandlimited:trace:3:3", "series:identity:../../x",
    ],
)  # fmt: skip
def test_series_of_any_size_are_refused(generator: str) -> None:
    said = reason(StudyNew, {"name": "a", "generator": generator, "budget": 9})
    assert "expected series:FORM:N or series:FORM:N:K, with at most 65,536 points" in said


@pytest.mark.parametrize(
    ("model", "said", "words"),
    [
        (StudyNew, NEW | {"space": {"kind": "box", "dim": 65_537}}, "dim: Input should be less than or equal to 65536"),
        (StudyNew, NEW | {"space": {"kind": "grid", "dim": 2, "levels": 65_537}}, "levels: Input should be less than"),
        (StudyNew, NEW | {"budget": 100_000_001}, "budget: Input should be less than or equal to 100000000"),
        (StudyNew, NEW | {"batch": 10_001}, "batch: Input should be less than"),
        (StudyNew, NEW | {"lease": 31 * 86_400.0}, "lease: Input should be less than"),
        (StudyNew, NEW | {"options": {"popsize": 10**9}}, "popsize is at most 65,536 over HTTP"),
        (StudyNew, NEW | {"options": {"levels": -1e300}}, "levels is at most 65,536 over HTTP"),
        (StudyNew, NEW | {"image": {"size": [8192, 8192]}}, "at most 16,777,216 pixels"),
        (StudyNew, NEW | {"image": {"size": [8193, 1]}}, "Input should be less than or equal to 8192"),
        (StudyNew, NEW | {"image": {"size": [64]}}, "Field required"),
        (StudyNew, NEW | {"name": "a" * 101}, "name: String should match"),
        (StudyNew, NEW | {"name": "a\n"}, "name: String should match"),
        (StudyNew, NEW | {"name": ".a"}, "name: String should match"),
        (Ask, {"n": 10_001}, "n: Input should be less than or equal to 10000"),
        (Ask, {"lease": math.nan}, "lease: Input should be"),
        (Veto, {"numbers": [0], "reason": "x" * 10_001}, "reason: String should have at most 10000"),
        (Veto, {"numbers": list(range(10_001))}, "numbers: List should have at most 10000"),
        (Veto, {"numbers": [2**53 + 1]}, "Input should be less than or equal to 9007199254740992"),
        (Enqueue, {"codes": [[math.inf]]}, "Input should be a finite number"),
        (Enqueue, {"codes": [[]]}, "List should have at least 1 item"),
        (Enqueue, {"codes": [[0.0]], "origin": "Yesterday!"}, "origin: String should match"),
        (Tell, {"results": [TOLD | {"value": 1.0}] * 2}, "each trial is told once"),
        (ToldTrial, TOLD | {"value": math.inf}, "value: Value error, expected numbers from"),
        (ToldTrial, TOLD | {"values": [1.0, -math.inf]}, "expected numbers from"),
        (ToldTrial, TOLD | {"value": 1.0, "attempt": 0}, "attempt: Input should be greater than or equal to 1"),
        (
            ToldTrial,
            TOLD | {"value": 1.0, "response": [[1.0], [1.0, 2.0]]},
            "the rows of a response have equal lengths",
        ),
        (ToldTrial, TOLD | {"value": 1.0, "response": [1.0, [2.0]]}, "Input should be a valid number"),
        (ToldTrial, TOLD | {"value": 1.0, "response": [[1.0], 2.0]}, "Input should be a valid list"),
        (ToldTrial, TOLD | {"value": 1.0, "response": 1.0}, "Input should be a valid list"),
    ],
)
def test_what_is_too_large_or_of_another_shape_is_refused(
    model: type[BaseModel], said: dict[str, Any], words: str
) -> None:
    assert words in reason(model, said)


def test_a_budget_may_be_null_or_left_out() -> None:
    left_out = {name: said for name, said in NEW.items() if name != "budget"}
    for said in (left_out, NEW | {"budget": None}):
        assert StudyNew.model_validate(said).budget is None


def test_lost_values_are_nan_or_null() -> None:
    told = ToldTrial.model_validate(
        TOLD | {"values": [None, math.nan, 1.0], "response": [[None, 1.0], [math.nan, 2.0]]}
    )
    assert told.values is not None
    assert (told.values[0], told.values[2]) == (None, 1.0)
    assert told.response is not None
    assert ToldTrial.model_validate(TOLD | {"value": None, "response": []}).response == []
