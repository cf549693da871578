"""What is beside likelihood in a natural stimulus: its contrast, and features like those of natural ones."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.spatial.distance import cdist

from mango.errors import InputError

Floats = NDArray[np.float64]

LUMINANCE = (0.2126, 0.7152, 0.0722)  # of red, green, blue (ITU-R BT.709)
NEAREST = 10  # natural stimuli that a distance is measured to
SAME = 1e-9  # of the distance to others: no distance, but for rounding


def rms_contrast(stimuli: NDArray[Any]) -> Floats:
    """Standard deviation of the luminance over the pixels, ``(n,)``: 0 for a uniform field, at most .5 (Peli 1990).

    Luminance is that of the stored values, not of what a screen makes of them.

    Args:
        stimuli: images ``(n, 1 or 3, height, width)`` in [0, 1].

    Raises:
        InputError: another shape.
    """
    images = np.asarray(stimuli, np.float64)
    if images.ndim != 4 or images.shape[1] not in (1, 3):
        raise InputError(f"contrast is that of images (n, 1 or 3, height, width); got {images.shape}")
    luminance = images[:, 0] if images.shape[1] == 1 else np.einsum("nchw,c->nhw", images, LUMINANCE)
    contrast: Floats = luminance.std((1, 2))
    return contrast


def latent_features(vectors: NDArray[Any]) -> Floats:
    """Statistics ``(n, 3 k)`` of maps of latent vectors, the same wherever things lie in a map.

    For each of the k components its mean over the map, its standard deviation over the map, and the root mean square of
    its differences between neighbours. Distances between the maps themselves would not serve: like distances between
    pixels, they find a uniform field nearer to most natural stimuli than these are to one another.

    Args:
        vectors: ``(n, height, width, k)``, such as the code-book vectors of labels.

    Raises:
        InputError: another shape.
    """
    maps = np.asarray(vectors, np.float64)
    if maps.ndim != 4 or min(maps.shape[1:3]) < 2:
        raise InputError(f"expected maps of vectors (n, height, width, k), 2 x 2 or larger; got {maps.shape}")
    across, down = np.square(np.diff(maps, axis=2)), np.square(np.diff(maps, axis=1))
    pairs = across.shape[1] * across.shape[2] + down.shape[1] * down.shape[2]
    differences = np.sqrt((across.sum((1, 2)) + down.sum((1, 2))) / pairs)
    return np.concatenate([maps.mean((1, 2)), maps.std((1, 2)), differences], axis=1)


def feature_distance(features: ArrayLike, natural: ArrayLike) -> Floats:
    """Mean Euclidean distance ``(n,)`` to the 10 nearest natural stimuli, in units of what is usual among these.

    The unit is the median, over the natural stimuli, of the same distance of one to the others: 1 is as near to nature
    as natural stimuli are to one another. A stimulus that is among the natural ones itself is measured to the others.

    Args:
        features: of the stimuli, ``(n, f)``.
        natural: of natural stimuli, ``(m, f)``, more than 10.

    Raises:
        InputError: other shapes, too few natural stimuli, or these all the same.
    """
    ours, theirs = np.asarray(features, np.float64), np.asarray(natural, np.float64)
    if ours.ndim != 2 or theirs.ndim != 2 or ours.shape[1] != theirs.shape[1] or len(theirs) <= NEAREST:
        raise InputError(
            f"expected features (n, f), and (m, f) of more than {NEAREST} natural stimuli; "
            f"got {ours.shape} and {theirs.shape}"
        )
    usual = float(np.median(_to_nearest(theirs, theirs)))
    if not usual > 0:
        raise InputError(f"most of the {len(theirs)} natural stimuli have the same features; give different ones")
    return _to_nearest(ours, theirs) / usual


def _to_nearest(ours: Floats, theirs: Floats) -> Floats:
    """Mean distance to the nearest, one of no distance left out: the stimulus itself."""
    nearest = np.sort(cdist(ours, theirs), axis=1)[:, : NEAREST + 1]
    itself = nearest[:, 0] <= SAME * nearest[:, -1]
    mean: Floats = np.where(itself, nearest[:, 1:].mean(1), nearest[:, :NEAREST].mean(1))
    return mean
