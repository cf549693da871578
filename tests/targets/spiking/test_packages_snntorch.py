"""Networks of snnTorch, whatever their style: the trains of their own loop, to the last bit."""

from __future__ import annotations

import warnings
from functools import cache

import pytest
import snntorch
import torch
from snntorch._neurons.neurons import SpikingNeuron
from torch import nn

from mango.targets.spiking import SpikingNetwork, SpikingTarget
from mango.targets.spiking.packages.snntorch import SnnTorch
from tests.targets.spiking import reference
from tests.targets.spiking.snntorch_networks import CASES, SHAPE, STEPS, build

TRACED = [name for name, case in CASES.items() if case.traced]
OTHERS = [name for name, case in CASES.items() if not case.traced]


@cache
def network(name: str) -> SpikingNetwork:
    with warnings.catch_warnings():
        warnings.simplefilter("error" if CASES[name].traced else "ignore", RuntimeWarning)
        return SpikingNetwork(build(name), steps=STEPS, stimulus_shape=SHAPE)


@pytest.mark.parametrize("n", [4, 7])
@pytest.mark.parametrize("kind", ["noise", "smooth", "natural"])
@pytest.mark.parametrize("name", CASES)
def test_every_layer_is_that_of_the_own_loop(name: str, kind: str, n: int) -> None:
    images = reference.pictures(kind, n, SHAPE)
    own = reference.own(build(name), images, STEPS, CASES[name].run, (SpikingNeuron,))
    fired = set()
    if name == "twice":  # called at two places of each step
        own |= {f"shared#{i}": tuple(trains[i - 1 :: 2] for trains in own["shared"]) for i in (1, 2)}
        del own["shared"]
    for layer in network(name).layers:
        currents, spikes = reference.of_mango(network(name), images, layer)
        assert torch.equal(currents, own[layer][0]), layer
        assert torch.equal(spikes, own[layer][1]), layer
        fired |= {layer} if spikes.any() and not spikes.all() else set()
    assert fired == set(network(name).layers)
    assert set(network(name).layers) == set(own)


@pytest.mark.parametrize("name", TRACED)
def test_what_is_feed_forward_is_evaluated_over_all_steps(name: str) -> None:
    check = network(name).check
    assert check is not None
    assert (check.flipped, check.currents_equal) == (0, True)


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("feedback", "feeds a neuron of another step"),
        ("membrane", "uses the state of lif1"),
        ("changed_state", "another state than the one that it returned"),
        ("waning", "its steps differ"),
        ("deciding", "cannot be traced"),
        ("remembering", "goes on from what an earlier one left"),
        ("lstm", "lstm keeps a state of its own"),
        ("twice", "'shared': 12"),
    ],
)
def test_what_is_not_is_evaluated_by_its_own_loop_and_says_why(name: str, why: str) -> None:
    with pytest.warns(RuntimeWarning, match=f"{type(build(name)).__name__} is evaluated by its own loop .*({why})"):
        found = SpikingNetwork(build(name), steps=STEPS, stimulus_shape=SHAPE)
    assert found.check is None


@pytest.mark.parametrize("name", CASES)
def test_an_answer_depends_on_the_image_alone(name: str) -> None:
    images = reference.pictures("noise", 6, SHAPE)
    layer = list(network(name).layers)[-1]
    target = SpikingTarget(network(name), layer, 1)
    rates, keys = target.respond(images)
    again = target.respond(images)
    assert (rates == again[0]).all()
    assert (keys == again[1]).all()
    for i in (0, 5):
        rate, key = target.respond(images[i : i + 1])
        assert rate[0] == rates[i]
        assert key[0] == pytest.approx(keys[i], rel=1e-6)  # torch's last bit depends on where a row begins in memory


