"""Encoders turn a stimulus into what the network sees at each step; a line of ``TABLE`` each.

An encoder takes stimuli ``(n, ...)`` in [0, 1], the number of steps and seeds ``(n,)`` or None, and gives
``(1, n, ...)`` where every step is the same, else ``(steps, n, ...)``.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mango.errors import InputError

Seeds = NDArray[np.int64] | None
Encoder = Callable[[Tensor, int, Seeds], Tensor]


def direct(stimuli: Tensor, steps: int, seeds: Seeds) -> Tensor:  # noqa: ARG001 (an encoder's signature)
    """The stimulus itself as input current at every step."""
    return stimuli[None]


def rate(stimuli: Tensor, steps: int, seeds: Seeds) -> Tensor:
    """Spikes with the intensity as probability at every step (Bernoulli, the discrete Poisson process).

    Each stimulus is drawn from a generator of its own, seeded by its seed, so that a trial repeats exactly, whatever
    is shown beside it and wherever it is evaluated.

    Raises:
        InputError: no seeds, or not one whole number >= 0 for each stimulus; intensities outside [0, 1].
    """
    if seeds is None:
        raise InputError("rate coding draws spikes at random: pass seeds (n,), one for each stimulus")
    given = np.asarray(seeds)
    if given.shape != stimuli.shape[:1] or given.dtype.kind not in "iu" or given.min() < 0:
        raise InputError(
            f"rate coding takes seeds ({len(stimuli)},), whole numbers >= 0; "
            f"got {given.dtype} of shape {given.shape}{'' if given.size == 0 else f', the least {given.min()}'}"
        )
    _expect_intensities(stimuli)
    shape = (steps, *stimuli.shape[1:])
    draws = np.stack([np.random.default_rng(int(seed)).random(shape, np.float32) for seed in given], 1)
    return (torch.from_numpy(draws).to(stimuli.device) < stimuli).to(stimuli.dtype)


def latency(stimuli: Tensor, steps: int, seeds: Seeds) -> Tensor:  # noqa: ARG001 (an encoder's signature)
    """One spike each, the brighter the earlier: intensity 1 at the first step, linearly to the last; 0 never.

    Raises:
        InputError: intensities outside [0, 1].
    """
    _expect_intensities(stimuli)
    when = torch.round((1 - stimuli) * (steps - 1))
    step = torch.arange(steps, device=stimuli.device).view(-1, *[1] * stimuli.dim())
    return ((step == when) & (stimuli > 0)).to(stimuli.dtype)


TABLE: dict[str, Encoder] = {"direct": direct, "rate": rate, "latency": latency}
STOCHASTIC = frozenset({"rate"})


def _expect_intensities(stimuli: Tensor) -> None:
    low, high = float(stimuli.min()), float(stimuli.max())
    if low < 0 or high > 1:
        raise InputError(
            f"rate and latency coding take intensities in [0, 1]; got {low:g} to {high:g}: "
            "leave mean and std out of preprocess"
        )
