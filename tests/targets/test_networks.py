"""Targets of a user's networks: given as objects, and named by a factory on the command line."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import snntorch
import torch
from torch import nn
from typer.testing import CliRunner

import mango
from mango.cli import app
from mango.errors import InputError, MangoError, OptionError, UnknownName
from mango.targets import make_target
from mango.testing import check_target
from tests.optional import optional
from tests.targets.spiking import factories
from tests.targets.spiking.examples import stimuli
from tests.targets.spiking.factories import SHAPE, STEPS, model

HERE = "tests.targets.spiking.factories"
SEARCH = "search --generator tests.fakes:Tiles --optimizer random --batch 5 --workers 0 --budget 10".split()


def searched(*words: Any) -> Any:
    return CliRunner().invoke(app, [*SEARCH, *map(str, words)])


def test_a_network_as_an_object() -> None:
    options: dict[str, Any] = {"steps": STEPS, "stimulus_shape": SHAPE}
    target = make_target(model(), layer="2", unit=1, readout="rate", **options)
    check_target(target, SHAPE)
    assert target.name == "2/1@rate"  # type: ignore[attr-defined]
    values, _ = target.respond(stimuli(5, SHAPE))
    wrapped = mango.SpikingNetwork(model(), **options)
    assert (make_target(wrapped, layer="2", unit=1).respond(stimuli(5, SHAPE))[0] == values).all()
    last = make_target(wrapped)
    assert (last.layer, last.unit, last.stimulus_shape) == ("5", (), SHAPE)  # type: ignore[attr-defined]


def test_preprocessing_belongs_to_the_target() -> None:
    preprocess = mango.Preprocess(size=SHAPE[1:], mean=(0.5, 0.5, 0.5), std=(0.2, 0.2, 0.2))
    target = make_target(
        model(), layer="2", readout="current", steps=STEPS, stimulus_shape=(3, 20, 20), preprocess=preprocess
    )
    images = stimuli(4, (3, 20, 20))
    with torch.no_grad():
        shown = nn.functional.interpolate(torch.from_numpy(images), SHAPE[1:], mode="bilinear", antialias=True)
        currents = model()[:2]((shown - 0.5) / 0.2)  # type: ignore[index]
    assert target.respond(images) == pytest.approx(currents.mean((1, 2, 3)).numpy(), rel=1e-4)


@pytest.mark.parametrize(
    ("network", "options", "kind", "says"),
    [
        (model, {}, OptionError, "takes layer, unit, readout, steps, .* steps is needed; got none"),
        (model, {"step": 8}, OptionError, "steps is needed; got step"),
        (model, {"steps": 8, "colour": 1}, OptionError, "takes layer, .* got .*colour"),
        (model, {"steps": 0}, OptionError, "steps must be a whole number >= 1; got 0"),
        (model, {"steps": 8, "encoder": "rat"}, UnknownName, "did you mean rate"),
        (model, {"steps": 8, "stimulus_shape": (3, 20, 20)}, InputError, r"neither with images \(4, 3, 20, 20\)"),
        (factories.network, {"steps": 8}, OptionError, "a SpikingNetwork has its options already; got steps"),
        (factories.nothing, {}, InputError, "expected the name of a target or a spiking network .*; got 3"),
        (lambda: nn.Linear(3, 3), {"steps": 8}, InputError, "with spiking neurons .* Linear holds none"),
    ],
)  # fmt: skip
def test_wrong_networks_and_options(network: Any, options: dict[str, Any], kind: type[MangoError], says: str) -> None:
    given = {"stimulus_shape": SHAPE, **options} if options.get("steps") and network is model else options
    with pytest.raises(kind, match=says):
        make_target(network(), **given)


def test_neurons_of_two_packages_are_refused() -> None:
    neuron = optional("spikingjelly.activation_based.neuron")
    mixed = nn.Sequential(nn.Linear(4, 4), neuron.IFNode(), nn.Linear(4, 2), snntorch.Leaky(0.9, init_hidden=True))
    with pytest.raises(InputError, match="Sequential holds those of snntorch and spikingjelly"):
        make_target(mixed, steps=3, stimulus_shape=(4,))


def test_a_factory_is_called_once_for_all_units() -> None:
    before = factories.loaded
    named = [make_target(f"{HERE}:network:2/{unit}@{readout}") for unit in (0, 5) for readout in ("rate", "latency")]
    assert factories.loaded - before <= 1
    assert [target.name for target in named][1] == f"{HERE}:network:2/0@latency"  # type: ignore[attr-defined]
    direct = make_target(f"{HERE}:target")
    again = make_target(f"{HERE}:network:2/1")
    assert (direct.respond(stimuli(4, SHAPE))[0] == again.respond(stimuli(4, SHAPE))[0]).all()


@pytest.mark.parametrize(
    ("spec", "says"),
    [
        ("network", "must return a target .* Name a unit of the network: .*network:LAYER/UNIT, .* 2, 5"),
        ("model", r"it returned Sequential. Wrap it: mango.SpikingNetwork\(network, steps=...\)"),
        ("model:2/1", r"must return a network .* Wrap it: mango.SpikingNetwork\(.* name .*:factory:LAYER"),
        ("target:2/1", "it returned SpikingTarget. A target is named without a unit: .*:target$"),
        ("nothing:2/1", "it returned int$"),
        ("network:lif2/1", "unknown layer 'lif2'; known: 2, 5"),
        ("network:2/6", "2: unit 6 is out of range; expected 0 to 5"),
        ("network:2/cat", "expected LAYER/UNIT@READOUT with UNIT a number"),
        ("network:2/1@rat", "unknown read-out 'rat'; did you mean rate"),
        ("netwrok:2/1", "unknown network factory .* 'netwrok'; did you mean network"),
        ("without_steps:2/1", r"raised TypeError: .*'steps' \(factories.py, line \d+\)"),
        ("dense:2/1", "expected a network with spiking neurons of one of snntorch, .* Sequential holds none"),
        ("larger:2/1", r"larger:2/1 is shown stimuli of shape \(2, 12, 12\); the generator makes \(3, 8, 8\)"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_in_one_message_before_anything_is_written(tmp_path: Path, spec: str, says: str) -> None:
    ran = searched("--target", f"{HERE}:{spec}", "--out", tmp_path / "out")
    assert (ran.exit_code, ran.stdout) == (2, "")
    assert re.search(says, ran.stderr.strip()), ran.stderr
    assert "Traceback" not in ran.output
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
@pytest.mark.usefixtures("undrawn")
def test_a_search_for_a_unit_from_the_command_line(tmp_path: Path) -> None:
    ran = searched("--target", f"{HERE}:network:2/1@current", "--out", tmp_path)
    assert ran.exit_code == 0, ran.output
    found = json.loads((tmp_path / "result.json").read_text())
    assert found["unit"] == f"{HERE}:network:2/1@current"
    assert f"{HERE}:network:2/1@current" in ran.stdout
    assert found["natural_source"] == "500 reconstructed natural images"
    assert found["evaluations"] == 10
    assert (tmp_path / "report.html").exists()


@pytest.mark.slow
@pytest.mark.usefixtures("undrawn")
def test_several_units_are_several_searches(tmp_path: Path) -> None:
    ran = searched("--target", f"{HERE}:network:5/0-1@membrane", "--out", tmp_path)
    assert ran.exit_code == 0, ran.output
    folders = sorted(place.name for place in tmp_path.iterdir() if place.is_dir())
    assert folders == [f"network-5-{unit}@membrane" for unit in range(2)]
    values = [json.loads((tmp_path / folder / "result.json").read_text())["best_value"] for folder in folders]
    assert len(set(values)) == 2
    assert np.isfinite(values).all()
