"""Features of a classifier's hidden layer in, the image that has them out (Nguyen et al. 2016, arXiv 1605.09304)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from mango import zoo
from mango.errors import InputError
from mango.generators.pixels import to_stimuli
from mango.networks.dgn import DGN
from mango.space import Codes, SearchSpace

BATCH = 64  # images through the network at once


class DGNGenerator:
    """Codes are ``(n, 384)`` features of `vgg-cifar10`; stimuli are images ``(n, 3, 32, 32)``.

    A feature is a channel of the third stage, averaged over a quarter of the image: by channel, then row and column of
    the quarter. Each goes from 0, for it comes after a ReLU, to the mean and three standard deviations among training
    images, as published. A feature that no training image moves stays at its mean and is no axis of the codes.
    """

    stimulus_shape = (3, 32, 32)

    def __init__(self, folder: Path = zoo.FOLDER) -> None:
        network = zoo.load("dgn-cifar10", folder)
        assert isinstance(network, DGN)
        self._network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self._natural = zoo.nature("dgn-cifar10", folder)["natural_features"].astype(np.float64)
        self._mean = network.mean.numpy()
        self._moved = network.deviation.numpy() > 0
        highest = network.highest.numpy()[self._moved]
        self.space = SearchSpace.box(len(highest), 0.0, highest)

    @torch.inference_mode()
    def decode(self, codes: Codes) -> NDArray[np.float32]:
        """Images, rounded to 1/255, so that a PNG is the stimulus."""
        codes = self.space.validate(codes)
        if not len(codes):
            return np.empty((0, *self.stimulus_shape), np.float32)
        features = np.tile(self._mean, (len(codes), 1))
        features[:, self._moved] = codes
        images = [self._network(part).numpy() for part in torch.split(torch.from_numpy(features), BATCH)]
        return to_stimuli(np.concatenate(images))

    @torch.inference_mode()
    def encode(self, stimuli: NDArray[np.float32]) -> Codes:
        """Features of images ``(n, 3, 32, 32)`` in [0, 1].

        What lies beyond three standard deviations is cut to them, about one feature of a hundred: the space ends there.
        """
        images = torch.from_numpy(np.array(stimuli, np.float32))
        features = [self._network.encode(part).numpy() for part in torch.split(images, BATCH)]
        return self._codes(np.concatenate(features))

    @property
    def natural_count(self) -> int:
        """How many training images' features the zoo holds."""
        return len(self._natural)

    def natural(self, n: int, rng: np.random.Generator) -> Codes:
        """Features of ``n`` training images, drawn without replacement and cut as those of `encode`.

        Raises:
            InputError: more are asked than there are.
        """
        if n > self.natural_count:
            raise InputError(f"the zoo holds {self.natural_count} natural codes; {n} were asked for")
        return self._codes(self._natural[rng.permutation(self.natural_count)[:n]])

    def _codes(self, features: NDArray[np.floating]) -> Codes:
        return self.space.validate(np.minimum(features[:, self._moved], self.space.upper))
