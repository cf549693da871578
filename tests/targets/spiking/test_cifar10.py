"""The zoo's spiking units: names, read-outs against a plain step loop, what the zoo says of nature."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from mango import zoo
from mango.errors import InputError, MangoError, TargetError, UnknownName
from mango.networks.spiking import LayeredNet
from mango.targets import make_target
from mango.targets.preprocess import PREPROCESS
from mango.targets.spiking import readouts
from mango.targets.spiking.cifar10 import Cifar10Unit, network
from mango.targets.spiking.nature import NETWORKS, units_of_note
from mango.testing import check_target

STEPS, LAYERS = NETWORKS["snn-cifar10"].steps, NETWORKS["snn-cifar10"].layers
IMAGES = np.random.default_rng(0).integers(0, 256, (12, 3, 32, 32)).astype(np.float32) / np.float32(255)


@pytest.mark.parametrize(
    ("text", "layer", "unit", "readout"),
    [
        ("lif2/17", "lif2", (17,), "rate"),
        ("lif2/17,3,4@membrane", "lif2", (17, 3, 4), "membrane"),
        ("lif2/*,3,4", "lif2", (None, 3, 4), "rate"),
        ("lif1/*", "lif1", (None,), "rate"),
        ("output/cat", "output", (3,), "rate"),
        ("output/9@latency", "output", (9,), "latency"),
    ],
)
def test_names(text: str, layer: str, unit: tuple[int | None, ...], readout: str) -> None:
    target = make_target(f"snn-cifar10:{text}")
    assert isinstance(target, Cifar10Unit)
    assert (target.layer, target.unit, target.readout) == (layer, unit, readout)
    assert make_target(target.name).name == target.name  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("text", "kind", "says"),
    [
        ("lif4/1", UnknownName, "lif1"),
        ("lif2/128", InputError, "0 to 127"),
        ("lif2/1,8,0", InputError, "row 8 is out of range; expected 0 to 7"),
        ("lif2/1,2,3,4", InputError, "3 axes"),
        ("lif2/", InputError, "0 to 127"),
        ("lif2/-1", InputError, "LAYER/UNIT@READOUT"),
        ("output/kat", UnknownName, "cat"),
        ("output/10", InputError, "0 to 9"),
        ("output/1@rat", UnknownName, "rate"),
        ("after=10:output/1", InputError, "at the end of its training only; got after=10"),
        ("after=ten:output/1", InputError, "expected a number of iterations"),
    ],
)
def test_bad_names_say_what_is_right(text: str, kind: type[MangoError], says: str) -> None:
    with pytest.raises(kind, match=says):
        make_target(f"snn-cifar10:{text}")


@pytest.mark.parametrize("spec", ["lif1/3", "lif2/5,1,2@latency", "lif3/7@membrane", "output/cat@current", "output/0"])
def test_conformance(spec: str) -> None:
    check_target(make_target(f"snn-cifar10:{spec}"), (3, 32, 32))


@pytest.mark.parametrize("model", ["snn-cifar10", "snn-t128-cifar10"])
def test_read_outs_equal_the_network_s_own_loop(model: str) -> None:
    own = zoo.load(model).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    assert isinstance(own, LayeredNet)
    assert own.steps == NETWORKS[model].steps
    with torch.no_grad():
        spikes = own(PREPROCESS(torch.from_numpy(IMAGES[:4])).contiguous(memory_format=torch.channels_last))
    rates = spikes.mean(0).double().numpy()
    assert rates.max() > 0
    assert (network(model).read(IMAGES[:4], "output", (), "rate") == rates).all()
    first = np.where(spikes.any(0), spikes.argmax(0) + 1, own.steps + 1)
    assert (network(model).read(IMAGES[:4], "output", (), "latency") == -first).all()


@pytest.mark.parametrize("model", ["snn-cifar10", "snn-t128-cifar10"])
def test_the_table_s_layers_are_the_network_s(model: str) -> None:
    assert list(network(model).layers.items()) == list(NETWORKS[model].layers.items())


def test_all_layers_at_once_are_each_by_itself() -> None:
    wanted = ("rate", "latency", "current", "membrane")
    for images in (IMAGES, IMAGES[:1]):
        together = network("snn-cifar10").read_layers(images, wanted)
        assert list(together) == list(LAYERS)
        for layer, answers in together.items():
            for one, other in zip(answers, network("snn-cifar10").read_several(images, layer, (), wanted), strict=True):
                assert one.shape == other.shape
                assert (one == other).all()


def test_units_of_the_network_of_128_steps() -> None:
    channel, neuron, large, output = (
        make_target(f"snn-t128-cifar10:{unit}") for unit in ("lif2/5@count", "lif2/5,1,1", "lif1/7,3,3", "output/cat")
    )
    assert channel.summary["natural_maximum"] > 1  # type: ignore[attr-defined]
    assert neuron.summary["natural_maximum"] <= 1  # type: ignore[attr-defined]
    assert large.summary == {}  # type: ignore[attr-defined]
    assert output.name == "snn-t128-cifar10:output/cat@rate"  # type: ignore[attr-defined]
    check_target(neuron, (3, 32, 32))


@pytest.mark.parametrize("layer", LAYERS)
def test_one_unit_is_its_part_of_the_record(layer: str) -> None:
    for readout in readouts.TABLE:
        target = make_target(f"snn-cifar10:{layer}/2@{readout}")
        answer = target.respond(IMAGES)
        values = answer[0] if isinstance(answer, tuple) else answer
        assert values == pytest.approx(target.record(IMAGES)[:, 2], abs=1e-6)  # type: ignore[attr-defined]


def test_a_neuron_is_its_part_of_the_channel() -> None:
    rates = network("snn-cifar10").read(IMAGES, "lif3", (), "rate")
    answer = make_target("snn-cifar10:lif3/4,1,3").respond(IMAGES)
    assert (np.asarray(answer[0]) == rates[:, 4, 1, 3]).all()
    place = make_target("snn-cifar10:lif3/*,1,3").respond(IMAGES)
    assert np.asarray(place[0]) == pytest.approx(rates[:, :, 1, 3].mean(1))
    whole = make_target("snn-cifar10:lif3/*").respond(IMAGES)
    assert np.asarray(whole[0]) == pytest.approx(rates.mean((1, 2, 3)))


def test_keys_order_equal_rates_by_the_input_current() -> None:
    values, keys = make_target("snn-cifar10:output/1").respond(IMAGES)
    current = make_target("snn-cifar10:output/1@current").respond(IMAGES)
    assert keys == pytest.approx(current)
    assert len(values) == len(IMAGES)


def test_the_answer_does_not_depend_on_what_came_before() -> None:
    target = make_target("snn-cifar10:lif3/1")
    first = np.asarray(target.respond(IMAGES))
    target.respond(1 - IMAGES)
    assert (np.asarray(target.respond(IMAGES)) == first).all()


def test_wrong_stimuli_are_refused() -> None:
    with pytest.raises(TargetError, match=r"\(n, 3, 32, 32\)"):
        make_target("snn-cifar10:output/1").respond(np.zeros((2, 1, 28, 28), np.float32))


def test_nature_is_known_for_every_unit() -> None:
    for layer, shape in LAYERS.items():
        for unit in {0, shape[0] - 1}:
            summary = make_target(f"snn-cifar10:{layer}/{unit}").summary  # type: ignore[attr-defined]
            assert 0 <= summary["natural_median"] <= summary["natural_p999"] <= summary["natural_maximum"] <= 1
            assert 0 <= summary["silent_share"] <= 1
    neuron = make_target("snn-cifar10:lif2/3,0,0@latency").summary  # type: ignore[attr-defined]
    assert -(STEPS + 1) <= neuron["natural_maximum"] <= -1


def test_nature_of_counts_and_of_places() -> None:
    rate, count, place, whole = (
        make_target(f"snn-cifar10:{unit}").summary  # type: ignore[attr-defined]
        for unit in ("lif2/17", "lif2/17@count", "lif2/*,3,4", "lif2/*")
    )
    assert count["natural_maximum"] == STEPS * rate["natural_maximum"] > 0
    assert count["silent_share"] == rate["silent_share"]
    assert place == whole == {}


def test_a_recording_of_channels_and_neurons() -> None:
    target = make_target("snn-cifar10:lif3/0")
    recorded = target.record(IMAGES, [4, (4, 1, 3)])  # type: ignore[attr-defined]
    for column, unit in zip(recorded.T, ("4", "4,1,3"), strict=True):
        assert (column == np.asarray(make_target(f"snn-cifar10:lif3/{unit}").respond(IMAGES)[0])).all()
    assert target.record(IMAGES).shape == (len(IMAGES), 256)  # type: ignore[attr-defined]


def test_units_of_note() -> None:
    notes = units_of_note("snn-cifar10")
    assert list(notes) == list(LAYERS)
    for note in notes.values():
        assert not set(note["silent"]) & set(note["saturated"])
