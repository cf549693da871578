"""Where in a network a target is read: ``LAYER/UNIT@READOUT`` as text, a unit, and the index of a layer's array."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from mango.errors import InputError, UnknownName

AXES = ("unit", "row", "column")
Unit = int | Sequence[int | None]  # as a user gives it, see `SpikingTarget` and `ClassifierTarget`
Index = tuple[int | None, ...]  # a number for each of the first axes of a layer, None for all of an axis


def parse_place(
    detail: str, names: Mapping[str, Sequence[str]] | None = None, default: str = "rate"
) -> tuple[str, Index, str]:
    """Layer, index and read-out of ``LAYER/UNIT@READOUT``; ``*`` is every unit of an axis, no unit the whole layer.

    Args:
        detail: such as ``"lif2/17"``, ``"lif2/17,3,4@latency"``, ``"lif2/*,3,4"``, ``"output/cat"``.
        names: of units, by layer.
        default: the read-out where none is named.

    Raises:
        UnknownName: a unit that is neither a number nor a known name.
        InputError: a unit that is no number.
    """
    place, _, readout = detail.partition("@")
    layer, _, unit = place.partition("/")
    known = list((names or {}).get(layer, ()))
    if unit in known:
        return layer, (known.index(unit),), readout or default
    parts = unit.split(",") if unit else []
    if all(part == "*" or part.isdigit() for part in parts):
        return layer, tuple(None if part == "*" else int(part) for part in parts), readout or default
    if known:
        raise UnknownName(f"unit of {layer}", unit, known, f"Or a number from 0 to {len(known) - 1}.")
    raise InputError(f"{detail}: expected LAYER/UNIT@READOUT with UNIT a number, numbers like 17,3,4, or * for all")


def checked_index(layer: str, unit: Unit, shape: Sequence[int]) -> Index:
    """The unit as a number or None for each of the first axes, where it lies in the layer.

    Raises:
        InputError: too many numbers, or one out of range, or something else.
    """
    index = tuple(unit) if isinstance(unit, (tuple, list)) else (unit,)
    if len(index) > len(shape):
        raise InputError(f"{layer}/{index}: the layer has {len(shape)} axes, {tuple(shape)}; got {len(index)} numbers")
    checked = list[int | None]()
    for i, (value, size) in enumerate(zip(index, shape, strict=False)):
        axis = AXES[i] if i < len(AXES) else f"axis {i}"
        if value is not None and (isinstance(value, bool) or not isinstance(value, (int, np.integer))):
            raise InputError(f"{layer}: {axis} must be a whole number, or None for all; got {value!r}")
        if value is not None and not 0 <= value < size:
            raise InputError(f"{layer}: {axis} {value} is out of range; expected 0 to {size - 1}")
        checked.append(None if value is None else int(value))
    return tuple(checked)


def slices(index: Index) -> tuple[int | slice, ...]:
    """The index as numpy and torch take it."""
    return tuple(slice(None) if i is None else i for i in index)
