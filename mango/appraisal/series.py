"""A classifier of time series: how many test series it tells right; and what they do to its units."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from mango.appraisal.classifier import statistics
from mango.series import load_series
from mango.targets.classifier import Classifier


@torch.no_grad()
def figures(name: str, network: nn.Module, _data: Path) -> dict[str, float]:
    """Test ``accuracy``.

    Args:
        name: of the data set, see `load_series`.
        network: of series ``(n, 1, length)``, in eval mode.
        _data: not looked at; the series come with a package.

    Raises:
        DataError: the package is not installed.
    """
    series, labels = load_series(name, "test")
    chosen = network(torch.from_numpy(series)).argmax(1).numpy()
    return {"accuracy": float((chosen == labels).mean())}


trace = partial(figures, "trace")
gunpoint = partial(figures, "gunpoint")


def responses(name: str, classifier: Classifier) -> dict[str, NDArray[np.float32]]:
    """What the test series of a data set do to every channel, ``LAYER.channel``; see `appraisal.classifier`."""
    series, _ = load_series(name, "test")
    found = {}
    for layer in ("conv1", "conv2", "conv3", "output"):
        answers = classifier.read(series, layer)
        found[f"{layer}.channel"] = statistics(answers.reshape(*answers.shape[:2], -1).mean(2))
    return found
