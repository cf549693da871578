"""The VQ-VAE of CIFAR-10 as a generator: 64 labels in, one image out (Pospelov et al., arXiv 2401.10748).

Beside it goes a prior of its codes, ``vqvae-cifar10-prior``, which says how probable a code is and draws new ones.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional as F

from mango import zoo
from mango.errors import InputError
from mango.generators.pixels import to_stimuli
from mango.networks.prior import CodePrior
from mango.networks.vqvae import VQVAE
from mango.space import Codes, SearchSpace

BATCH = 64  # images through the network at once
TOGETHER = 6  # codes through the prior at once; 6 x 64 rows are whole tiles of any matrix product that we know


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
        self._natural_codes = zoo.nature("vqvae-cifar10", folder)["natural_codes"]
        prior = zoo.load("vqvae-cifar10-prior", folder)
        assert isinstance(prior, CodePrior)
        self._prior, self._prior_tables = prior, prior.tables()
        self.log_prior_quantiles = zoo.nature("vqvae-cifar10-prior", folder)["log_prior_quantiles"]
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
        codes = self._natural_codes
        if n > len(codes):
            raise InputError(f"the zoo holds {len(codes)} natural codes; {n} were asked for")
        return codes[rng.permutation(len(codes))[:n]].astype(np.int64)

    @torch.inference_mode()
    def log_prior(self, codes: Codes) -> NDArray[np.float64]:
        """Log probability ``(n,)`` in nats, by the autoregressive `CodePrior` of natural images' codes.

        A code has the same in any company, to the last bit: `TOGETHER` go through the network at once, always.
        """
        maps = torch.from_numpy(self.space.validate(codes))
        n = len(maps)
        if n == 0:
            return np.empty(0)
        whole = F.pad(maps, (0, 0, 0, -n % TOGETHER))
        nats = [self._prior(part, self._prior_tables).double().sum(1) for part in torch.split(whole, TOGETHER)]
        total: NDArray[np.float64] = torch.cat(nats)[:n].numpy()
        return total

    def sample_prior(self, n: int, rng: np.random.Generator) -> Codes:
        """Codes ``(n, 64)`` drawn from the prior: images that nobody took, as natural as the prior knows."""
        uniform = torch.from_numpy(rng.random((n, self.space.dim, 2)))
        return self.space.validate(self._prior.sample(uniform).numpy())
