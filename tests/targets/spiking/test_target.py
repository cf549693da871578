"""Units of networks as targets: names, places, recordings, and answers that no other stimulus changes."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import numpy as np
import pytest
import snntorch
import torch
from torch import Tensor, nn

from mango.errors import InputError, MangoError, UnknownName
from mango.targets.places import parse_place
from mango.targets.spiking import SpikingNetwork, SpikingTarget, cifar10
from mango.testing import check_target
from tests.targets.spiking.examples import SHAPE, Deciding, convolutional, leaky, stimuli

STEPS = 12


@cache
def network() -> SpikingNetwork:
    return SpikingNetwork(convolutional(), steps=STEPS, stimulus_shape=SHAPE)


@pytest.mark.parametrize(
    ("layer", "unit", "name"),
    [
        (None, (), "7@rate"),
        (None, 3, "7/3@rate"),
        ("2", (), "2@rate"),
        ("2", 0, "2/0@rate"),
        ("2", np.int64(4), "2/4@rate"),
        ("2", (5, 4, 0), "2/5,4,0@rate"),
        ("2", [None, 3, 4], "2/*,3,4@rate"),
        ("2", (2, None, 1), "2/2,*,1@rate"),
    ],
)
def test_names_name_the_same_again(layer: str | None, unit: Any, name: str) -> None:
    target = SpikingTarget(network(), layer, unit)
    assert target.name == name
    assert SpikingTarget(network(), *parse_place(name)).name == name
    assert target.quantity == "spikes per step"


@pytest.mark.parametrize(
    ("layer", "unit", "readout", "kind", "says"),
    [
        ("3", 0, "rate", UnknownName, "unknown layer '3'; known: 2, 4, 7"),
        ("2", 0, "latence", UnknownName, "did you mean latency"),
        ("2", 6, "rate", InputError, "2: unit 6 is out of range; expected 0 to 5"),
    ],
)
def test_places_that_are_not_there(layer: str, unit: Any, readout: str, kind: type[MangoError], says: str) -> None:
    with pytest.raises(kind, match=says):
        SpikingTarget(network(), layer, unit, readout)


@pytest.mark.parametrize("readout", ["rate", "count", "latency", "current", "membrane"])
def test_a_recording_holds_what_each_unit_responds(readout: str) -> None:
    images, target = stimuli(5), SpikingTarget(network(), "4", 0, readout)
    units = [7, (0, 1, 2), (None, 2, 0), (3, None, 1), (), 7]
    recorded = target.record(images, units)
    assert recorded.shape == (5, 6)
    for column, unit in zip(recorded.T, units, strict=True):
        answer = SpikingTarget(network(), "4", unit, readout).respond(images)
        assert np.array_equal(column, answer[0] if isinstance(answer, tuple) else answer)
    channels = target.record(images)
    assert channels.shape == (5, 8)
    assert np.array_equal(channels, target.record(images, range(8)))
    assert len(np.unique(channels, axis=1).T) > 3


def test_a_recording_is_one_evaluation(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []
    own = network().read_several
    monkeypatch.setattr(network(), "read_several", lambda *given: calls.append(given) or own(*given))
    SpikingTarget(network(), "2").record(stimuli(3), [1, (2, 2, 2), (None, 1, 1)])
    assert len(calls) == 1


@pytest.mark.parametrize(("units", "says"), [([], "at least one unit"), ([0, 8], "unit 8 is out of range")])
def test_units_that_cannot_be_recorded(units: list[int], says: str) -> None:
    with pytest.raises(InputError, match=says):
        SpikingTarget(network(), "4").record(stimuli(2), units)


def many_features() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Flatten(), nn.Linear(784, 256), leaky(), nn.Linear(256, 32), leaky(threshold=0.1))


def recurrent() -> nn.Module:
    torch.manual_seed(0)
    inner = snntorch.RLeaky(beta=0.9, threshold=0.3, linear_features=256, init_hidden=True)
    return nn.Sequential(nn.Flatten(), nn.Linear(784, 256), inner, nn.Linear(256, 16), leaky(threshold=0.1))


def wide() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 48, 5), nn.MaxPool2d(2), leaky(), nn.Conv2d(48, 32, 5), nn.MaxPool2d(2), nn.BatchNorm2d(32),
        leaky(beta=torch.rand(32, 1, 1)), nn.Flatten(), nn.Linear(800, 64), leaky(), nn.Linear(64, 16), leaky(),
    )  # fmt: skip


class Choosing(nn.Module):
    """Evaluated by its own loop."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = many_features()

    def forward(self, images: Tensor) -> Tensor:
        answer: Tensor = self.inner(images if images.sum() > -1 else -images)
        return answer


GREY = {"stimulus_shape": (1, 28, 28)}
NETWORKS: dict[str, tuple[Callable[[], nn.Module], dict[str, Any]]] = {
    "small": (convolutional, {"steps": 12, "stimulus_shape": SHAPE}),
    "wide": (wide, {"steps": 12}),
    "features": (many_features, {"steps": 25, **GREY}),
    "one step": (many_features, {"steps": 1, **GREY}),
    "two random steps": (many_features, {"steps": 2, "encoder": "rate", **GREY}),
    "recurrent": (recurrent, {"steps": 12, **GREY}),
    "own loop": (Choosing, {"steps": 12, **GREY}),
    "own loop of convolutions": (Deciding, {"steps": 12, "stimulus_shape": SHAPE}),
}


def split(target: SpikingTarget, images: Any, seeds: Any, sizes: Sequence[int]) -> list[np.ndarray]:
    """Values and keys of all images, shown so many at a time."""
    ends = np.cumsum(sizes)
    parts = [target.respond(images[end - n : end], seeds[end - n : end]) for n, end in zip(sizes, ends, strict=True)]
    assert ends[-1] == len(images)
    return [
        np.concatenate(column) for column in zip(*(p if isinstance(p, tuple) else (p,) for p in parts), strict=True)
    ]


def expect_no_difference(target: SpikingTarget) -> None:
    images, seeds = stimuli(16, target.network.stimulus_shape, seed=4), np.arange(16)
    whole = split(target, images, seeds, [16])
    for sizes in ([1] * 16, [2] * 8, [3] * 5 + [1], [5, 5, 5, 1], [4, 12], [1, 15], [8, 7, 1]):
        for one, other in zip(split(target, images, seeds, sizes), whole, strict=True):
            assert np.array_equal(one, other), f"{target.name} in batches of {sizes}"


SLOW = {"wide", "own loop of convolutions"}


@pytest.mark.parametrize("name", [pytest.param(n, marks=[pytest.mark.slow] if n in SLOW else []) for n in NETWORKS])
def test_no_answer_depends_on_its_batch(name: str) -> None:
    make, options = NETWORKS[name]
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".*own loop")
        built = SpikingNetwork(make(), **options)
    assert (built.check is None) == ("own loop" in name)
    for layer in built.layers:
        for unit, readout in (((), "current"), (3, "rate"), (3, "current"), (4, "latency")):
            expect_no_difference(SpikingTarget(built, layer, unit, readout))
    check_target(SpikingTarget(built, unit=1, readout="current"), built.stimulus_shape, tolerance=0)


@pytest.mark.slow
@pytest.mark.parametrize(
    "spec", ["lif1/3", "lif2/17", "lif3/7@membrane", "lif3/2,1,1@latency", "output/cat", "output/9"]
)
def test_no_answer_of_the_zoo_s_network_depends_on_its_batch(spec: str) -> None:
    expect_no_difference(cifar10.make_spiking("snn-cifar10", spec))
