from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from experiments.benchmarks.protes.problems import FORBIDDEN, PUBLISHED, control_losses, forbidden, problem


def test_forbidden_starts() -> None:
    codes = np.array([[0, 1, 0, 0], [1, 0, 1, 1], [1, 1, 0, 1], [1, 1, 1, 0], [0, 0, 1, 0]])
    assert forbidden(codes).tolist() == [True, True, True, False, False]


def test_a_control_that_holds_the_state_costs_little() -> None:
    held, state = np.zeros(100, np.int64), 0.8
    for k in range(1, 100):
        held[k] = state > 0.7
        state += (state**3 - held[k]) / 99
    random = np.random.default_rng(0).integers(0, 2, (20, 100))
    assert control_losses(held[None])[0] < 0.5 * control_losses(random).min()
    assert np.isfinite(control_losses(np.stack([np.zeros(100, np.int64), np.ones(100, np.int64)]))).all()


def test_published_values_are_ten_each() -> None:
    assert all(sorted(column) == list(range(11, 21)) for column in PUBLISHED.values())


@pytest.mark.slow
def test_the_steps_are_those_of_gekko() -> None:
    for package in ("teneva_bm", "gekko"):
        pytest.importorskip(package)
    rng = np.random.default_rng(1)
    for number in (15, 16, 17, 18):
        task = problem(number)
        codes = rng.integers(0, 2, (3, task.dim))
        codes[:, :2] = 1
        codes[:, 2] = number != 18  # 1 1 0 is forbidden in 18
        losses = [task.confirmed(code) for code in codes]
        agreed = [loss for loss in losses if loss < 1e40]
        np.testing.assert_allclose(task.losses(codes)[np.array(losses) < 1e40], agreed, rtol=1e-4)
        if number == 18:
            assert losses == [FORBIDDEN] * 3


@pytest.mark.slow
def test_smoke(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for package in ("teneva_bm", "gekko", "qubogen"):
        pytest.importorskip(package)
    from experiments.benchmarks.protes.__main__ import main

    main(["--smoke", "--methods", "evolution", "--out", str(tmp_path)])
    runs = [json.loads(file.read_text()) for file in tmp_path.glob("*.json")]
    assert {run["problem"] for run in runs} == {11, 15}
    assert all(run["loss"] == pytest.approx(run["found"], rel=1e-4) for run in runs)
    assert "| P-15 |" in capsys.readouterr().out
