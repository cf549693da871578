"""Vector-quantised autoencoder of small images (van den Oord et al. 2017, arXiv 1711.00937).

An image ``(3, 32, 32)`` in [0, 1] becomes an ``8 x 8`` map of code-book labels and back. The code book is learned by
exponential moving averages (their appendix A.1); entries that no input uses are moved onto encoder outputs, which keeps
the whole book in use (Lancucki et al. 2020, arXiv 2005.08520).
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class VQVAEOutput(NamedTuple):
    """What one training pass gives: reconstruction ``(n, 3, h, w)``, losses, and labels ``(n, h/4, w/4)``."""

    reconstruction: Tensor
    commitment: Tensor
    labels: Tensor


class VQVAE(nn.Module):
    """Convolutional VQ-VAE that shrinks an image four times along each side.

    Args:
        labels: entries of the code book.
        embedding: length of a code-book entry.
        hidden: channels inside encoder and decoder.
        residual: channels inside a residual block.
        blocks: residual blocks on each side.
    """

    def __init__(
        self, labels: int = 512, embedding: int = 64, hidden: int = 128, residual: int = 32, blocks: int = 2
    ) -> None:
        super().__init__()
        self.encoder = nn.Sequential(
            nn.Conv2d(3, hidden // 2, 4, stride=2, padding=1),
            nn.ReLU(),
            nn.Conv2d(hidden // 2, hidden, 4, stride=2, padding=1),
            nn.ReLU(),
            nn.Conv2d(hidden, hidden, 3, padding=1),
            *(ResidualBlock(hidden, residual) for _ in range(blocks)),
            nn.ReLU(),
            nn.Conv2d(hidden, embedding, 1),
        )
        self.quantizer = EMAQuantizer(labels, embedding)
        self.decoder = nn.Sequential(
            nn.Conv2d(embedding, hidden, 3, padding=1),
            *(ResidualBlock(hidden, residual) for _ in range(blocks)),
            nn.ReLU(),
            nn.ConvTranspose2d(hidden, hidden // 2, 4, stride=2, padding=1),
            nn.ReLU(),
            nn.ConvTranspose2d(hidden // 2, 3, 4, stride=2, padding=1),
        )

    def forward(self, images: Tensor) -> VQVAEOutput:
        """Reconstructs images; gradients pass straight through the quantisation."""
        features = self.encoder(images - 0.5).float()
        labels = self.quantizer.nearest(features)
        quantized = self.quantizer.lookup(labels)
        if self.training:
            self.quantizer.update(features.detach(), labels)
        commitment = F.mse_loss(features, quantized)
        straight_through = features + (quantized - features).detach()
        return VQVAEOutput(self.decoder(straight_through) + 0.5, commitment, labels)

    def encode(self, images: Tensor) -> Tensor:
        """Labels ``(n, h/4, w/4)`` of images ``(n, 3, h, w)`` in [0, 1]."""
        return self.quantizer.nearest(self.encoder(images - 0.5).float())

    def decode(self, labels: Tensor) -> Tensor:
        """Images ``(n, 3, 4h, 4w)`` of labels ``(n, h, w)``; values may leave [0, 1] slightly."""
        image: Tensor = self.decoder(self.quantizer.lookup(labels)) + 0.5
        return image


class EMAQuantizer(nn.Module):
    """A code book that follows the mean of the encoder outputs assigned to each entry.

    Attributes:
        codebook: ``(labels, embedding)``.
        counts, sums: moving averages of how often an entry is used, and of the outputs assigned to it.
    """

    codebook: Tensor
    counts: Tensor
    sums: Tensor

    def __init__(self, labels: int, embedding: int, decay: float = 0.99, epsilon: float = 1e-5) -> None:
        super().__init__()
        self.decay, self.epsilon = decay, epsilon
        self.register_buffer("codebook", torch.randn(labels, embedding))
        self.register_buffer("counts", torch.zeros(labels))
        self.register_buffer("sums", torch.zeros(labels, embedding))

    def nearest(self, features: Tensor) -> Tensor:
        """Label of the nearest entry for each position: ``(n, k, h, w) -> (n, h, w)``."""
        flat = features.permute(0, 2, 3, 1)
        with torch.autocast(features.device.type, enabled=False):  # half precision would pick wrong neighbours
            distance = self.codebook.square().sum(1) - 2 * flat @ self.codebook.T
        return distance.argmin(-1)

    def lookup(self, labels: Tensor) -> Tensor:
        """Entries as a feature map: ``(n, h, w) -> (n, k, h, w)``."""
        return F.embedding(labels, self.codebook).permute(0, 3, 1, 2)

    @torch.no_grad()
    def update(self, features: Tensor, labels: Tensor) -> None:
        """One EMA step with the outputs ``(n, k, h, w)`` assigned to ``labels``; dead entries restart.

        An entry whose average use falls below three hundredths of a uniform share moves onto an output of this batch,
        chosen by position (no random numbers, so a resumed training repeats); at the first step these are all that
        the random book leaves unused.
        """
        flat = features.permute(0, 2, 3, 1).reshape(-1, self.codebook.shape[1])
        index = labels.reshape(-1)
        size = len(self.codebook)
        used = torch.bincount(index, minlength=size).to(flat.dtype)
        total = torch.zeros_like(self.sums).index_add_(0, index, flat)
        self.counts.mul_(self.decay).add_(used, alpha=1 - self.decay)
        self.sums.mul_(self.decay).add_(total, alpha=1 - self.decay)
        mass = self.counts.sum()
        smoothed = (self.counts + self.epsilon) / (mass + size * self.epsilon) * mass
        self.codebook.copy_(self.sums / smoothed[:, None])
        share = mass / size
        dead = (self.counts < 0.03 * share).nonzero()[:, 0]
        if len(dead):
            chosen = flat[torch.arange(len(dead), device=flat.device) * (len(flat) // size)]
            self.codebook[dead] = chosen
            self.sums[dead] = 0.1 * share * chosen
            self.counts[dead] = 0.1 * share


class ResidualBlock(nn.Module):
    """ReLU, 3 x 3, ReLU, 1 x 1, added to its input."""

    def __init__(self, channels: int, inner: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.ReLU(), nn.Conv2d(channels, inner, 3, padding=1), nn.ReLU(), nn.Conv2d(inner, channels, 1)
        )

    def forward(self, features: Tensor) -> Tensor:
        """Shape is kept."""
        out: Tensor = features + self.body(features)
        return out
