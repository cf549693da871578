"""A network as mango holds it: checked at load, cut into parts that memory holds, on many kinds of layers."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import pytest
import snntorch
import torch
from snntorch._neurons.neurons import SpikingNeuron
from torch import Tensor, nn
from torch.nn import functional as F

from mango.errors import OptionError, TargetError
from mango.targets.spiking import Check, SpikingNetwork, engine
from mango.targets.spiking.arithmetic import rows_matter
from tests.targets.spiking import reference
from tests.targets.spiking.examples import Looping, convolutional, leaky, stimuli

SHAPE = (3, 16, 16)
STEPS = 5


class Written(nn.Module):
    """A network whose forward is a function."""

    def __init__(self, forward: Callable[..., Any], **parts: nn.Module | Tensor) -> None:
        super().__init__()
        self._forward = forward
        for name, part in parts.items():
            if isinstance(part, nn.Module):
                self.add_module(name, part)
            else:
                self.register_buffer(name, part)

    def forward(self, x: Tensor) -> Any:
        return self._forward(self, x)


def lif() -> nn.Module:
    return leaky(threshold=0.3)


def joined(net: Any, x: Tensor) -> Any:
    y = net.first(net.conv(x))
    return net.second(torch.cat([net.conv2(y), y], 1))


def functions_only(net: Any, x: Tensor) -> Any:
    y = net.first(F.conv2d((x - net.mean) / 0.2, net.weight, padding=1))
    y = torch.flatten(F.avg_pool2d(F.dropout(y, 0.5, net.training), 4), 1)
    return net.second(F.linear(y, net.last))


def summed(net: Any, x: Tensor) -> Any:
    return net.second(torch.einsum("nchw,oc->nohw", net.first(x), net.weight).mean((2, 3)))


def unpacked(net: Any, x: Tensor) -> Any:
    y = net.first(x)
    n, colours, height, width = y.shape
    y = (y + torch.zeros(y.shape)).view(y.shape)
    return net.second(net.fc(y.view(n, colours * height * width)))


def split(net: Any, x: Tensor) -> Any:
    left, right = net.first(net.conv(x)).chunk(2, dim=1)
    tokens = torch.cat([right, left], 1).flatten(2).transpose(1, 2)
    mixed, _ = net.attention(tokens, tokens, tokens)
    return net.second(mixed.mean(1))


def normed(net: Any, x: Tensor) -> Any:
    return net.second(net.norm(net.fc(net.first(x).reshape(-1, 768))))


CASES: dict[str, Callable[[], nn.Module]] = {
    "normed weights": lambda: nn.Sequential(lif(), nn.utils.parametrizations.weight_norm(nn.Conv2d(3, 8, 3)), lif()),
    "joined": lambda: Written(
        joined, conv=nn.Conv2d(3, 8, 3), first=lif(), conv2=nn.Conv2d(8, 4, 3, padding=1), second=lif()
    ),
    "functions": lambda: Written(
        functions_only,
        mean=torch.full((3, 1, 1), 0.5),
        weight=torch.randn(8, 3, 3, 3) * 0.3,
        last=torch.randn(10, 128) * 0.3,
        first=lif(),
        second=lif(),
    ),
    "einsum": lambda: Written(summed, first=lif(), weight=torch.randn(5, 3), second=lif()),
    "unpacked": lambda: Written(unpacked, first=lif(), fc=nn.Linear(768, 20), second=lif()),
    "split": lambda: Written(
        split,
        conv=nn.Conv2d(3, 8, 4, 4),
        first=lif(),
        attention=nn.MultiheadAttention(8, 2, batch_first=True),
        second=leaky(threshold=0.02),
    ),
    "layer norm": lambda: Written(normed, first=lif(), fc=nn.Linear(768, 20), norm=nn.LayerNorm(20), second=lif()),
    "up and down": lambda: nn.Sequential(
        nn.Conv2d(3, 8, 3, 2, 1),
        nn.GroupNorm(2, 8),
        lif(),
        nn.Upsample(scale_factor=2),
        nn.ConvTranspose2d(8, 4, 2, 2),
        lif(),
        nn.AdaptiveMaxPool2d(3),
        nn.Flatten(),
        nn.Linear(36, 6),
        lif(),
    ),
    "depthwise": lambda: nn.Sequential(
        lif(),
        nn.Conv2d(3, 6, 3, groups=3, padding="same"),
        nn.PReLU(),
        lif(),
        nn.Conv2d(6, 8, 3, dilation=2, padding=1, padding_mode="circular"),
        nn.Hardtanh(inplace=True),
        lif(),
    ),
    "one dimension": lambda: nn.Sequential(nn.Flatten(2), nn.Conv1d(3, 6, 5, 3), lif(), nn.Conv1d(6, 4, 3), lif()),
    "winner takes all": lambda: nn.Sequential(nn.Flatten(), nn.Linear(768, 8), lif(), nn.Linear(8, 5), inhibited()),
    "odd features": lambda: nn.Sequential(nn.Flatten(), nn.Linear(768, 37), lif(), nn.Linear(37, 3), lif()),
}  # fmt: skip


def inhibited() -> nn.Module:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # snnTorch calls it unstable
        return leaky(threshold=0.1, inhibition=True)


def loaded(name: str, **options: Any) -> tuple[nn.Module, SpikingNetwork]:
    torch.manual_seed(0)
    network = CASES[name]()
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        return network, SpikingNetwork(network, steps=STEPS, stimulus_shape=SHAPE, **options)


@pytest.mark.parametrize("name", CASES)
def test_layers_of_many_kinds(name: str) -> None:
    network, found = loaded(name)
    assert found.check is not None
    for n in (4,) if rows_matter() else (4, 7):  # where torch itself rounds otherwise for 7, nothing can equal both
        images = reference.pictures("natural", n, SHAPE)
        own = reference.own(network, images, STEPS, reference.step_by_step, (SpikingNeuron,))
        assert found.layers == {layer: tuple(spikes.shape[2:]) for layer, (_, spikes) in own.items()}
        for layer in found.layers:
            currents, spikes = reference.of_mango(found, images, layer)
            assert torch.equal(currents, own[layer][0]), layer
            assert torch.equal(spikes, own[layer][1]), layer


@pytest.mark.parametrize("name", ["joined", "odd features"])
def test_parts_that_memory_holds_are_the_whole(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    _, found = loaded(name)
    images = reference.pictures("noise", 19, SHAPE)
    whole = {layer: reference.of_mango(found, images, layer) for layer in found.layers}
    monkeypatch.setattr(engine, "MEMORY", {"cpu": 1})
    for layer, (currents, spikes) in whole.items():
        again = reference.of_mango(found, images, layer)
        assert torch.equal(again[0], currents)
        assert torch.equal(again[1], spikes)


def test_statistics_over_the_images_shown_together_cannot_be_taken_over_steps() -> None:
    class Centred(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.fc, self.second = lif(), nn.Linear(768, 20), lif()

        def forward(self, x: Tensor) -> Tensor:
            y = self.fc(self.first(x).flatten(1))
            answer: Tensor = self.second(y - y.mean(0))
            return answer

    torch.manual_seed(0)
    with pytest.warns(RuntimeWarning, match="spikes per million differ on probe images, and currents by"):
        assert SpikingNetwork(Centred(), steps=STEPS, stimulus_shape=SHAPE).check is None


def test_an_operation_that_takes_one_step_only_is_told() -> None:
    class Fixed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.fc, self.second = lif(), nn.Linear(768, 20), lif()

        def forward(self, x: Tensor) -> Tensor:
            answer: Tensor = self.second(self.fc(self.first(x).view(4, -1)))
            return answer

    with pytest.warns(RuntimeWarning, match="what follows first cannot be evaluated over all steps: RuntimeError"):
        assert SpikingNetwork(Fixed(), steps=STEPS, stimulus_shape=SHAPE).check is None


def test_a_slow_trace_that_flips_no_spike_on_the_probes_is_seen() -> None:
    class Adapting(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.fc, self.lif = nn.Linear(768, 5), lif()
            self.register_buffer("level", torch.zeros(()))
            self.level: Tensor

        def forward(self, x: Tensor) -> Tensor:
            self.level += 1e-4
            answer: Tensor = self.lif(self.fc(x.flatten(1)) + self.level)
            return answer

    torch.manual_seed(0)
    images = reference.pictures("noise", 4, SHAPE)
    with pytest.warns(RuntimeWarning, match="by its own loop"):
        found = SpikingNetwork(Adapting(), steps=STEPS, stimulus_shape=SHAPE)
    torch.manual_seed(0)
    own = reference.own(Adapting(), images, STEPS, reference.step_by_step, (SpikingNeuron,))
    assert torch.equal(reference.of_mango(found, images, "lif")[0], own["lif"][0])


def test_a_bare_neuron_is_a_network() -> None:
    found = SpikingNetwork(snntorch.Leaky(beta=0.5, threshold=0.4), steps=4, stimulus_shape=(6,))
    values = stimuli(3, (6,))
    assert list(found.layers.values()) == [(6,)]
    (layer,) = found.layers
    assert found.read(values, layer, (), "current") == pytest.approx(values)


def test_stimuli_are_checked() -> None:
    found = SpikingNetwork(convolutional(3), steps=3, stimulus_shape=(3, 12, 12))
    with pytest.raises(TargetError, match=r"\(n, 3, 12, 12\)"):
        found.read(stimuli(2, (3, 13, 13)), "2", (), "rate")


@pytest.mark.parametrize("steps", [0, -1, True, 2.0, "8"])
def test_steps_are_checked(steps: Any) -> None:
    with pytest.raises(OptionError, match="steps must be a whole number >= 1; got"):
        SpikingNetwork(Looping(5), steps=steps, stimulus_shape=(20,))


def test_flipped_spikes_per_million() -> None:
    assert Check(3, 2_000_000, currents_equal=False, deviation=0.0).per_million == 1.5
    assert Check(0, 0, currents_equal=True, deviation=0.0).per_million == 0
