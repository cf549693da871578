"""Which of several answers is better: by value, then by key, then by place."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def ranking(values: Floats, keys: Floats | None = None) -> NDArray[np.intp]:
    """Indices from best to worst: by value, equal values by key, equal keys by place; NaN comes last."""
    order_keys = np.full(len(values), np.nan) if keys is None else keys
    lowest = np.where(np.isnan(order_keys), -np.inf, order_keys)
    return np.lexsort((-lowest, np.where(np.isnan(values), np.inf, -values)))


def merit(value: float, key: float) -> tuple[float, float]:
    """What orders two measured answers as `ranking` does: the value, then the key; a key beats none."""
    return value, -math.inf if math.isnan(key) else key
