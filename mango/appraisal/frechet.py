"""The Frechet distance between two sets of images, in the feature space of our own classifier.

Heusel et al. 2017 (arXiv 1706.08500) take Inception's features of 50,000 images. These are the 192 features, averaged
over places, that ``resnet18-cifar10`` reads its logits from, of as many images as are given: figures compare with one
another, not with published ones.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mango import zoo
from mango.appraisal.images import batches, load_test
from mango.errors import InputError
from mango.targets.cifar10 import evaluated

MODEL, LAYER = "resnet18-cifar10", "layer4"
NOTE = f"Distances are in the feature space of {MODEL}, from as many images as there are test images."  # on a card
CHUNK = 1_000  # images whose maps of features are held at once

Floats = NDArray[np.float64]


def to_test(images: NDArray[np.float32], data: Path) -> float:
    """Distance of images ``(n, 3, 32, 32)`` in [0, 1] to the test images.

    Args:
        images: two or more.
        data: folder that holds CIFAR-10.
    """
    return distance(features(images), _of_test(data))


def as_floats(images: Tensor) -> NDArray[np.float32]:
    """Images, uint8 ``(n, 3, h, w)``, in [0, 1]."""
    return np.concatenate([part.numpy() for part in batches(images, CHUNK, torch.device("cpu"))])


def features(images: NDArray[np.float32]) -> Floats:
    """Features ``(n, 192)`` of images ``(n, 3, 32, 32)`` in [0, 1]."""
    classifier = evaluated(MODEL, zoo.load(MODEL))
    parts = (classifier.read(images[i : i + CHUNK], LAYER) for i in range(0, len(images), CHUNK))
    return np.concatenate([part.mean((2, 3), dtype=np.float64) for part in parts])


def distance(ours: Floats, theirs: Floats) -> float:
    """Frechet distance of the normal distributions that have the mean and covariance of two sets of features.

    ``|m - m'|^2 + tr(C + C' - 2 (C C')^(1/2))`` (Dowson and Landau 1982).

    Args:
        ours: ``(n, f)``.
        theirs: ``(m, f)``.

    Raises:
        InputError: other shapes, or fewer than two rows.
    """
    if ours.ndim != 2 or theirs.ndim != 2 or ours.shape[1] != theirs.shape[1] or min(len(ours), len(theirs)) < 2:
        raise InputError(f"expected features (n, f) and (m, f) of two or more images; got {ours.shape}, {theirs.shape}")
    shift = ours.mean(0) - theirs.mean(0)
    spread, other = np.cov(ours, rowvar=False), np.cov(theirs, rowvar=False)
    values, vectors = np.linalg.eigh(spread)
    root = (vectors * np.sqrt(np.maximum(values, 0))) @ vectors.T  # rounding leaves eigenvalues of -1e-17
    overlap = np.sqrt(np.maximum(np.linalg.eigvalsh(root @ other @ root), 0)).sum()
    return float(shift @ shift + np.trace(spread) + np.trace(other) - 2 * overlap)


@cache
def _of_test(data: Path) -> Floats:
    return features(as_floats(load_test(data)[0]))
