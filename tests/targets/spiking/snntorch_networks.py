"""Networks of snnTorch in every style that users write, with random weights under which each layer spikes."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import snntorch as snn
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tests.targets.spiking.reference import Run, at_once, step_by_step, with_trains

SHAPE = (3, 16, 16)
STEPS = 6


class Case(NamedTuple):
    """A network, how its author runs it, and whether mango evaluates it over all steps at once."""

    build: Callable[[], nn.Module]
    run: Run
    traced: bool = True


class Chain(nn.Sequential):
    """Everything in a row, with hidden states; a pooling module that is used twice."""

    def __init__(self) -> None:
        pool = nn.MaxPool2d(2)
        super().__init__(
            nn.Conv2d(3, 8, 3, padding=1, bias=False),
            nn.BatchNorm2d(8),
            snn.Leaky(beta=0.9, threshold=0.3, init_hidden=True),
            pool,
            nn.Conv2d(8, 16, 3, padding=1),
            nn.Dropout(0.5),
            snn.Leaky(beta=0.8, threshold=0.4, init_hidden=True, reset_mechanism="zero"),
            pool,
            nn.Flatten(),
            nn.Linear(256, 10),
            snn.Leaky(beta=0.9, threshold=0.3, init_hidden=True, output=True, reset_mechanism="none"),
        )


class Tutorial(nn.Module):
    """Its own loop with (spikes, membrane), functional pooling, view, a parameter per channel and per feature."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.lif1 = nn.Conv2d(3, 8, 5), snn.Leaky(beta=0.9, threshold=0.4)
        self.conv2 = nn.Conv2d(8, 12, 3, bias=False)
        self.lif2 = snn.Leaky(beta=torch.rand(12, 1, 1), learn_beta=True, threshold=0.3, learn_threshold=True)
        self.drop, self.pool, self.fc = nn.Dropout2d(0.5), nn.MaxPool2d(2), nn.Linear(48, 10)
        self.lif3 = snn.Leaky(beta=torch.rand(10), threshold=0.3 * torch.rand(10), reset_delay=False)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        mem1, mem2, mem3 = self.lif1.init_leaky(), self.lif2.init_leaky(), self.lif3.reset_mem()
        spk3_rec, mem3_rec = [], []
        for _ in range(STEPS):
            spk1, mem1 = self.lif1(F.max_pool2d(self.conv1(x), 2), mem1)
            spk2, mem2 = self.lif2(self.pool(self.drop(self.conv2(spk1))), mem2)
            spk3, mem3 = self.lif3(self.fc(spk2.view(x.size(0), -1)), mem3)
            spk3_rec.append(spk3)
            mem3_rec.append(mem3)
        return torch.stack(spk3_rec, dim=0), torch.stack(mem3_rec, dim=0)


