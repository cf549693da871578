"""The training of series classifiers: resumed it equals never killed, and it learns."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from experiments.train.series import NOISE, augment
from mango import zoo
from tests.experiments.trainings import ROOT, Train, training

TSLEARN = """
import numpy as np

class CachedDatasets:
    def load_dataset(self, name):
        assert name == "Trace"
        rng = np.random.default_rng(0)
        labels = np.arange(60) % 4
        waves = np.sin(np.linspace(0, 6, 275) * (1 + 3 * labels[:, None])) + 0.1 * rng.normal(size=(60, 275))
        return waves[:40, :, None], labels[:40] + 1, waves[40:, :, None], labels[40:] + 1
"""


@pytest.fixture(scope="module")
def train(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Train]:
    """In processes that find a small data set where the package would be."""
    package = tmp_path_factory.mktemp("packages") / "tslearn"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "datasets.py").write_text(TSLEARN)
    with training({**os.environ, "PYTHONPATH": f"{package.parent}:{ROOT}"}) as run:
        yield run


def words(out: Path, iterations: int) -> list[str]:
    return ["--name", "trace", "--out", str(out), "--device", "cpu", "--every", "2", "--iterations", str(iterations)]


@pytest.mark.slow
def test_killed_and_resumed_equals_never_killed(train: Train, tmp_path: Path) -> None:
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    assert train("series", words(whole, 9)) == 0
    assert train("series", words(killed, 9), dying=True) == -signal.SIGKILL
    assert train("series", words(killed, 9)) == 0
    one, other = (replace(zoo.card("series-trace", folder), date="") for folder in (whole, killed))
    assert one == other
    assert one.command == (
        "python -m experiments.train.series --out DIR --seed 0 --threads 1 --iterations 9 --name trace"
    )


@pytest.mark.slow
def test_it_learns_and_publishes_what_the_zoo_needs(train: Train, tmp_path: Path) -> None:
    assert train("series", [*words(tmp_path / "out", 150), "--every", "200"]) == 0
    assert zoo.card("series-trace", tmp_path / "out").figures["accuracy"] > 0.9
    nature = zoo.nature("series-trace", tmp_path / "out")
    assert nature["natural_series"].shape == (40, 275)
    assert nature["output.channel"].shape == (4, 4)
    weights = zoo.load("series-trace", tmp_path / "out").state_dict().values()
    assert all(torch.equal(value, value.half().float()) for value in weights)


def test_augmented_series_are_shifted_and_noisy() -> None:
    series = torch.linspace(-99, 99, 100).expand(500, 1, 100).contiguous()  # 2 more from each point to the next
    moved = augment(series, torch.Generator().manual_seed(0))
    assert torch.equal(moved, augment(series, torch.Generator().manual_seed(0)))
    shifts = ((moved - series)[:, 0, 20:80].mean(1) / 2).round()
    assert set(shifts.tolist()) == set(range(-5, 6))
    noise = (moved - series)[:, 0] - 2 * shifts[:, None]
    assert abs(float(noise[:, 20:80].std()) - NOISE) < 0.005
    assert float(moved.max()) < 99 + 6 * NOISE  # the ends are drawn on, not rolled round
    assert float(moved[:, 0, 0].max()) < -88
