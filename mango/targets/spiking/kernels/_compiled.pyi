from typing import Any

from numpy.typing import NDArray

NAME: str
SETS: tuple[str, ...]  # of instructions, that this processor has

def integrate(
    currents: NDArray[Any],
    charge: int,
    reset: int,
    parameters: NDArray[Any],
    words: NDArray[Any],
    potentials: NDArray[Any],
    /,
) -> None: ...
def convolve(
    words: NDArray[Any],
    weights: NDArray[Any],
    bias: NDArray[Any],
    bias_first: bool,
    stride: tuple[int, int],
    padding: tuple[int, int],
    out: NDArray[Any],
    /,
) -> None: ...
def fold(
    words: NDArray[Any],
    weights: NDArray[Any],
    bias: NDArray[Any],
    bias_first: bool,
    stride: tuple[int, int],
    padding: tuple[int, int],
    pool: tuple[int, int, int, int],
    charge: int,
    reset: int,
    parameters: NDArray[Any],
    bounds: NDArray[Any],
    out: NDArray[Any],
    folded: NDArray[Any],
    /,
) -> int: ...
def settle(
    words: NDArray[Any],
    weights: NDArray[Any],
    bias: NDArray[Any],
    bias_first: bool,
    stride: tuple[int, int],
    padding: tuple[int, int],
    pool: tuple[int, int, int, int],
    affine: NDArray[Any],
    fused: bool,
    charge: int,
    reset: int,
    parameters: NDArray[Any],
    bounds: NDArray[Any],
    currents: NDArray[Any],
    out: NDArray[Any],
    /,
) -> int: ...
def flatten(words: NDArray[Any], channels: int, out: NDArray[Any], /) -> None: ...
def use(name: str, /) -> None: ...
