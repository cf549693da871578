"""A small convolutional classifier of time series, as in Sequence Dreaming (Schlegel et al. 2024, arXiv 2408.10628)."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from torch import Tensor, nn


class SeriesConvNet(nn.Module):
    """Three convolutions of kernel 3, each with ReLU and max-pooling, the mean over time, and a linear read-out.

    Layers are ``conv1 conv2 conv3``, each after its ReLU, and ``output``. The source names channels and kernel only;
    pooling by 2 and the mean over time are ours.

    Args:
        classes: that it tells apart.
        channels: of the three convolutions.
    """

    def __init__(self, classes: int, channels: Sequence[int] = (10, 50, 100)) -> None:
        super().__init__()
        for i, (fan_in, fan_out) in enumerate(pairwise([1, *channels]), start=1):
            self.add_module(f"conv{i}", nn.Sequential(nn.Conv1d(fan_in, fan_out, 3, padding=1), nn.ReLU()))
        self.pool = nn.MaxPool1d(2)
        self.output = nn.Linear(channels[-1], classes)

    def forward(self, series: Tensor) -> Tensor:
        """Logits ``(n, classes)`` of series ``(n, 1, length)``."""
        for i in (1, 2, 3):
            series = self.get_submodule(f"conv{i}")(series)
            if i < 3:
                series = self.pool(series)
        logits: Tensor = self.output(series.mean(2))
        return logits