class Residual(nn.Module):
    """A block of its own without neurons, ``out += identity``, other neurons than Leaky, an adaptive pool."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(inplace=True))
        self.first = snn.Synaptic(alpha=0.5, beta=0.9, threshold=1.5, init_hidden=True)
        self.conv, self.norm = nn.Conv2d(8, 8, 3, padding=1), nn.BatchNorm2d(8)
        self.second = snn.Alpha(alpha=0.9, beta=0.8, threshold=0.1, init_hidden=True)
        self.pool, self.fc = nn.AdaptiveAvgPool2d(2), nn.Linear(32, 6)
        self.third = snn.Lapicque(beta=0.9, threshold=0.05, init_hidden=True, output=True)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        identity = self.first(self.stem(x))
        out = self.norm(self.conv(identity))
        out += identity
        out = self.pool(F.relu(self.second(out), inplace=True))
        answer: tuple[Tensor, Tensor] = self.third(self.fc(out.flatten(1)))
        return answer


class Outside(nn.Module):
    """What does not change is computed before the loop; records in tensors made beforehand; graded spikes."""

    def __init__(self) -> None:
        super().__init__()
        self.fc1, self.lif1 = nn.Linear(768, 30), snn.Leaky(beta=0.7, threshold=0.2, graded_spikes_factor=0.7)
        self.fc2, self.lif2 = nn.Linear(30, 10), snn.Leaky(beta=0.9, threshold=0.1)

    def forward(self, x: Tensor, record: bool = True) -> Tensor:
        batch = x.shape[0]
        mem1, mem2 = torch.zeros(batch, 30), torch.zeros(batch, 10, device=x.device)
        out = torch.zeros(STEPS, batch, 10)
        current = self.fc1(x.reshape(batch, -1))
        for step in range(STEPS):
            spk1, mem1 = self.lif1(current, mem1)
            spk2, mem2 = self.lif2(self.fc2(spk1), mem2)
            if record:
                out[step] = spk2
        return out


class Trains(nn.Module):
    """Takes trains (steps, n, ...)."""

    def __init__(self) -> None:
        super().__init__()
        self.fc, self.lif = nn.Linear(768, 20), snn.Leaky(beta=0.9, threshold=0.3)

    def forward(self, x: Tensor) -> Tensor:
        mem, out = self.lif.init_leaky(), []
        for step in range(STEPS):
            spk, mem = self.lif(self.fc(x[step].flatten(1)), mem)
            out.append(spk)
        return torch.stack(out)


class Recurrent(nn.Module):
    """A neuron with recurrent weights of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.fc1, self.lif1 = nn.Linear(768, 20), snn.RLeaky(beta=0.9, linear_features=20, threshold=0.3)
        self.fc2, self.lif2 = nn.Linear(20, 5), snn.Leaky(beta=0.5, threshold=0.1)

    def forward(self, x: Tensor) -> Tensor:
        (spk1, mem1), mem2, out = self.lif1.init_rleaky(), self.lif2.init_leaky(), []
        for _ in range(STEPS):
            spk1, mem1 = self.lif1(self.fc1(x.flatten(1)), spk1, mem1)
            spk2, mem2 = self.lif2(self.fc2(spk1), mem2)
            out.append(spk2)
        return torch.stack(out)


class Unusual(nn.Module):
    """Two layers whose second is fed in a way that subclasses choose."""

    def __init__(self) -> None:
        super().__init__()
        self.fc1, self.lif1 = nn.Linear(768, 20), snn.Leaky(beta=0.9, threshold=0.3)
        self.fc2, self.lif2 = nn.Linear(20, 20), snn.Leaky(beta=0.5, threshold=0.2)

    def forward(self, x: Tensor) -> Tensor:
        mem1, mem2, out = self.lif1.init_leaky(), self.lif2.init_leaky(), torch.zeros(x.size(0), 20)
        for step in range(STEPS):
            out, mem1, mem2 = self.step(self.weighted(self.fc1(x.flatten(1)), step), out, mem1, mem2)
        return out

    def weighted(self, current: Tensor, step: int) -> Tensor:  # noqa: ARG002 (subclasses need it)
        return current

    def step(self, current: Tensor, out: Tensor, mem1: Tensor, mem2: Tensor) -> tuple[Tensor, ...]:
        spk1, mem1 = self.lif1(current, mem1)
        out, mem2 = self.lif2(self.fc2(spk1), mem2)
        return out, mem1, mem2


class Feedback(Unusual):
    """Spikes of the step before."""

    def step(self, current: Tensor, out: Tensor, mem1: Tensor, mem2: Tensor) -> tuple[Tensor, ...]:
        spk1, mem1 = self.lif1(current + out, mem1)
        out, mem2 = self.lif2(self.fc2(spk1), mem2)
        return out, mem1, mem2


class MembraneAsSignal(Unusual):
    """The membrane of the first layer drives the second."""

    def step(self, current: Tensor, out: Tensor, mem1: Tensor, mem2: Tensor) -> tuple[Tensor, ...]:
        _, mem1 = self.lif1(current, mem1)
        out, mem2 = self.lif2(self.fc2(mem1), mem2)
        return out, mem1, mem2


class ChangedState(Unusual):
    """The membrane is changed between the steps."""

    def step(self, current: Tensor, out: Tensor, mem1: Tensor, mem2: Tensor) -> tuple[Tensor, ...]:
        spk1, mem1 = self.lif1(current, mem1 * 0.9)
        out, mem2 = self.lif2(self.fc2(spk1), mem2)
        return out, mem1, mem2


