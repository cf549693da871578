"""The code is the stimulus: for benchmark functions, and for rigs that turn numbers into stimuli themselves."""

from __future__ import annotations

from typing import Any

from numpy.typing import NDArray

from mango.errors import InputError
from mango.space import Codes, SearchSpace


class Identity:
    """Hands codes through; its space is whatever the user gives."""

    def __init__(self, space: SearchSpace) -> None:
        self.space = space
        self.stimulus_shape = (space.dim,)

    def decode(self, codes: Codes) -> NDArray[Any]:
        """The codes ``(n, dim)``, checked."""
        return self.space.validate(codes)


def make_identity(detail: str) -> Identity:
    """From ``"box:DIM"`` (each axis from -5 to 5) or ``"grid:DIM:LEVELS"``.

    Raises:
        InputError: anything else.
    """
    kind, *numbers = detail.split(":")
    if all(number.isdecimal() and int(number) for number in numbers):
        sizes = [int(number) for number in numbers]
        if kind == "box" and len(sizes) == 1:
            return Identity(SearchSpace.box(sizes[0], -5.0, 5.0))
        if kind == "grid" and len(sizes) == 2:
            return Identity(SearchSpace.grid(*sizes))
    raise InputError(f"expected identity:box:DIM or identity:grid:DIM:LEVELS, such as identity:box:20; got {detail!r}")
