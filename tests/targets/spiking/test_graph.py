"""What a trace finds in a network, and which networks have none."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import snntorch as snn
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mango.targets.spiking.graph import IMAGE, Graph, NotAGraph, trace
from mango.targets.spiking.packages.snntorch import SnnTorch
from tests.targets.spiking.examples import leaky


class Written(nn.Module):
    """A network whose forward is a function."""

    def __init__(self, forward: Callable[..., object], **modules: nn.Module) -> None:
        super().__init__()
        self.lif, self.fc, self.relu = leaky(), nn.Linear(4, 4), nn.ReLU(inplace=True)
        self._forward = forward
        for name, module in modules.items():
            self.add_module(name, module)

    def forward(self, x: Tensor) -> object:
        return self._forward(self, x)


def found(forward: Callable[..., object], **modules: nn.Module) -> Graph:
    return trace(Written(forward, **modules), SnnTorch())


def current(graph: Graph, x: Tensor, layer: str = "lif") -> Tensor:
    """Of a layer without neurons before it."""
    values = {IMAGE: x}
    for node in graph.up_to(layer):
        values[node.name] = node.call(*(values[name] for name in node.inputs))
    (drive,) = (node.inputs for node in graph.nodes if node.name == layer)
    return values[drive[0]]


def test_operations_come_after_their_inputs_and_neurons_keep_their_names() -> None:
    network = nn.Sequential(nn.Linear(4, 4), leaky(), nn.Sequential(nn.Linear(4, 3), leaky()))
    graph = trace(network, SnnTorch())
    assert [(node.name, node.neuron) for node in graph.nodes] == [
        ("_0", False),
        ("1", True),
        ("_2_0", False),
        ("2.1", True),
    ]
    assert graph.steps == 1
    assert [node.name for node in graph.up_to("2.1")] == ["_0", "1", "_2_0"]
    seen = {IMAGE}
    for node in graph.nodes:
        assert seen.issuperset(node.inputs)
        seen.add(node.name)


def test_only_what_neurons_need_is_kept() -> None:
    def forward(net: nn.Module, x: Tensor) -> object:
        spikes = net.lif(net.fc(x))
        return net.fc(spikes).softmax(1)

    assert [node.name for node in found(forward).nodes] == ["fc", "lif"]


def test_blocks_without_neurons_are_opened_where_they_can_be_read() -> None:
    class Block(nn.Module):
        def __init__(self, decides: bool) -> None:
            super().__init__()
            self.conv, self.decides = nn.Conv2d(2, 2, 1), decides

        def forward(self, x: Tensor) -> Tensor:
            answer: Tensor = self.conv(x)
            return answer if not self.decides or bool(answer.sum() > 0) else -answer

    for decides, kind in ((False, nn.Conv2d), (True, Block)):
        graph = trace(nn.Sequential(Block(decides), leaky()), SnnTorch())
        assert isinstance(graph.nodes[0].module, kind)


@pytest.mark.parametrize(
    "forward",
    [
        lambda net, x: net.lif(net.fc(x) + x),
        lambda net, x: net.lif(F.relu(net.fc(x), inplace=True)),
        lambda net, x: net.lif(net.relu(net.fc(x)) + x),
    ],
)
def test_nothing_is_written_to_the_input(forward: Callable[..., object]) -> None:
    x = torch.randn(3, 4)
    before = x.clone()
    current(found(forward), x)
    assert torch.equal(x, before)


def test_later_readers_see_what_was_written_in_place() -> None:
    def forward(net: nn.Module, x: Tensor) -> object:
        y = net.fc(x)
        early = y * 1
        y.add_(1)
        y.mul_(2)
        return net.lif(y + early)

    x = torch.randn(3, 4)
    network = Written(forward)
    y = network.fc(x)
    graph = trace(network, SnnTorch())
    assert torch.equal(current(graph, x), 2 * (y + 1) + y)
    assert torch.equal(current(graph, x), current(graph, x))


def test_an_inplace_module_is_followed_too() -> None:
    def forward(net: nn.Module, x: Tensor) -> object:
        y = net.fc(x)
        net.relu(y)
        return net.lif(y)

    x = torch.randn(3, 4)
    network = Written(forward)
    assert torch.equal(current(trace(network, SnnTorch()), x), network.fc(x).relu())
    assert network.relu.inplace is True


def test_the_number_of_images_and_other_sizes_are_told_apart() -> None:
    def forward(net: nn.Module, x: Tensor) -> object:
        n, rest = x.size(0), x.shape[1:]
        return net.lif(net.fc(x.view(n, -1)) + x.reshape(x.shape[0], rest[0]))

    graph = found(forward)
    assert sum(node.counts for node in graph.nodes) == 2
    assert sum(node.sized for node in graph.nodes) >= 1
    assert current(graph, torch.randn(5, 4)).shape == (5, 4)


def test_a_view_of_spikes_that_lie_otherwise_in_memory() -> None:
    graph = found(lambda net, x: net.lif(net.fc(x.view(x.size(0), -1))))
    x = torch.randn(2, 5, 2).transpose(0, 1)
    assert torch.equal(graph.nodes[1].call(x, 5), x.reshape(5, 4))


def test_steps_of_a_network_that_makes_them_itself() -> None:
    def forward(net: nn.Module, x: Tensor) -> object:
        mem = torch.zeros(x.size(0), 4)
        for _ in range(7):
            _, mem = net.given(net.fc(x), mem)
        return mem

    graph = found(forward, given=leaky(init_hidden=False))
    assert graph.steps == 7
    assert [node.name for node in graph.nodes] == ["fc", "given"]
    detached = found(looped(state=lambda mem: mem.detach().clone()), given=leaky(init_hidden=False))
    assert (detached.steps, len(detached.nodes)) == (3, 2)


def looped(
    drive: Callable[..., Tensor] = lambda x, spikes, step: x,  # noqa: ARG005
    state: Callable[[Tensor], Tensor] = lambda mem: mem,
    start: Callable[[Tensor], Tensor] = torch.zeros_like,
) -> Callable[..., object]:
    """Three steps of one neuron, driven by something, and given its membrane."""

    def forward(net: nn.Module, x: Tensor) -> object:
        mem, spikes = start(x), x
        for step in range(3):
            spikes, mem = net.given(net.fc(drive(x, spikes, step)), state(mem))
        return spikes

    return forward


@pytest.mark.parametrize(
    ("forward", "why"),
    [
        (looped(lambda x, spikes, step: spikes), "feeds a neuron of another step"),  # noqa: ARG005
        (looped(lambda x, spikes, step: x * (step + 1)), "its steps differ"),  # noqa: ARG005
        (looped(lambda x, spikes, step: x if step < 2 else x * 2), "its steps differ"),  # noqa: ARG005
        (looped(state=lambda mem: mem.to(torch.float16)), "another state than the one that it returned"),
        (looped(state=lambda mem: mem * 0.5), "not known to be zero"),
        (looped(start=torch.ones_like), "given starts from a state that is not known to be zero"),
        (lambda net, x: net.given(net.fc(x), torch.zeros_like(x)), "given is given its state by each call"),
        (lambda net, x: net.lif(net.lif(net.fc(x))), "lif feeds a neuron of another step"),
        (lambda net, x: net.lif(net.given(net.given(net.fc(x)))), "called differently often"),
        (lambda net, x: net.lif(net.fc(x) if x.sum() > 0 else x), "cannot be traced"),
        (lambda net, x: net.lif(net.given(net.fc(x))[1]), "uses the state of given"),
        (lambda net, x: net.lif(net.rnn(x)[0]), "rnn keeps a state of its own"),
        (lambda net, x: net.fc(x), "none of its neurons is called"),
    ],
)
def test_what_is_no_graph_of_one_step(forward: Callable[..., object], why: str) -> None:
    with pytest.raises(NotAGraph, match=why):
        found(forward, given=leaky(init_hidden=False), rnn=nn.LSTM(4, 4))


def test_parts_that_are_written_are_refused() -> None:
    def forward(net: nn.Module, x: Tensor) -> object:
        buffer = torch.zeros(x.size(0), 4)
        buffer[:, 0] = net.fc(x)[:, 0]
        return net.lif(buffer)

    with pytest.raises(NotAGraph, match=r"a part of .* is written in place"):
        found(forward)


def test_a_call_that_goes_on_from_the_last_is_refused() -> None:
    class Counting(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.lif, self.calls = leaky(), 0

        def forward(self, x: Tensor) -> object:
            self.calls += 1
            return self.lif(x * self.calls)

    network = Counting()
    with pytest.raises(NotAGraph, match="goes on from what an earlier one left"):
        trace(network, SnnTorch())
    assert network.calls == 0


def test_trains_are_read_a_step_at_a_time() -> None:
    def forward(net: nn.Module, x: Tensor) -> object:
        mem, spikes = net.given.init_leaky(), []
        for step in range(4):
            z, mem = net.given(net.fc(x[step]), mem)
            spikes.append(z)
        return torch.stack(spikes)

    network = Written(forward, given=leaky(init_hidden=False))
    graph = trace(network, SnnTorch(), trains=True)
    assert graph.steps == 4
    assert graph.nodes[0].inputs == (IMAGE,)
    with pytest.raises(NotAGraph, match="its steps differ"):
        trace(network, SnnTorch())


def test_what_repeats_the_image() -> None:
    def forward(net: nn.Module, x: Tensor) -> object:
        return net.lif(net.fc(x.unsqueeze(0).repeat(6, 1, 1)))

    graph = found(forward)
    assert graph.repeats(torch.rand(3, 4), 6) == ("repeat",)
    with pytest.raises(NotAGraph, match="not the same at every step"):
        graph.repeats(torch.rand(3, 4), 5)


def test_state_from_memory_is_no_obstacle() -> None:
    network = snn.Leaky(beta=0.5)
    network.mem = torch.rand(9, 4)
    assert trace(nn.Sequential(network), SnnTorch()).steps == 1
