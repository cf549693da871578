"""The SN-GAN of CIFAR-10 as a generator: a unit-normal vector in, one image out."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from mango import zoo
from mango.errors import InputError
from mango.generators.pixels import to_stimuli
from mango.networks.sngan import SNGAN
from mango.space import Codes, SearchSpace

TOGETHER = 8  # codes through a network at once, always: sums are then the same in any company, to the last bit
BOUND = 4.0  # standard deviations


class SNGANGenerator:
    """Codes are ``(n, 128)``, unit normal and bounded; stimuli are images ``(n, 3, 32, 32)``.

    Args:
        bound: of every axis, either way, in standard deviations. Less than 4, where the published grid ends, is the
            truncation trick (Brock et al. 2019, arXiv 1809.11096): more typical images, fewer different ones.
        folder: of the weights.

    Attributes:
        log_prior_quantiles: ``(1001,)`` of `log_prior` among the 10,000 test images.

    Raises:
        InputError: the bound is no positive number.
    """

    stimulus_shape = (3, 32, 32)

    def __init__(self, bound: float = BOUND, folder: Path = zoo.FOLDER) -> None:
        if not (math.isfinite(bound) and bound > 0):
            raise InputError(f"the bound must be a positive number of standard deviations; got {bound}")
        network = zoo.load("sngan-cifar10", folder)
        assert isinstance(network, SNGAN)
        self._network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.log_prior_quantiles = zoo.nature("sngan-cifar10", folder)["score_quantiles"]
        self.space = SearchSpace.box(network.latent, -bound, bound, prior="normal")

    @torch.inference_mode()
    def decode(self, codes: Codes) -> NDArray[np.float32]:
        """Images, rounded to 1/255, so that a PNG is the stimulus."""
        z = torch.from_numpy(self.space.validate(codes).astype(np.float32))
        if not len(z):
            return np.empty((0, 3, 32, 32), np.float32)
        images = [self._network(part).numpy() for part in torch.split(_filled(z), TOGETHER)]
        return to_stimuli(np.concatenate(images)[: len(z)])

    @torch.inference_mode()
    def log_prior(self, codes: Codes) -> NDArray[np.float64]:
        """The discriminator's score ``(n,)`` of the codes' images: how natural it holds them to be.

        An adversarial network has no likelihood; this is in its place wherever naturalness is told, by the percentile
        among the scores of test images. How likely a code is says the unit normal, from which `space` samples.
        """
        images = torch.from_numpy(self.decode(codes))
        scores = [self._network.score(part).double() for part in torch.split(_filled(images), TOGETHER)]
        found: NDArray[np.float64] = torch.cat(scores)[: len(images)].numpy()
        return found


def _filled(rows: torch.Tensor) -> torch.Tensor:
    """Rows ``(n, ...)`` with zeros after them, so that they go through a network `TOGETHER` at once."""
    return torch.cat([rows, rows.new_zeros(-len(rows) % TOGETHER, *rows.shape[1:])])


def make_sngan(detail: str) -> SNGANGenerator:
    """From ``""`` or the bound, ``"2"``.

    Raises:
        InputError: neither.
    """
    if not detail:
        return SNGANGenerator()
    try:
        bound = float(detail)
    except ValueError:
        raise InputError(
            f"expected sngan-cifar10 or sngan-cifar10:BOUND, a number of standard deviations; got {detail!r}"
        ) from None
    return SNGANGenerator(bound)
