"""Time series of the UCR archive (Dau et al. 2019, arXiv 1810.07758), read from the packages that come with them.

They serve trainings and the check of a card. Every series has mean 0 and variance 1. Nothing is downloaded.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mango.errors import DataError, UnknownName


class Series(NamedTuple):
    """Series ``(n, 1, length)`` as float32 and their classes ``(n,)``, from 0 on, as int64."""

    series: NDArray[np.float32]
    labels: NDArray[np.int64]


def load_series(name: str, split: str) -> Series:
    """One split of a data set.

    Args:
        name: ``"trace"`` (4 classes, 275 points; in tslearn) or ``"gunpoint"`` (2 classes, 150 points; in aeon).
        split: ``"train"`` or ``"test"``.

    Raises:
        UnknownName: no such data set.
        DataError: its package is not installed, or no such split.
    """
    if name not in SOURCES:
        raise UnknownName("data set of time series", name, SOURCES)
    if split not in ("train", "test"):
        raise DataError(f"split must be 'train' or 'test', not {split!r}")
    try:
        series, labels = SOURCES[name](split)
    except ModuleNotFoundError as error:
        raise DataError(
            f"the series of {name} come with a package that is missing ({error}): pip install 'mango-neuro[series]'"
        ) from error
    _, classes = np.unique(labels, return_inverse=True)
    return Series(np.ascontiguousarray(series, np.float32), classes.astype(np.int64))


def _trace(split: str) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    from tslearn.datasets import CachedDatasets

    train, train_labels, test, test_labels = CachedDatasets().load_dataset("Trace")
    series, labels = (train, train_labels) if split == "train" else (test, test_labels)
    return series.transpose(0, 2, 1), labels


def _gunpoint(split: str) -> tuple[NDArray[np.float64], NDArray[np.str_]]:
    from aeon.datasets import load_gunpoint

    series, labels = load_gunpoint(split=split.upper())
    return series, labels


SOURCES: dict[str, Callable[[str], tuple[NDArray[np.float64], NDArray[np.generic]]]] = {
    "trace": _trace,
    "gunpoint": _gunpoint,
}
