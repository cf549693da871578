"""Arrays, numbers and texts as bytes, and back bit for bit: a safetensors file in memory, never a pickle."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import safetensors.numpy
from safetensors import SafetensorError

from mango.errors import StorageError

SCALARS = "//scalars"  # the entry that holds everything that is no array, as JSON text


def pack(parts: Mapping[str, Any]) -> bytes:
    """One flat dict of arrays, whole numbers, floats, texts and None as bytes.

    Raises:
        StorageError: a part that is none of these, which no file without pickles can hold.
    """
    arrays = {name: _contiguous(part) for name, part in parts.items() if isinstance(part, np.ndarray)}
    scalars = {name: _plain(name, part) for name, part in parts.items() if name not in arrays}
    arrays[SCALARS] = np.frombuffer(json.dumps(scalars).encode(), np.uint8)
    try:
        return safetensors.numpy.save(arrays)
    except (KeyError, TypeError, ValueError, SafetensorError) as error:
        kinds = sorted({str(array.dtype) for array in arrays.values()})
        raise StorageError(f"arrays of {', '.join(kinds)} cannot all be stored: {error}") from error


def unpack(blob: bytes) -> dict[str, Any]:
    """The inverse of `pack`.

    Raises:
        StorageError: the bytes are damaged.
    """
    try:
        arrays = safetensors.numpy.load(blob)
        scalars: dict[str, Any] = json.loads(arrays.pop(SCALARS).tobytes())
    except (KeyError, ValueError, SafetensorError) as error:
        raise StorageError(f"stored arrays are damaged: {error}") from error
    return {**{name: array.copy() for name, array in arrays.items()}, **scalars}


def _contiguous(array: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    return array.copy(order="C")  # safetensors writes the buffer as it lies, which is wrong for a transposed view


def _plain(name: str, part: Any) -> int | float | str | None:
    value = part.item() if isinstance(part, np.generic) else part
    if value is not None and not isinstance(value, (int, float, str)):
        raise StorageError(
            f"{name!r} is a {type(part).__name__}; a state holds numpy arrays, whole numbers, floats and texts"
        )
    return value
