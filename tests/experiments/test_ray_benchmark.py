from __future__ import annotations

import json
from pathlib import Path

import pytest

from experiments.benchmarks.ray import computing, repeats, trivial, waiting
from experiments.benchmarks.ray.__main__ import main
from mango.trial import Result


@pytest.mark.slow
@pytest.mark.usefixtures("ray_here")
def test_smoke(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["--smoke", "--out", str(tmp_path)])
    printed = capsys.readouterr().out
    assert "| 2 Ray workers |" in printed
    assert "| one Ray worker of 32 threads |" in printed
    assert "stimuli in a call" in printed
    written = json.loads((tmp_path / "ray.json").read_text())
    assert {"machine", "versions", "computing", "waiting", "trivial"} == set(written)
    assert written["waiting"]["evaluations"] == 64
    assert all(0 < share[0] <= 1 for share in written["waiting"]["shares"].values())
    assert [row["size"] for row in written["trivial"]["rows"]] == [10, 1]


def test_ways_are_timed_in_turn_and_compared() -> None:
    called = []

    def way(name: str, *values: float) -> list[Result]:
        called.append(name)
        return [Result(number, 1, (value,), seconds=0.25) for number, value in enumerate(values)]

    taken = repeats.seconds({"a": lambda: way("a", 1.0, 2.0), "b": lambda: way("b", 1.0, 2.0)}, 2)
    assert called == ["b", "a", "a", "b", "b", "a"]
    assert {name: (len(some.wall), some.target) for name, some in taken.items()} == {
        "a": (2, [0.5] * 2),
        "b": (2, [0.5] * 2),
    }
    with pytest.raises(RuntimeError, match="b and a gave different values"):
        repeats.seconds({"a": lambda: way("a", 1.0), "b": lambda: way("b", 2.0)}, 1)
    assert repeats.seconds({"a": lambda: way("a", 1.0), "b": lambda: way("b")}, 1), "one that gives nothing to compare"


def test_the_verdicts_say_what_was_measured() -> None:
    assert "reach 0.960 of plain processes; demanded: 0.95: met" in computing.verdict({"share": [0.96, 0.9, 1.0]})
    assert "demanded: 0.95: NOT met" in computing.verdict({"share": [0.94, 0.9, 1.0]})
    assert "0.935 of the ideal; demanded: 0.93: met" in waiting.verdict({"shares": {"ray": [0.935, 0.9, 0.95]}})
    assert "NOT met" in waiting.verdict({"shares": {"ray": [0.929, 0.9, 0.95]}})
    row = {"size": 10, "microseconds": {"RayEvaluator": [30.0, 40.0, 50.0], "multiprocessing.Pool": [20.0]}}
    assert trivial.verdict({"rows": [row]}) == "An evaluation costs 2.0 times multiprocessing.Pool at calls of 10."
