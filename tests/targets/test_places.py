"""Units that a layer does not have."""

from __future__ import annotations

from typing import Any

import pytest

from mango.errors import InputError
from mango.targets.places import checked_index

LAYERS = {"2": (6, 5, 5), "7": (5,)}


@pytest.mark.parametrize(
    ("layer", "unit", "says"),
    [
        ("2", -1, "unit -1 is out of range; expected 0 to 5"),
        ("2", (0, 0, 5), "column 5 is out of range; expected 0 to 4"),
        ("7", (0, 0), r"the layer has 1 axes, \(5,\); got 2 numbers"),
        ("2", 1.0, "unit must be a whole number, or None for all; got 1.0"),
        ("2", "1", "unit must be a whole number, or None for all; got '1'"),
        ("2", True, "got True"),
    ],
)
def test_places_that_are_not_there(layer: str, unit: Any, says: str) -> None:
    with pytest.raises(InputError, match=says):
        checked_index(layer, unit, LAYERS[layer])
