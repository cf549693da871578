"""The zoo's classifiers as targets: names, values against the network itself, what the zoo says of nature."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from mango import zoo
from mango.cli import app
from mango.datasets import CIFAR10_CLASSES
from mango.errors import InputError, MangoError, UnknownName
from mango.targets import make_target
from mango.targets.cifar10 import Cifar10Unit
from mango.testing import check_target

MEAN, DEVIATION = (0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616)
IMAGES = np.random.default_rng(0).integers(0, 256, (6, 3, 32, 32)).astype(np.float32) / np.float32(255)
HIDDEN = {"resnet18-cifar10": "layer3/7,3,4", "vgg-cifar10": "stage2/5@max", "vit-cifar10": "blocks.2/9,17"}
NATURE = ("natural_maximum", "natural_p999", "natural_median", "silent_share")


@pytest.mark.parametrize("model", HIDDEN)
def test_logits_are_those_of_the_network(model: str) -> None:
    mean, deviation = (torch.tensor(v).view(3, 1, 1) for v in (MEAN, DEVIATION))
    with torch.no_grad():
        logits = zoo.load(model)((torch.from_numpy(IMAGES) - mean) / deviation).double()
    for number, name in enumerate(CIFAR10_CLASSES):
        target = make_target(f"{model}:output/{name}")
        np.testing.assert_allclose(target.respond(IMAGES), logits[:, number], rtol=1e-4, atol=1e-4)
    probability = make_target(f"{model}:output/3@probability").respond(IMAGES)
    np.testing.assert_allclose(probability, logits.softmax(1)[:, 3], rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize("model", HIDDEN)
def test_names_come_back(model: str) -> None:
    for place in ("output/cat", "output/3@probability", HIDDEN[model]):
        target = make_target(f"{model}:{place}")
        assert isinstance(target, Cifar10Unit)
        again = make_target(target.name)
        assert isinstance(again, Cifar10Unit)
        assert (again.name, again.layer, again.unit, again.readout) == (
            target.name,
            target.layer,
            target.unit,
            target.readout,
        )
    assert make_target(f"{model}:output/3").name == f"{model}:output/cat@logit"  # type: ignore[attr-defined]


@pytest.mark.parametrize("model", HIDDEN)
def test_conformance(model: str) -> None:
    for place in ("output/cat", HIDDEN[model]):
        check_target(make_target(f"{model}:{place}"), (3, 32, 32), tolerance=1e-5)


@pytest.mark.parametrize("model", HIDDEN)
def test_the_zoo_knows_what_natural_images_do(model: str) -> None:
    network: Any = zoo.load(model)
    for layer in network.layers:
        shape = make_target(f"{model}:{layer}/0").classifier.layers[layer]  # type: ignore[attr-defined]
        places = ["0"] if layer == "output" else ["0", ",".join(str(size - 1) for size in shape)]
        for place in places:
            found = make_target(f"{model}:{layer}/{place}").summary  # type: ignore[attr-defined]
            assert tuple(found) == NATURE
            assert found["natural_maximum"] >= found["natural_p999"] >= found["natural_median"]
            assert 0 <= found["silent_share"] <= 1
    for place in (f"{network.layers[0]}/*,0", "output/0@probability", f"{network.layers[0]}/0@max"):
        assert make_target(f"{model}:{place}").summary == {}  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("place", "kind", "says"),
    [
        ("layer9/1", UnknownName, "did you mean layer"),
        ("output/kat", UnknownName, "cat"),
        ("output/10", InputError, "0 to 9"),
        ("output", InputError, "0 to 9"),
        ("layer1/x", InputError, "LAYER/UNIT@READOUT"),
        ("layer4.1/9999", InputError, "out of range"),
        ("output/1@rate", UnknownName, "logit"),
    ],
)
def test_bad_names_say_what_is_right(place: str, kind: type[MangoError], says: str) -> None:
    with pytest.raises(kind, match=says):
        make_target(f"resnet18-cifar10:{place}")


@pytest.mark.slow
@pytest.mark.parametrize("place", ["output/cat", "layer2/3"])
@pytest.mark.usefixtures("undrawn")
def test_a_search_for_a_unit(place: str, tmp_path: Path) -> None:
    words = ["search", "--generator", "vqvae-cifar10", "--target", f"resnet18-cifar10:{place}", "--workers", "0"]
    ran = CliRunner().invoke(app, [*words, "--budget", "60", "--out", str(tmp_path)])
    assert ran.exit_code == 0, ran.output
    found = json.loads((tmp_path / "result.json").read_text())
    assert found["evaluations"] == 60
    assert found["natural_maximum"] == make_target(f"resnet18-cifar10:{place}").summary["natural_maximum"]  # type: ignore[attr-defined]
    assert (tmp_path / "best.png").exists()