class Waning(Unusual):
    """Each step weights the input otherwise."""

    def weighted(self, current: Tensor, step: int) -> Tensor:
        return current if step < 4 else current * 0.1


class Deciding(Unusual):
    """Control flow that depends on values."""

    def step(self, current: Tensor, out: Tensor, mem1: Tensor, mem2: Tensor) -> tuple[Tensor, ...]:
        spk1, mem1 = self.lif1(current * 2 if bool(current.mean() > 0) else current, mem1)
        out, mem2 = self.lif2(self.fc2(spk1), mem2)
        return out, mem1, mem2


class Remembering(nn.Module):
    """Keeps a trace of its own from call to call."""

    def __init__(self) -> None:
        super().__init__()
        self.fc, self.lif = nn.Linear(768, 20), snn.Leaky(beta=0.9, threshold=0.3, init_hidden=True)
        self.trace: Tensor | None = None

    def forward(self, x: Tensor) -> Tensor:
        current = self.fc(x.flatten(1))
        self.trace = current if self.trace is None else 0.9 * self.trace + current
        answer: Tensor = self.lif(self.trace * 0.3)
        return answer


class Lstm(nn.Module):
    """An LSTM over the rows of the image."""

    def __init__(self) -> None:
        super().__init__()
        self.lstm, self.lif = nn.LSTM(48, 20, batch_first=True), snn.Leaky(beta=0.9, threshold=0.05, init_hidden=True)

    def forward(self, x: Tensor) -> Tensor:
        rows, _ = self.lstm(x.permute(0, 2, 1, 3).flatten(2))
        answer: Tensor = self.lif(rows[:, -1])
        return answer


class Twice(nn.Module):
    """One neuron module at two places of a step, each with a membrane of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.fc1, self.lif1 = nn.Linear(768, 20), snn.Leaky(beta=0.9, threshold=0.3)
        self.fc2, self.shared = nn.Linear(20, 20), snn.Leaky(beta=0.9, threshold=0.2)
        self.fc3, self.lif3 = nn.Linear(20, 8), snn.Leaky(beta=0.9, threshold=0.1)

    def forward(self, x: Tensor) -> Tensor:
        mem1, mem2, mem3 = self.lif1.init_leaky(), self.shared.init_leaky(), self.shared.init_leaky()
        mem4, out = self.lif3.init_leaky(), []
        for _ in range(STEPS):
            spk, mem1 = self.lif1(self.fc1(x.flatten(1)), mem1)
            spk, mem2 = self.shared(self.fc2(spk), mem2)
            spk, mem3 = self.shared(self.fc2(spk), mem3)
            spk, mem4 = self.lif3(self.fc3(spk), mem4)
            out.append(spk)
        return torch.stack(out)


def channels_last() -> nn.Module:
    """The chain, laid out channels last."""
    return Chain().to(memory_format=torch.channels_last)  # type: ignore[call-overload, no-any-return]


CASES = {
    "chain": Case(Chain, step_by_step),
    "channels_last": Case(channels_last, step_by_step),
    "tutorial": Case(Tutorial, at_once),
    "residual": Case(Residual, step_by_step),
    "outside": Case(Outside, at_once),
    "trains": Case(Trains, with_trains),
    "recurrent": Case(Recurrent, at_once),
    "feedback": Case(Feedback, at_once, traced=False),
    "membrane": Case(MembraneAsSignal, at_once, traced=False),
    "changed_state": Case(ChangedState, at_once, traced=False),
    "waning": Case(Waning, at_once, traced=False),
    "deciding": Case(Deciding, at_once, traced=False),
    "remembering": Case(Remembering, step_by_step, traced=False),
    "lstm": Case(Lstm, step_by_step, traced=False),
    "twice": Case(Twice, at_once, traced=False),
}


def build(name: str) -> nn.Module:
    """A network of ``CASES`` with its weights from one seed."""
    torch.manual_seed(0)
    return CASES[name].build()
