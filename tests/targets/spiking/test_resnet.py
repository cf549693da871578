"""The zoo's residual network on SpikingJelly: its own loop, its layers, and states of its training as targets."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
import pytest
import torch

from mango import zoo
from mango.errors import InputError, OptionError
from mango.search.settings import expand_targets
from mango.targets import make_target
from mango.targets.preprocess import PREPROCESS
from mango.targets.spiking.cifar10 import network
from mango.targets.spiking.nature import NETWORKS
from mango.testing import check_target
from tests.optional import optional

MODEL = "snn-resnet-cifar10"
IMAGES = np.random.default_rng(0).integers(0, 256, (4, 3, 32, 32)).astype(np.float32) / np.float32(255)


def test_without_spikingjelly_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "spikingjelly", None)
    monkeypatch.setitem(sys.modules, "spikingjelly.activation_based", None)
    monkeypatch.delitem(sys.modules, "mango.networks.spiking_resnet", raising=False)
    with pytest.raises(OptionError, match=r"pip install 'mango-neuro\[spikingjelly\]'"):
        zoo.load(MODEL)


@pytest.fixture(scope="module")
def functional() -> Any:
    return optional("spikingjelly.activation_based.functional")


@pytest.mark.parametrize("after", [None, 0])
def test_rates_equal_the_network_s_own_loop(functional: Any, after: int | None) -> None:
    own: Any = zoo.load(MODEL, after=after)
    assert own.steps == NETWORKS[MODEL].steps
    functional.reset_net(own.to(memory_format=torch.channels_last))
    shown = PREPROCESS(torch.from_numpy(IMAGES)).contiguous(memory_format=torch.channels_last)
    with torch.no_grad():
        spikes = torch.stack([own(shown) for _ in range(own.steps)])
    rates = spikes.mean(0).double().numpy()
    assert rates.max() > 0
    assert (network(MODEL, after=after).read(IMAGES, "output", (), "rate") == rates).all()


@pytest.mark.usefixtures("functional")
def test_the_table_s_layers_are_the_network_s() -> None:
    assert list(network(MODEL).layers.items()) == list(NETWORKS[MODEL].layers.items())


@pytest.mark.usefixtures("functional")
def test_states_of_the_training_are_targets() -> None:
    moments = zoo.moments(MODEL)
    assert len(moments) >= 8
    assert moments[0] == 0
    answers = []
    for after in moments:
        target: Any = make_target(f"{MODEL}:after={after}:layer2.0.sn1/3")
        assert target.name == f"{MODEL}:after={after}:layer2.0.sn1/3@rate"
        assert make_target(target.name).name == target.name  # type: ignore[attr-defined]
        assert target.summary == {}
        answers.append(target.record(IMAGES))
    assert all((one != other).any() for i, one in enumerate(answers) for other in answers[:i])
    trained: Any = make_target(f"{MODEL}:layer2.0.sn1/3")
    assert (trained.record(IMAGES) == answers[-1]).all()
    assert 0 < trained.summary["natural_maximum"] <= 1
    check_target(trained, (3, 32, 32))


@pytest.mark.usefixtures("functional")
def test_another_moment_is_refused() -> None:
    with pytest.raises(InputError, match="got after=7"):
        make_target(f"{MODEL}:after=7:output/cat")


def test_ranges_of_units_at_a_moment() -> None:
    named = expand_targets(f"{MODEL}:after=0:layer1.0.sn1/0-2@rate")
    assert named == [f"{MODEL}:after=0:layer1.0.sn1/{unit}@rate" for unit in range(3)]
