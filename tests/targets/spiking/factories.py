"""What a user's module may hold, named as ``tests.targets.spiking.factories:FACTORY`` on command lines."""

from __future__ import annotations

import snntorch
from torch import nn

from mango.targets.spiking import SpikingNetwork, SpikingTarget
from tests.targets.spiking.examples import convolutional

SHAPE = (3, 8, 8)
STEPS = 8
loaded = 0  # times that `network` was called


def model() -> nn.Module:
    """A torch module, not wrapped."""
    return nn.Sequential(
        *list(convolutional(3))[:3], nn.Flatten(), nn.Linear(54, 4), snntorch.Leaky(0.9, init_hidden=True)
    )


def network() -> SpikingNetwork:
    """With layers ``"2"`` (6, 3, 3) and ``"5"`` (4,)."""
    global loaded
    loaded += 1
    return SpikingNetwork(model(), steps=STEPS, stimulus_shape=SHAPE)


def target() -> SpikingTarget:
    """A unit."""
    return SpikingTarget(network(), "2", 1)


def larger() -> SpikingNetwork:
    """Of images of another size."""
    return SpikingNetwork(convolutional(), steps=STEPS, stimulus_shape=(2, 12, 12))


def without_steps() -> SpikingNetwork:
    """As one forgets them."""
    return SpikingNetwork(model(), stimulus_shape=SHAPE)  # type: ignore[call-arg]


def dense() -> SpikingNetwork:
    """A network without neurons."""
    return SpikingNetwork(nn.Sequential(nn.Flatten(), nn.Linear(192, 4)), steps=STEPS, stimulus_shape=SHAPE)


def nothing() -> int:
    """No target and no network."""
    return 3
