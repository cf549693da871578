"""Surrogate-gradient ascent through generator and network: what a search that may look inside reaches.

A reference, not a peer. Every position of the code map has a free point in the embedding; what the decoder sees is its
nearest label, and the gradient passes straight through that cut (Bengio et al. 2013, arXiv 1308.3432). The spikes'
derivatives are the network's own surrogate's. Adam climbs the mean rate of the unit plus a small share of its mean
potential, which has a slope where nothing spikes. What counts is evaluated as any other codes are.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from experiments.benchmarks.stimuli.problems import GENERATOR, Problem
from mango import zoo
from mango.space import Codes
from mango.targets.preprocess import PREPROCESS

ROWS = 8  # ascents side by side
RATE = 0.3  # of Adam, in spreads of the code book
POTENTIAL = 0.01  # weight of the mean potential
LONGEST = 32  # time steps that are climbed; on units to tune on, all 128 of a network found the same, four times slower


def ascend(problem: Problem, starts: Codes, steps: int) -> float:
    """The best noise-free value found in so many steps from codes ``(n, dim)``; each step evaluates n codes."""
    assert problem.space.layout is not None
    inside = _Inside(problem)
    points = inside.quantizer.lookup(torch.from_numpy(starts).view(-1, *problem.space.layout)).clone().requires_grad_()
    optimizer = torch.optim.Adam([points], lr=RATE * float(inside.quantizer.codebook.std()))
    best = -np.inf
    for _ in range(steps):
        labels = inside.quantizer.nearest(points.detach())
        best = max(best, float(problem.values(labels.flatten(1).numpy()).max()))
        optimizer.zero_grad()
        (-inside.climbed(points, labels).sum()).backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    return best


class _Inside:
    """Generator and network as torch modules."""

    def __init__(self, problem: Problem) -> None:
        layer, _, number = problem.unit.name.partition("/")
        vqvae: Any = zoo.load(GENERATOR)
        self.quantizer, self._decoder = vqvae.quantizer, vqvae.decoder
        self._network: Any = zoo.load(problem.unit.network)
        self._steps, self._number = min(problem.steps, LONGEST), int(number)
        self._seen: list[tuple[Tensor, Tensor]] = []
        self._network.get_submodule(layer).register_forward_hook(lambda _module, _given, out: self._seen.append(out))

    def climbed(self, points: Tensor, labels: Tensor) -> Tensor:
        """What is climbed ``(n,)``, of points ``(n, k, h, w)`` that are cut to labels ``(n, h, w)``."""
        cut = points + (self.quantizer.lookup(labels) - points).detach()
        images = (self._decoder(cut) + 0.5).clamp(0, 1)
        self._seen.clear()
        self._network(PREPROCESS(images), self._steps)
        spikes, potentials = (torch.stack(each)[:, :, self._number] for each in zip(*self._seen, strict=True))
        score = spikes + POTENTIAL * potentials
        return score.transpose(0, 1).flatten(1).mean(1)
