"""Autoregressive distribution of maps of code-book labels: ``p(z) = prod_i p(z_i | z_1 .. z_(i-1))``, row by row.

What is made of the labels before a position is kept cheap, since every trial of a search is asked for its probability:

- tables of the nearest labels, which are the one masked convolution of a PixelCNN (van den Oord et al. 2016, arXiv
  1606.05328) on their embeddings, and the mean direction of all earlier embeddings, go through gated residual blocks
  (Dauphin et al. 2017, arXiv 1612.08083; in the form of Shazeer 2020, arXiv 2002.05202);
- a label is told in two steps, its group and its place in it (Goodman 2001, arXiv cs/0108006), each a softmax of few;
- full tables from the left and the upper label to both, added to the logits (Mikolov et al. 2011, direct connections),
  start at what counting says.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

NEAR = ((0, -1), (-1, 0), (0, -2), (-1, -2), (-1, -1), (-1, 1), (-1, 2), (-2, -2), (-2, -1), (-2, 0), (-2, 1), (-2, 2))
ADJACENT = 2  # the first of them, row and column relative to a position, have full tables

COUNTED = 0.5  # of the log ratios that were counted for each adjacent label, which are no independent witnesses
GROUP_COUNTS, LABEL_COUNTS = 30.0, 10.0  # pseudo-counts of the overall frequencies behind every conditional count


class CodePrior(nn.Module):
    """Of maps ``(n, side * side)`` of labels ``0 .. labels - 1``, given row by row.

    Args:
        labels: entries of the code book.
        side: rows and columns of a map.
        embedding: length of an entry.
        features: width of the blocks.
        blocks: how many.
        groups: of labels, all of the same size.
        inner: features that tell the labels of a group apart.

    Attributes:
        told: ``(labels, 2)``, the group of each label and its place in the group.
    """

    told: Tensor
    near: Tensor
    first_rows: Tensor
    share: Tensor

    def __init__(
        self,
        labels: int = 512,
        side: int = 8,
        embedding: int = 64,
        features: int = 96,
        blocks: int = 2,
        groups: int = 32,
        inner: int = 32,
    ) -> None:
        super().__init__()
        self.labels, self.groups, self.size = labels, groups, labels // groups
        positions, rows = side * side, ADJACENT * (labels + 1)
        self.register_buffer("told", torch.stack(_split(torch.arange(labels), self.size), 1))
        self.register_buffer("near", _near(side), persistent=False)
        self.register_buffer("first_rows", (labels + 1) * torch.arange(len(NEAR)), persistent=False)
        self.register_buffer("share", torch.arange(positions).clamp_min(1).rsqrt()[:, None], persistent=False)
        self.embedding = nn.Parameter(torch.zeros(labels + 1, embedding))  # the last is that of no label: outside
        self.mixing = nn.Parameter(torch.randn(len(NEAR), embedding, features) * (len(NEAR) * embedding) ** -0.5)
        self.position = nn.Parameter(0.1 * torch.randn(positions, features))
        self.earlier = nn.Linear(embedding, features, bias=False)
        self.blocks = nn.ModuleList(GatedBlock(features) for _ in range(blocks))
        self.norm = nn.LayerNorm(features)
        self.to_groups = nn.Linear(features, groups, bias=False)
        self.to_inner = nn.Linear(features, inner, bias=False)
        self.label_weights = nn.Parameter(0.1 * torch.randn(groups, self.size * inner))
        self.group_bias = nn.Parameter(torch.zeros(positions, groups))
        self.label_bias = nn.Parameter(torch.zeros(groups, self.size))
        self.group_table = nn.Parameter(torch.zeros(rows, groups))
        self.label_table = nn.Parameter(torch.zeros(rows * groups, self.size))

    @torch.no_grad()
    def start(self, codebook: Tensor, maps: Tensor) -> None:
        """Where a training begins: embeddings and groups from the code book, biases and full tables from counts.

        Args:
            codebook: ``(labels, embedding)``.
            maps: ``(n, side * side)`` to count.
        """
        order = torch.cat(_halved(codebook, torch.arange(self.labels), self.groups))
        self.told[order] = torch.stack(_split(torch.arange(self.labels), self.size), 1)
        self.embedding[:-1] = 0.5 * codebook / codebook.std()
        placed = order.argsort()[maps]
        counts = torch.bincount(placed.flatten(), minlength=self.labels).view(self.groups, self.size) + 1.0
        groups, inside = counts.sum(1) / counts.sum(), counts / counts.sum(1, keepdim=True)
        for i, group in enumerate(_split(placed, self.size)[0].T):
            self.group_bias[i] = _log_shares(torch.bincount(group, minlength=self.groups), 100 * groups)
        self.label_bias.copy_(inside.log())
        given = F.pad(maps, (0, 1), value=self.labels)[:, self.near]
        for k in range(ADJACENT):
            pairs = (given[:, :, k] * self.labels + placed).flatten()
            shape, rows = (-1, self.groups, self.size), slice(k * (self.labels + 1), (k + 1) * (self.labels + 1))
            seen = torch.bincount(pairs, minlength=(self.labels + 1) * self.labels).view(shape)
            to_group = _log_shares(seen.sum(2), GROUP_COUNTS * groups) - groups.log()
            to_label = _log_shares(seen, LABEL_COUNTS * inside) - inside.log()
            self.group_table[rows] = COUNTED * to_group
            self.label_table.view(-1, self.groups, self.size)[rows] = COUNTED * to_label

    def tables(self) -> Tensor:
        """What each label adds to the features where it is the k-th of the near ones, ``(12 (labels + 1), features)``.

        They follow from the weights; a caller of many small batches makes them once.
        """
        return (self.embedding @ self.mixing).flatten(0, 1)

    def forward(self, maps: Tensor, tables: Tensor | None = None) -> Tensor:
        """Log probabilities in nats of each label given those before it, ``(n, side * side)``.

        Args:
            maps: ``(n, side * side)`` as int64.
            tables: see `tables`.
        """
        features, given = self._features(maps, slice(None), self.tables() if tables is None else tables)
        group, place = self.told[maps].unbind(-1)
        to_group = self._group_logits(features, given, slice(None)).log_softmax(-1)
        to_label = self._label_logits(features, given, group).log_softmax(-1)
        return (to_group.gather(-1, group[..., None]) + to_label.gather(-1, place[..., None])).squeeze(-1)

    @torch.no_grad()
    def sample(self, uniform: Tensor) -> Tensor:
        """Maps ``(n, side * side)`` drawn label by label.

        Args:
            uniform: numbers in [0, 1) ``(n, side * side, 2)`` as float64, for the group and the place of each label.
        """
        tables, labels = self.tables(), (self.told[:, 0] * self.size + self.told[:, 1]).argsort()
        maps = torch.zeros(uniform.shape[:2], dtype=torch.int64)
        for i in range(maps.shape[1]):
            where = slice(i, i + 1)
            features, given = self._features(maps, where, tables)
            group = _drawn(self._group_logits(features, given, where), uniform[:, where, 0])
            place = _drawn(self._label_logits(features, given, group), uniform[:, where, 1])
            maps[:, where] = labels[group * self.size + place]
        return maps

    def _features(self, maps: Tensor, where: slice, tables: Tensor) -> tuple[Tensor, Tensor]:
        """Features ``(n, p, features)`` at p positions, and rows ``(n, p, 2)`` of the full tables."""
        near = F.pad(maps, (0, 1), value=self.labels)[:, self.near[where]] + self.first_rows
        known = F.embedding_bag(near.flatten(0, 1), tables, mode="sum").view(len(maps), -1, tables.shape[1])
        sums = F.pad(F.embedding(maps, self.embedding).cumsum(1), (0, 0, 1, -1))  # of the embeddings before
        features = known + self.position[where] + self.earlier(sums[:, where] * self.share[where])
        for block in self.blocks:
            features = features + block(features)
        return self.norm(features), near[..., :ADJACENT]

    def _group_logits(self, features: Tensor, given: Tensor, where: slice) -> Tensor:
        direct = F.embedding_bag(given.flatten(0, 1), self.group_table, mode="sum")
        logits: Tensor = self.to_groups(features) + self.group_bias[where] + direct.view(*given.shape[:2], -1)
        return logits

    def _label_logits(self, features: Tensor, given: Tensor, group: Tensor) -> Tensor:
        rows = given * self.groups + group[..., None]
        direct = F.embedding_bag(rows.flatten(0, 1), self.label_table, mode="sum").view(*group.shape, -1)
        weights = F.embedding(group, self.label_weights).view(*group.shape, self.size, -1)
        learned = (weights * self.to_inner(features)[:, :, None]).sum(-1)
        logits: Tensor = learned + F.embedding(group, self.label_bias) + direct
        return logits


class GatedBlock(nn.Module):
    """Layer norm, a product of two linear maps of which one goes through SiLU, a linear map back."""

    def __init__(self, features: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(features)
        self.into = nn.Linear(features, 2 * features)
        self.back = nn.Linear(features, features)

    def forward(self, features: Tensor) -> Tensor:
        """Shape is kept."""
        gate, value = self.into(self.norm(features)).chunk(2, -1)
        out: Tensor = self.back(F.silu(gate) * value)
        return out


def _split(numbers: Tensor, size: int) -> tuple[Tensor, Tensor]:
    """Group and place in it, of numbers that go through groups of that size in order."""
    return numbers // size, numbers % size


def _near(side: int) -> Tensor:
    """Positions ``(side * side, 12)`` of the labels near each position; ``side * side`` where there is none."""
    found = torch.full((side, side, len(NEAR)), side * side)
    for k, (down, right) in enumerate(NEAR):
        for row in range(side):
            for column in range(side):
                if row + down >= 0 and 0 <= column + right < side:
                    found[row, column, k] = (row + down) * side + column + right
    return found.flatten(0, 1)


def _halved(codebook: Tensor, labels: Tensor, groups: int) -> list[Tensor]:
    """Groups of like labels: halved again and again at the median of their first principal component."""
    if groups == 1:
        return [labels]
    centred = codebook[labels] - codebook[labels].mean(0)
    ordered = labels[(centred @ torch.linalg.svd(centred, full_matrices=False)[2][0]).argsort()]
    return [part for half in ordered.chunk(2) for part in _halved(codebook, half, groups // 2)]


def _log_shares(counts: Tensor, pseudo: Tensor) -> Tensor:
    """Logarithms of shares along the last axis."""
    smoothed = counts + pseudo
    return (smoothed / smoothed.sum(-1, keepdim=True)).log()


def _drawn(logits: Tensor, uniform: Tensor) -> Tensor:
    """Indices ``(n, p)`` by the inverse of the cumulative distribution."""
    cumulated = logits.double().softmax(-1).cumsum(-1)
    found = torch.searchsorted(cumulated, uniform[..., None].contiguous(), right=True).squeeze(-1)
    return found.clamp_max(logits.shape[-1] - 1)
