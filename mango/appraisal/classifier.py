"""A classifier's worth: how many test images it tells right; and what natural images do to its units."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from mango.appraisal.images import batches, load_test
from mango.targets.classifier import OUTPUT, Classifier
from mango.targets.preprocess import PREPROCESS

BATCH = 100  # images through the network at once


@torch.no_grad()
def figures(network: nn.Module, data: Path) -> dict[str, float]:
    """Test ``accuracy``.

    Args:
        network: of normalised images, in eval mode.
        data: folder that holds CIFAR-10.
    """
    images, labels = load_test(data)
    right = 0
    for x, y in zip(batches(images, BATCH, torch.device("cpu")), torch.split(labels, BATCH), strict=True):
        right += int((network(PREPROCESS(x)).argmax(1) == y).sum())
    return {"accuracy": right / len(images)}


def responses(classifier: Classifier, layers: Sequence[str], images: Tensor) -> dict[str, NDArray[np.float32]]:
    """What images do to every channel or feature, and to every one at every place.

    Args:
        classifier: to be shown the images.
        layers: to be read.
        images: uint8 ``(n, 3, h, w)``.

    Returns:
        ``LAYER.channel`` (averaged over places; of the output the logits) ``(4, channels)`` and, but for the output,
        ``LAYER.place`` ``(4, channels, ...)``: rows are the maximum, the 99.9th percentile, the median, and the share
        of images whose response is 0.
    """
    found = {}
    for layer in layers:
        parts = [classifier.read(x.numpy(), layer) for x in batches(images, BATCH, torch.device("cpu"))]
        answers = np.concatenate(parts).reshape(len(images), parts[0].shape[1], -1)
        found[f"{layer}.channel"] = statistics(answers.mean(2))
        if layer != OUTPUT:
            each = [statistics(answers[:, channel]) for channel in range(answers.shape[1])]
            found[f"{layer}.place"] = np.stack(each, 1).reshape(4, *parts[0].shape[1:])
    return found


def statistics(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """Responses ``(n, units)`` to their maximum, 99.9th percentile, median and share of zeros, ``(4, units)``."""
    high, median = np.quantile(values, (0.999, 0.5), axis=0)
    return np.stack([values.max(0), high, median, (values == 0).mean(0)]).astype(np.float32)