def test_the_user_s_network_is_left_as_it_was() -> None:
    mine = build("chain").train()
    assert isinstance(mine[2], snntorch.Leaky)
    answer, _ = mine(torch.rand(5, *SHAPE))
    answer.sum().backward()
    before = {name: (id(value), value.clone()) for name, value in [*mine.named_buffers(), *mine.named_parameters()]}
    hidden = mine[2].mem
    assert not hidden.is_leaf
    found = SpikingNetwork(mine, steps=STEPS, stimulus_shape=SHAPE)
    images = reference.pictures("natural", 3, SHAPE)
    rates = found.read(images, "10", (), "rate")
    assert mine.training
    assert mine[5].training
    assert mine[2].mem is hidden
    after = {name: (id(value), value.clone()) for name, value in [*mine.named_buffers(), *mine.named_parameters()]}
    assert before.keys() == after.keys()
    assert all(before[name][0] == after[name][0] and torch.equal(before[name][1], after[name][1]) for name in before)
    assert all(parameter.requires_grad and parameter.grad is not None for parameter in mine.parameters())
    assert not any(module._forward_hooks for module in mine.modules())
    with torch.no_grad():
        mine[0].weight.zero_()
    assert (found.read(images, "10", (), "rate") == rates).all()


def test_left_over_state_does_not_matter() -> None:
    used, fresh = build("tutorial"), build("tutorial")
    used(torch.rand(9, *SHAPE))
    images = reference.pictures("noise", 4, SHAPE)
    rates = [
        SpikingNetwork(one, steps=STEPS, stimulus_shape=SHAPE).read(images, "lif3", (), "rate") for one in (used, fresh)
    ]
    assert (rates[0] == rates[1]).all()


@pytest.mark.parametrize(
    "neuron",
    [
        snntorch.Leaky(beta=0.8, threshold=0.7),
        snntorch.Leaky(beta=0.8, threshold=0.7, reset_mechanism="zero", reset_delay=False),
        snntorch.Synaptic(alpha=0.5, beta=0.8, threshold=0.7),
        snntorch.Alpha(alpha=0.9, beta=0.8, threshold=0.3),
        snntorch.Lapicque(beta=0.8, threshold=0.7),
    ],
    ids=lambda neuron: type(neuron).__name__,
)
def test_a_potential_without_reset_is_that_of_the_same_neuron_that_never_spikes(neuron: nn.Module) -> None:
    found = SnnTorch().neuron(neuron, (5,)).without_reset()
    options = {"beta": 0.8, "threshold": 1e9}
    if isinstance(neuron, (snntorch.Synaptic, snntorch.Alpha)):
        options["alpha"] = float(neuron.alpha)
    never = type(neuron)(**options)
    torch.manual_seed(0)
    for _ in range(8):
        current = torch.rand(3, 5)
        assert torch.equal(found.step(current)[1], never(current)[-1])
    assert found.step(torch.ones(3, 5))[1].max() > 0.7


def test_a_custom_neuron_is_stepped_by_its_own_code() -> None:
    class Doubling(snntorch.Leaky):
        def forward(self, input_: torch.Tensor, mem: torch.Tensor | None = None) -> torch.Tensor:
            return super().forward(2 * input_, mem)  # type: ignore[no-any-return]

    torch.manual_seed(0)
    mine = nn.Sequential(nn.Flatten(), nn.Linear(768, 10), Doubling(beta=0.9, threshold=0.5, init_hidden=True))
    found = SpikingNetwork(mine, steps=STEPS, stimulus_shape=SHAPE)
    images = reference.pictures("noise", 4, SHAPE)
    own = reference.own(mine, images, STEPS, reference.step_by_step, (Doubling,))
    assert torch.equal(reference.of_mango(found, images, "2")[1], own["2"][1])
    assert found.check is not None


def test_double_precision_stays() -> None:
    torch.manual_seed(0)
    mine = nn.Sequential(nn.Flatten(), nn.Linear(768, 10), snntorch.Leaky(beta=0.9, threshold=0.5, init_hidden=True))
    mine.double()
    found = SpikingNetwork(mine, steps=STEPS, stimulus_shape=SHAPE)
    images = reference.pictures("noise", 4, SHAPE)
    with torch.no_grad():
        currents = mine[:2](torch.from_numpy(images).double())
    assert currents.dtype == reference.of_mango(found, images, "2")[0].dtype == torch.float64
    assert (found.read(images, "2", (), "current") == currents.numpy()).all()
    assert found.check is not None
