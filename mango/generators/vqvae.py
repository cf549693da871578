"""The VQ-VAE of CIFAR-10 as a generator: 64 labels in, one image out (Pospelov et al., arXiv 2401.10748)."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from mango import zoo
from mango.errors import InputError
from mango.generators.pixels import to_stimuli
from mango.networks.vqvae import VQVAE
from mango.space import Codes, SearchSpace

MIXTURE = (0.2, 0.4, 0.4)  # weights of the label's position, its left and its upper neighbour
SMOOTHING = 5.0  # pseudo-counts of the overall label frequencies behind every conditional count
BATCH = 64  # images through the network at once


class VQVAEGenerator:
    """Codes are ``(n, 64)`` labels 0..511, row by row of the 8 x 8 map; stimuli are images ``(n, 3, 32, 32)``.

    Attributes:
        log_prior_quantiles: ``(1001,)`` of `log_prior` among the codes of the 10,000 test images, in nats.
    """

    stimulus_shape = (3, 32, 32)

    def __init__(self, folder: Path = zoo.FOLDER) -> None:
        network = zoo.load("vqvae-cifar10", folder)
        assert isinstance(network, VQVAE)
        self._network = network
        self._nature = zoo.nature("vqvae-cifar10", folder)
        self.log_prior_quantiles = self._nature["log_prior_quantiles"].astype(np.float64)
        book = network.quantizer.codebook.numpy()
        self.space = SearchSpace.codebook(64, len(book), embedding=book, layout=(8, 8))

    @torch.inference_mode()
    def decode(self, codes: Codes) -> NDArray[np.float32]:
        """Images, cut to [0, 1] and rounded to 1/255, so that a PNG is the stimulus."""
        labels = torch.from_numpy(self.space.validate(codes)).view(-1, 8, 8)
        images = [self._network.decode(part).numpy() for part in torch.split(labels, BATCH)]
        return to_stimuli(np.concatenate(images)) if images else np.empty((0, 3, 32, 32), np.float32)

    @torch.inference_mode()
    def encode(self, stimuli: NDArray[np.float32]) -> Codes:
        """Labels ``(n, 64)`` whose decoded image is near each given image ``(n, 3, 32, 32)`` in [0, 1]."""
        images = torch.from_numpy(np.array(stimuli, np.float32))
        labels = [self._network.encode(part).flatten(1).numpy() for part in torch.split(images, BATCH)]
        return self.space.validate(np.concatenate(labels))

    def natural(self, n: int, rng: np.random.Generator) -> Codes:
        """Codes of ``n`` natural training images, drawn without replacement from the 5,000 that the zoo holds.

        Raises:
            InputError: more are asked than there are.
        """
        codes = self._nature["natural_codes"]
        if n > len(codes):
            raise InputError(f"the zoo holds {len(codes)} natural codes; {n} were asked for")
        return codes[rng.permutation(len(codes))[:n]].astype(np.int64)

    def log_prior(self, codes: Codes) -> NDArray[np.float64]:
        """Log probability ``(n,)`` in nats, by a proper autoregressive mixture of natural codes' statistics (ours).

        ``p(z | left, up, position) = .2 p(z | position) + .4 p(z | left) + .4 p(z | up)``, each conditional frequency
        smoothed towards the overall label frequencies. A missing neighbour leaves its weight to the position.
        """
        labels = self.space.validate(codes).reshape(-1, 8, 8)
        at_position, given_left, given_up = self._statistics
        p_position = at_position[np.arange(64).reshape(8, 8), labels]
        p_left, p_up = p_position.copy(), p_position.copy()
        p_left[:, :, 1:] = given_left[labels[:, :, :-1], labels[:, :, 1:]]
        p_up[:, 1:, :] = given_up[labels[:, :-1, :], labels[:, 1:, :]]
        mixed = MIXTURE[0] * p_position + MIXTURE[1] * p_left + MIXTURE[2] * p_up
        total: NDArray[np.float64] = np.log(mixed).sum((1, 2))
        return total

    @cached_property
    def _statistics(self) -> tuple[NDArray[np.float64], ...]:
        labels = self._nature["natural_codes"].astype(np.int64).reshape(-1, 8, 8)
        levels = len(self.space.embedding) if self.space.embedding is not None else 0
        overall = np.bincount(labels.ravel(), minlength=levels) + 1.0
        overall /= overall.sum()
        position = np.broadcast_to(np.arange(64).reshape(8, 8), labels.shape)
        pairs = (
            (position, labels, 64),
            (labels[:, :, :-1], labels[:, :, 1:], levels),
            (labels[:, :-1, :], labels[:, 1:, :], levels),
        )
        tables = []
        for given, then, rows in pairs:
            flat = (given * levels + then).ravel()
            counts = np.bincount(flat, minlength=rows * levels).reshape(rows, levels) + SMOOTHING * overall
            tables.append(counts / counts.sum(1, keepdims=True))
        return tuple(tables)
