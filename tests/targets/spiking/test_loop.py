"""A network's own loop: how it is called, what it may not do, and that every run starts anew."""

from __future__ import annotations

import pytest
import snntorch as snn
import torch
from torch import Tensor, nn

from mango.errors import InputError
from mango.targets.spiking.copies import copied
from mango.targets.spiking.loop import OwnLoop
from mango.targets.spiking.packages.snntorch import SnnTorch
from tests.targets.spiking.examples import Looping, leaky

PROBE = torch.rand(4, 20, generator=torch.Generator().manual_seed(0))


class Called(nn.Module):
    """Makes some steps on images, or on trains, whose number it takes from them."""

    def __init__(self, steps: int | None) -> None:
        super().__init__()
        self.steps, self.fc, self.lif, self.unused = steps, nn.Linear(20, 6), leaky(init_hidden=False), leaky()

    def forward(self, x: Tensor) -> Tensor:
        mem = self.lif.init_leaky()
        for step in range(self.steps or len(x)):
            spikes, mem = self.lif(self.fc(x if self.steps else x[step]), mem)
        answer: Tensor = spikes
        return answer


def own(network: nn.Module, steps: int, probe: Tensor = PROBE) -> OwnLoop:
    return OwnLoop(network.eval(), SnnTorch(), steps, probe)


@pytest.mark.parametrize(
    ("network", "style"),
    [(nn.Sequential(nn.Linear(20, 6), leaky()), "step"), (Called(5), "loop"), (Called(None), "time")],
)
def test_the_style_is_found(network: nn.Module, style: str) -> None:
    loop = own(network, 5)
    assert loop.style == style
    assert loop.takes_time is False
    assert len(loop.layers) == 1
    watched = loop.run(PROBE[None], loop.layers)[loop.layers[0]]
    assert watched.currents.shape == watched.spikes.shape == (5, 4, 6)


def test_another_number_of_steps_is_told() -> None:
    with pytest.raises(InputError, match="makes 7 time steps by itself, where steps=5 was given"):
        own(Called(7), 5)


def test_stimuli_of_another_shape_are_told() -> None:
    with pytest.raises(InputError, match=r"neither with images \(4, 21\) nor .* with images RuntimeError: .*shapes"):
        own(nn.Sequential(nn.Linear(20, 6), leaky()), 5, torch.rand(4, 21))


def test_a_neuron_at_several_places_is_several_layers() -> None:
    class Shared(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.fc, self.first, self.shared = nn.Linear(20, 20), leaky(), leaky()

        def forward(self, x: Tensor) -> Tensor:
            answer: Tensor = self.shared(self.fc(self.shared(self.fc(self.first(self.fc(x))))))
            return answer

    loop = own(Shared(), 5)
    assert loop.layers == ("first", "shared#1", "shared#2")
    watched = loop.run(PROBE[None], loop.layers)
    assert torch.equal(watched["shared#1"].currents, watched["shared#2"].currents) is False
    with torch.inference_mode():
        again = loop._network.fc(watched["shared#1"].spikes[3])  # type: ignore[operator]
    assert torch.equal(watched["shared#2"].currents[3], again)

    class Only(Shared):
        def forward(self, x: Tensor) -> Tensor:
            answer: Tensor = self.shared(self.fc(self.shared(self.fc(x))))
            return answer

    with pytest.raises(InputError, match="give each a neuron of its own"):
        own(Only(), 5)


def test_a_network_that_draws_at_random_is_refused() -> None:
    class Noisy(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.lif = leaky()

        def forward(self, x: Tensor) -> Tensor:
            answer: Tensor = self.lif(x + torch.rand_like(x))
            return answer

    loop = own(Noisy(), 5)
    with pytest.raises(InputError, match=r"Noisy gives lif other currents .* encoder='rate'"):
        loop.check_repeats(loop.run(PROBE[None], loop.layers))
    quiet = own(nn.Sequential(nn.Linear(20, 6), leaky()), 5)
    quiet.check_repeats(quiet.run(PROBE[None], quiet.layers))


def test_every_run_starts_anew_and_from_what_the_network_held() -> None:
    class Tracing(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.fc, self.lif, self.level = nn.Linear(20, 6), leaky(), 1.0

        def forward(self, x: Tensor) -> Tensor:
            self.level *= 0.5
            answer: Tensor = self.lif(self.level * self.fc(x))
            return answer

    network = Tracing()
    loop = own(network, 3)
    first = loop.run(PROBE[None], ("lif",))["lif"].currents
    assert torch.equal(loop.run(PROBE[None], ("lif",))["lif"].currents, first)
    assert first[0] == pytest.approx(0.5 * network.fc(PROBE).detach())
    assert network.level == 1.0


def test_a_single_image_is_what_it_is_among_others() -> None:
    loop = own(Looping(5), 5)
    name = loop.layers[0]
    together = loop.run(PROBE[None], (name,))[name]
    alone = loop.run(PROBE[None, 2:3], (name,))[name]
    assert torch.equal(alone.currents[:, 0], together.currents[:, 2])
    assert torch.equal(alone.spikes[:, 0], together.spikes[:, 2])


def test_inputs_are_left_alone() -> None:
    class Shifting(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.lif = leaky()

        def forward(self, x: Tensor) -> Tensor:
            x -= 0.5
            answer: Tensor = self.lif(x)
            return answer

    loop, before = own(Shifting(), 3), PROBE.clone()
    currents = loop.run(PROBE[None], ("lif",))["lif"].currents
    assert torch.equal(PROBE, before)
    assert torch.equal(currents, (PROBE - 0.5).expand(3, -1, -1))


def test_copies_share_parameters_but_no_state() -> None:
    network = nn.Sequential(nn.Linear(20, 6), snn.Leaky(beta=0.9, init_hidden=True))
    network(PROBE).sum().backward()
    network.kept = {"mine": [network[0](PROBE)]}  # type: ignore[assignment]
    twin = copied(network)
    assert twin[0].weight is network[0].weight  # type: ignore[index]
    assert twin[1].mem is not network[1].mem  # type: ignore[index]
    assert torch.equal(twin[1].mem, network[1].mem)  # type: ignore[index, arg-type]
    assert torch.equal(twin.kept["mine"][0], network.kept["mine"][0])  # type: ignore[index]
    assert copied(network, parameters=True)[0].weight is not network[0].weight  # type: ignore[index]
    network.file = open(__file__, encoding="utf-8")  # type: ignore[assignment]
    with network.file, pytest.raises(InputError, match="Sequential cannot be copied: TypeError"):
        copied(network)
