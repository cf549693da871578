from __future__ import annotations

import json
from pathlib import Path

import pytest

from experiments.benchmarks.overhead import loop, proposals
from experiments.benchmarks.overhead.__main__ import main


@pytest.mark.slow
def test_smoke(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["--smoke", "--out", str(tmp_path)])
    printed = capsys.readouterr().out
    assert "| 20 x 4 | 10 |" in printed
    assert "| local | 40 |" in printed
    written = json.loads((tmp_path / "overhead.json").read_text())
    assert {"machine", "versions", "proposals", "loop", "growth"} == set(written)
    assert all(row["mango"]["cpu_ms"] > 0 for row in written["proposals"]["rows"])
    assert [row["evaluations"] for row in written["loop"]["rows"]] == [40]
    assert {"auto", "pycma"} <= {row["method"] for row in written["growth"]["rows"]}
    assert all(row["ms"] > 0 and row["state_mb"] > 0 for row in written["growth"]["rows"])


def test_the_verdicts_say_what_was_measured() -> None:
    rows = [{"batch": 10, "faster": [7.5, 7.0, 8.0]}, {"batch": 100, "faster": [2.0, 2.0, 2.0]}]
    assert "at least 7.5 times faster; demanded: 6: met" in proposals.verdict({"rows": rows})
    slower = [*rows, {"batch": 10, "faster": [5.5, 5.0, 6.5]}]
    assert "at least 5.5 times faster; demanded: 6: NOT met" in proposals.verdict({"rows": slower})
    assert "protes is not installed" in proposals.verdict({"rows": [{"batch": 10}]})
    assert "at most 4.0% of the search; demanded: under 10%: met" in loop.verdict({"rows": [{"share": 0.04}]})
    assert "NOT met" in loop.verdict({"rows": [{"share": 0.04}, {"share": 0.3}]})


def test_tables_without_a_peer() -> None:
    row = {"axes": 20, "points": 4, "batch": 10, "mango": {"cpu_ms": 0.05, "first_s": 1.0}}
    assert "| 20 x 4 | 10 | 0.050 | not installed |" in proposals.table({"rows": [row]})
