from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from experiments.benchmarks.bbob import ecdf


def test_hits_and_area() -> None:
    run = np.array([[1, 500.0], [20, 50.0], [200, 1e-3], [2000, 1e-9]])
    reached = ecdf.hits({"one": {1: [run]}}, continuous=True)["one"][1][0]
    assert reached[0] == 20
    assert reached[25] == 200  # the target 1e-3
    assert reached[26] == reached[50] == 2000
    # at 20 axes: two targets at once, then those down to 1e-3 after one decade, the rest at the very end
    assert ecdf.area(reached[None], 20) == pytest.approx((2 + 24 * 0.5) / 51)
    assert ecdf.area(np.full((1, 51), np.inf), 20) == 0


def test_pbo_targets_lie_between_the_first_and_the_best_value() -> None:
    slow, fast = np.array([[1, 10.0], [50, 61.0]]), np.array([[1, 10.0], [5, 61.0]])
    reached = ecdf.hits({"slow": {1: [slow]}, "fast": {1: [fast]}}, continuous=False)
    assert (reached["slow"][1] == 50).all()
    assert (reached["fast"][1] == 5).all()


def test_differences_are_paired() -> None:
    middle, low, high = ecdf.difference({1: 0.3, 2: 0.6, 3: 0.9}, {1: 0.2, 2: 0.4, 4: 0.0})
    assert middle == pytest.approx(0.15)
    assert (low, high) == pytest.approx((0.1, 0.2))


def test_logs_are_read_run_by_run(tmp_path: Path) -> None:
    (tmp_path / "a.dat").write_text("% f\n1 0 +2.0e+01 1 1\n7 0 +1.5e+00 1 1\n% f\n1 0 +3.0e+01 1 1\n")
    first, second = ecdf.runs(tmp_path / "a.dat", "%", 2)
    np.testing.assert_array_equal(first, [[1, 20], [7, 1.5]])
    np.testing.assert_array_equal(second, [[1, 30]])


@pytest.mark.slow
def test_smoke_and_resume(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for package in ("cocoex", "ioh", "cma"):
        pytest.importorskip(package)
    from experiments.benchmarks.bbob.__main__ import main

    arguments = ["--smoke", "--methods", "auto", "pycma", "evolution", "--out", str(tmp_path)]
    main(arguments)
    figures = json.loads((tmp_path / "ecdf.json").read_text())
    assert set(figures["BBOB, 20 axes"]) == {"auto", "pycma"}
    assert set(figures["PBO, 64 bits"]) == {"auto", "evolution"}
    assert "| auto |" in capsys.readouterr().out
    logs = {file: file.stat().st_mtime_ns for file in tmp_path.rglob("*.dat")}
    assert len(logs) == 2 * 2 + 2 * 2
    main(arguments)
    assert {file: file.stat().st_mtime_ns for file in tmp_path.rglob("*.dat")} == logs
