from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from experiments.benchmarks.spiking import exact, figure, images, networks, report, speed, ways
from experiments.benchmarks.spiking.__main__ import main

CASE = networks.TABLE["fc"]


@pytest.mark.slow
def test_smoke(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["--smoke", "--out", str(tmp_path)])
    printed = capsys.readouterr().out
    assert "| mango, numba kernels |" in printed
    assert "| mango: natural, generated, random |" in printed
    assert "| fc | 4 |" in printed
    searched = json.loads((tmp_path / "search.json").read_text())
    assert [row["equal_trials"] for row in searched["rows"].values()][:2] == [20, 20]
    timed = json.loads((tmp_path / "speed-fc.json").read_text())
    assert {row["way"] for row in timed["rows"]} >= {"loop", "numba", "dense"}
    assert all(seconds > 0 for row in timed["rows"] for seconds in row["cpu_s"])
    assert {path.name for path in tmp_path.glob("*.png")} == {"speed.png", "exact.png"}
    written = {path: path.stat().st_mtime_ns for path in tmp_path.glob("*.json")}
    main(["--smoke", "--out", str(tmp_path)])  # nothing is measured twice
    assert {path: path.stat().st_mtime_ns for path in tmp_path.glob("*.json")} == written


@pytest.mark.parametrize("name", ["snn-cifar10", "fc", "synaptic"])
def test_the_hoisted_loop_is_the_loop(name: str) -> None:
    case = networks.TABLE[name]
    shown = case.preprocess(case.shown("generated", 2, None))
    with torch.no_grad():
        own, hoisted = ways.loop(case)(shown), ways.hoisted(case)(shown)
    assert own.shape == (2, 10)
    assert (own - hoisted).abs().max() <= 2 / case.steps  # a spike may flip where sums are reordered


def test_the_network_is_the_same_each_time() -> None:
    first, second = CASE.build().state_dict(), CASE.build().state_dict()
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_multiplications_of_a_known_network() -> None:
    assert ways.multiplications(CASE) == 784 * 1000 + CASE.steps * 1000 * 10


@pytest.mark.parametrize("kind", list(images.KINDS))
def test_images_are_of_the_networks_shape(kind: str) -> None:
    for shape in (networks.GREY, networks.COLOUR):
        shown = images.KINDS[kind](3, shape, None)
        assert shown.shape == (3, *shape)
        assert shown.min() >= 0
        assert shown.max() <= 1


def test_flips_are_found() -> None:
    """A network that is not the one that was brought must show in the counts."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fast = ways.target(CASE)
    other = CASE.build()
    for module in other.modules():
        if isinstance(module, nn.Linear):
            module.weight *= 1.05
    shown = CASE.shown("random", 4, None)
    layers = list(fast.layers)
    same, changed = (exact.own_trains(CASE, net, layers, shown, 4)[layers[0]] for net in (CASE.build(), other))
    found = exact._fast_train(fast, layers[0], shown)
    assert exact._flips(same, found) == 0
    assert exact._flips(changed, found) > 0


def timed(name: str, **seconds: float) -> dict[str, Any]:
    rows = [
        {"way": way, "batch": 16, "cpu_s": [s], "per_s": 16 / s, "least": 16 / s, "most": 16 / s, "peak_mib": 1.0}
        for way, s in seconds.items()
    ]
    loads = {way: {"load_s": 0.1} for way in seconds}
    return {"network": name, "words": "", "steps": 4, "skipped": {"c": "no compiler"}, "loads": loads, "rows": rows}


def test_the_verdicts_say_what_was_measured() -> None:
    fast = timed("t128", loop=10.0, engine=2.0, numba=1.0)
    assert speed.faster(fast, "engine", 16) == 5
    said = report.verdict([fast, timed("fc", loop=1.0, engine=2.0, numba=0.1)])
    assert "mango, torch only on t128: 5.0 times; demanded 4: met." in said
    assert "median over 2 networks: 2.8; demanded 3: NOT met." in said
    assert "mango, torch only slower than the loop: fc at batch 16 (0.50)." in said
    assert "mango, numba kernels slower than the loop: never." in said
    assert "mango, C kernels: none, no compiler." in report.table(fast)
    assert figure.speed_png([fast]).startswith(b"\x89PNG")


def test_flips_beyond_the_loop_are_named() -> None:
    row = {"layer": "a", "compared": 1000, "spikes": 10, "mango": 1, "loop": {"1": [0, 500], "4": [1, 500]}}
    measured = {"network": "fc", "kind": "random", "rows": [row]}
    assert exact.worst(row) == 2000
    assert "beyond the loop by itself: nowhere" in report.exact_verdict([measured])
    worse = {**measured, "rows": [{**row, "mango": 3}]}
    assert "beyond the loop by itself: fc a on random images" in report.exact_verdict([worse])
