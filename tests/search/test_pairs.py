"""Every generator with every target that takes its stimuli: a tiny search, from codes to a picture.

The two lists below name what a new row of the tables has to be searched with; a test fails until it is there.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

from mango import make_generator, make_target
from mango.generators import TABLE as GENERATORS
from mango.search import search
from mango.search.settings import Settings
from mango.targets import TABLE as TARGETS

IMAGES = ("vqvae-cifar10", "sngan-cifar10", "sngan-cifar10:2", "dgn-cifar10", "pixels")
VIEWERS = (
    "snn-cifar10:lif2/7",
    "snn-t128-cifar10:output/cat",
    "snn-resnet-cifar10:output/ship@current",
    "resnet18-cifar10:layer2/5",
    "vgg-cifar10:output/dog",
    "vit-cifar10:blocks.3/17",
    "simulated:fano=2:snn-cifar10:output/cat",
)
BY_LENGTH = {
    "series-trace:output/1": ("series:identity:275", "series:smoothed:trace", "series:bandlimited:trace:16"),
    "series-gunpoint:output/gun": ("series:identity:gunpoint", "series:smoothed:150", "series:bandlimited:150:8"),
}
FUNCTIONS = {
    "identity:box:4": ("sphere", "ellipsoid", "rastrigin", "rosenbrock"),
    "identity:grid:6:2": ("leadingones", "qubo"),
}
PAIRS = [
    *((generator, target) for generator in IMAGES for target in VIEWERS),
    *((generator, target) for target, generators in BY_LENGTH.items() for generator in generators),
    *((generator, target) for generator, targets in FUNCTIONS.items() for target in targets),
]


def family(name: str) -> str:
    return name.partition(":")[0]


def test_every_row_of_the_tables_is_searched() -> None:
    assert {family(generator) for generator, _ in PAIRS} == set(GENERATORS)
    assert {family(target) for _, target in PAIRS} == set(TARGETS)


def params(*, drawn: bool) -> list[object]:
    """Drawn are one pair of each generator of images, of each viewer and of each other kind."""
    one = {(IMAGES[i % len(IMAGES)], viewer) for i, viewer in enumerate(VIEWERS)}
    one |= {(generators[0], target) for target, generators in BY_LENGTH.items()}
    one |= {(generator, targets[0]) for generator, targets in FUNCTIONS.items()}
    return [
        pytest.param(*pair, id=" ".join(pair), marks=[pytest.mark.slow] if pair[0] in IMAGES and not drawn else [])
        for pair in PAIRS
        if (pair in one) == drawn
    ]


@pytest.mark.parametrize(("generator", "target"), params(drawn=True))
def test_a_tiny_search(generator: str, target: str, tmp_path: Path) -> None:
    searched(generator, target, tmp_path / "out")
    assert np.asarray(Image.open(tmp_path / "out" / "best.png").convert("L")).std() > 1


@pytest.mark.usefixtures("undrawn")
@pytest.mark.parametrize(("generator", "target"), params(drawn=False))
def test_a_tiny_search_of_any_other_pair(generator: str, target: str, tmp_path: Path) -> None:
    searched(generator, target, tmp_path / "out")


def searched(generator: str, target: str, out: Path) -> None:
    found = search(Settings(generator=generator, target=target, budget=12, batch=6, workers=0, seed=1), out)
    assert found["evaluations"] == 12
    assert found == json.loads((out / "result.json").read_text())
    values = pq.read_table(out / "trials.parquet")["value"].to_numpy()
    if not found["responded"]:
        assert np.ptp(values) == 0, "noise drives few units"
        assert generator == "pixels"
        return
    assert found["best_value"] == values.max()
    unit = make_target(target)
    if not getattr(unit, "stochastic", False):
        answer = unit.respond(make_generator(generator).decode(np.array([found["best_code"]])))
        again = answer[0] if isinstance(answer, tuple) else answer
        assert again[0] == pytest.approx(found["best_value"], rel=1e-5, abs=1e-6)
