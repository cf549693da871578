"""The loop of the trainings: its rates, and a descent with momentum that is stopped anywhere and goes on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from experiments.train import loop

IMAGES = torch.randint(0, 256, (40, 3, 8, 8), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
LABELS = torch.arange(40) % 3
NEVER = 10**9


class Stopped(Exception):
    pass


def trained(out: Path, stop: int = NEVER) -> dict[str, Tensor]:
    """The weights after two phases; stopped at the loss of that number, counted over both, with `Stopped`."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(144, 3))
    count = 0

    def loss(x: Tensor, y: Tensor) -> Tensor:
        nonlocal count
        count += 1
        if count > stop:
            raise Stopped
        return F.cross_entropy(model(x), y)

    first = loop.Phase("first", 7, 0.1, loss, batch=16, shift=1, momentum=0.9, weight_decay=1e-3, warmup=3)
    loop.train(model, IMAGES, LABELS, [first, replace(first, warmup=0)], seed=0, out=out, every=2)
    return model.state_dict()


@pytest.mark.parametrize("stop", [0, 3, 6, 7, 9, 13])
def test_stopped_anywhere_it_goes_on_to_the_same_weights(stop: int, tmp_path: Path) -> None:
    whole = trained(tmp_path / "whole")
    with pytest.raises(Stopped):
        trained(tmp_path / "stopped", stop)
    again = trained(tmp_path / "stopped")
    assert all(torch.equal(again[name], weights) for name, weights in whole.items())


def test_the_rate_rises_in_a_line_and_falls_by_a_cosine() -> None:
    no_loss: Callable[[Tensor, Tensor], Tensor] = lambda x, _: x  # noqa: E731
    phase = loop.Phase("any", 101, 2.0, no_loss, warmup=1)
    assert phase.rate_at(1) == 2.0
    assert phase.rate_at(51) == pytest.approx(2.0 * (0.01 + 0.99 / 2))
    rising = replace(phase, warmup=4)
    assert [rising.rate_at(i) for i in range(5)] == [0.5, 1.0, 1.5, 2.0, 2.0]
    assert all(rising.rate_at(i) > rising.rate_at(i + 1) > 0.02 for i in range(4, 100))


def test_momentum_is_nesterov_s(tmp_path: Path) -> None:
    weight = nn.Parameter(torch.tensor([1.0]))

    class One(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = weight

    phase = loop.Phase("line", 2, 0.1, lambda _x, _y: 2 * weight.sum(), momentum=0.5)
    loop.train(One(), IMAGES, LABELS, [phase], seed=0, out=tmp_path, every=NEVER)
    steps = [2 + 0.5 * 2, 2 + 0.5 * (0.5 * 2 + 2)]  # gradient + momentum times velocity
    expected = 1 - sum(phase.rate_at(i) * step for i, step in enumerate(steps))
    assert weight.item() == pytest.approx(expected, rel=1e-6)
