"""The ablation runs in small, every variant differs from the method it is cut from, and the tables count right."""

from __future__ import annotations

from pathlib import Path

import pytest

from experiments.benchmarks.tt_ablation import report
from experiments.benchmarks.tt_ablation.__main__ import Run, grid, main, search
from experiments.benchmarks.tt_ablation.variants import DISCRETE, PARTS, PEERS


@pytest.mark.slow
def test_smoke(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["--smoke", "--out", str(tmp_path)])
    printed = capsys.readouterr().out
    for method in (*PEERS, *PARTS):
        assert f"| {method} | 1 |" in printed
    assert "| QUBO, 60 x 2 | tt |" in printed
    before = {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
    main(["--smoke", "--out", str(tmp_path)])  # finished runs are kept
    assert {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()} == before


def test_every_run_has_a_name_of_its_own() -> None:
    runs = list(grid())
    assert len({run.name for run in runs}) == len(runs)
    assert {run.method for run in runs} == {*PEERS, *PARTS, *DISCRETE}


def test_parts_change_the_search_where_they_are_used() -> None:
    curves = {method: search(Run("discrete", "Rastrigin, 20 x 32", method, 0), 1000)["curve"] for method in DISCRETE}
    assert len({tuple(curve) for curve in curves.values()}) == len(DISCRETE)


def test_scores_are_relative_to_the_natural_median_and_the_best_of_all() -> None:
    rows = [
        {"place": "p", "problem": "u", "method": name, "seed": seed, "batch": 20, "median": 1.0, "ms": 0.5, "curve": c}
        for name, seed, c in [("tt", 0, [2.0, 3.0]), ("tt", 1, [2.0, 5.0]), ("cma", 0, [1.0, 2.0])]
    ]
    assert report.reference(rows) == {"u": 5.0}
    table = report.text(rows, (20, 40))
    assert "| tt | 2 | 0.250 | 0.750 |  | 0.50 |" in table
    assert "| cma | 1 | 0.000 | 0.250 | 0.250 (0.250 to 0.250) | 0.50 |" in table
