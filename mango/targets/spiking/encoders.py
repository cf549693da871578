"""Encoders turn an image into what the network sees at each step; a line of ``TABLE`` each.

An encoder takes images ``(n, ...)`` in [0, 1], the number of steps and seeds ``(n,)`` or None, and gives
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


def direct(images: Tensor, steps: int, seeds: Seeds) -> Tensor:  # noqa: ARG001 (an encoder's signature)
    """The image itself as input current at every step."""
    return images[None]


def rate(images: Tensor, steps: int, seeds: Seeds) -> Tensor:
    """Spikes with the image's intensity as probability at every step (Bernoulli, the discrete Poisson process).

    Each image is drawn from a generator of its own, seeded by its seed, so that a trial repeats exactly.

    Raises:
        InputError: no seeds, or intensities outside [0, 1].
    """
    if seeds is None:
        raise InputError("rate coding draws spikes at random: pass seeds (n,), one for each stimulus")
    _expect_intensities(images)
    draws = np.stack([np.random.default_rng(int(s)).random((steps, *images.shape[1:]), np.float32) for s in seeds], 1)
    return (torch.from_numpy(draws).to(images.device) < images).to(images.dtype)


def latency(images: Tensor, steps: int, seeds: Seeds) -> Tensor:  # noqa: ARG001 (an encoder's signature)
    """One spike each, the brighter the earlier: intensity 1 at the first step, linearly to the last; 0 never.

    Raises:
        InputError: intensities outside [0, 1].
    """
    _expect_intensities(images)
    when = torch.round((1 - images) * (steps - 1))
    step = torch.arange(steps, device=images.device).view(-1, *[1] * images.dim())
    return ((step == when) & (images > 0)).to(images.dtype)


TABLE: dict[str, Encoder] = {"direct": direct, "rate": rate, "latency": latency}
STOCHASTIC = frozenset({"rate"})


def _expect_intensities(images: Tensor) -> None:
    low, high = float(images.min()), float(images.max())
    if low < 0 or high > 1:
        raise InputError(
            f"rate and latency coding take intensities in [0, 1]; got {low:g} to {high:g}: "
            "leave mean and std out of preprocess"
        )
