"""Networks of Norse in every style that users write, with random weights under which each layer spikes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tests.optional import optional
from tests.targets.spiking.reference import Run, at_once, handing_on, with_trains

norse: Any = optional("norse.torch")
LIFParameters: Any = optional("norse.torch.functional.lif").LIFParameters
LIFBoxParameters: Any = optional("norse.torch.functional.lif_box").LIFBoxParameters
reset_subtract: Any = optional("norse.torch.functional.reset").reset_subtract

SHAPE = (3, 16, 16)
STEPS = 6


class Case(NamedTuple):
    """A network, how its author runs it, and whether mango evaluates it over all steps at once."""

    build: Callable[[], nn.Module]
    run: Run
    traced: bool = True


def easily(threshold: float = 0.2) -> Any:
    return LIFParameters(v_th=torch.as_tensor(threshold))


def cells() -> nn.Module:
    """Cells of several kinds in a row, a leaky integrator at the end."""
    return stronger(
        norse.SequentialState(
            nn.Conv2d(3, 8, 3),
            norse.LIFCell(p=easily(0.1)),
            nn.AvgPool2d(2),
            nn.Conv2d(8, 8, 3),
            norse.LIFBoxCell(p=LIFBoxParameters(v_th=torch.as_tensor(0.1), reset_method=reset_subtract)),
            nn.Flatten(),
            nn.Linear(200, 10),
            norse.IAFCell(),
            norse.LICell(),
        )
    )


def over_time() -> nn.Module:
    """Modules over trains."""
    return stronger(
        norse.SequentialState(
            norse.Lift(nn.Conv2d(3, 8, 3)),
            norse.LIF(p=easily(0.1)),
            nn.Flatten(2),
            nn.Linear(1568, 10),
            norse.LIF(p=easily()),
            norse.LI(),
        )
    )


def recurrent() -> nn.Module:
    """Cells with recurrent and with input weights of their own."""
    return stronger(
        norse.SequentialState(
            nn.Flatten(),
            norse.LIFRecurrentCell(768, 20, p=easily()),
            nn.Linear(20, 10),
            norse.LIFCell(p=easily()),
            norse.LILinearCell(10, 3),
        )
    )


class Tutorial(nn.Module):
    """Its own loop with states, which writes voltages into a tensor made beforehand."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.first = nn.Conv2d(3, 8, 5), norse.LIFCell(p=easily())
        self.fc, self.second = nn.Linear(288, 20), norse.LIFCell(p=easily(0.1))
        self.out = norse.LILinearCell(20, 10)
        stronger(self)

    def forward(self, x: Tensor) -> Tensor:
        s0 = s1 = so = None
        voltages = torch.empty(STEPS, x.shape[0], 10, device=x.device, dtype=x.dtype)
        for step in range(STEPS):
            z, s0 = self.first(self.conv(x), s0)
            z, s1 = self.second(self.fc(F.max_pool2d(z, 2, 2).view(-1, 288)), s1)
            vo, so = self.out(z, so)
            voltages[step, :, :] = vo
        return voltages


class Handing(nn.Module):
    """One step, with a state of its own making."""

    def __init__(self) -> None:
        super().__init__()
        self.fc1, self.first = nn.Linear(768, 20), norse.LIFCell(p=easily())
        self.fc2, self.second = nn.Linear(20, 10), norse.LIFExCell()
        stronger(self)

    def forward(self, x: Tensor, state: Any = None) -> tuple[Tensor, Any]:
        s1, s2 = (None, None) if state is None else state
        z, s1 = self.first(self.fc1(x.flatten(1)), s1)
        z, s2 = self.second(self.fc2(z), s2)
        return z, (s1, s2)


class Feedback(nn.Module):
    """The spikes of the step before drive the first layer."""

    def __init__(self) -> None:
        super().__init__()
        self.fc1, self.first = nn.Linear(768, 20), norse.LIFCell(p=easily())
        self.fc2, self.second = nn.Linear(20, 20), norse.LIFCell(p=easily())
        stronger(self)

    def forward(self, x: Tensor) -> Tensor:
        s1, s2, z = None, None, torch.zeros(x.shape[0], 20)
        for _ in range(STEPS):
            y, s1 = self.first(self.fc1(x.flatten(1)) + z, s1)
            z, s2 = self.second(self.fc2(y), s2)
        return z


def stronger(network: nn.Module) -> nn.Module:
    """With larger weights, so that spikes reach the last layer."""
    with torch.no_grad():
        for module in network.modules():
            if isinstance(module, (nn.Conv2d, nn.Linear)):
                module.weight.mul_(8)
    return network


CASES = {
    "cells": Case(cells, handing_on),
    "over time": Case(over_time, with_trains),
    "recurrent": Case(recurrent, handing_on),
    "tutorial": Case(Tutorial, at_once),
    "handing": Case(Handing, handing_on),
    "feedback": Case(Feedback, at_once, traced=False),
}


def build(name: str) -> nn.Module:
    """A network of ``CASES`` with its weights from one seed."""
    torch.manual_seed(0)
    return CASES[name].build()
