"""Which implementation of the kernels serves: numba's, or the C extension where setuptools found a compiler."""

from __future__ import annotations

import os
from functools import cache
from importlib import import_module
from typing import Any, Protocol

from numpy.typing import NDArray

from mango.errors import OptionError

VARIABLE = "MANGO_KERNELS"
MODULES = {"c": "_compiled", "numba": "portable"}  # in order of preference

Array = NDArray[Any]


class Kernels(Protocol):
    """What an implementation offers; arguments are checked by the callers, shapes are in `portable`."""

    NAME: str

    def integrate(
        self,
        currents: Array,
        charge: int,
        reset: int,
        parameters: Array,
        words: Array,
        potentials: Array,
        /,
    ) -> None:
        """Spikes, and potentials where asked for, of currents."""
        ...

    def convolve(
        self,
        words: Array,
        weights: Array,
        bias: Array,
        bias_first: bool,
        stride: tuple[int, int],
        padding: tuple[int, int],
        out: Array,
        /,
    ) -> None:
        """Convolution of spikes, in the order of their blocks."""
        ...

    def fold(
        self,
        words: Array,
        weights: Array,
        bias: Array,
        bias_first: bool,
        stride: tuple[int, int],
        padding: tuple[int, int],
        pool: tuple[int, int, int, int],
        charge: int,
        reset: int,
        parameters: Array,
        bounds: Array,
        out: Array,
        folded: Array,
        /,
    ) -> int:
        """Whole layers of the images for which that is fast; how many neurons were in doubt."""
        ...

    def settle(
        self,
        words: Array,
        weights: Array,
        bias: Array,
        bias_first: bool,
        stride: tuple[int, int],
        padding: tuple[int, int],
        pool: tuple[int, int, int, int],
        affine: Array,
        fused: bool,
        charge: int,
        reset: int,
        parameters: Array,
        bounds: Array,
        currents: Array,
        out: Array,
        /,
    ) -> int:
        """Spikes of currents that were summed in another order; how many neurons were in doubt."""
        ...

    def flatten(self, words: Array, channels: int, out: Array, /) -> None:
        """Spikes of places and channels as those of features, channel by channel."""
        ...


@cache
def kernels() -> Kernels:
    """The implementation that the environment variable MANGO_KERNELS names (``c`` or ``numba``), else the fastest.

    Raises:
        OptionError: another name, or ``c`` where the extension was not built.
    """
    wanted = os.environ.get(VARIABLE, "")
    if wanted and wanted not in MODULES:
        raise OptionError(f"expected {VARIABLE}={' or '.join(MODULES)}; got {wanted!r}")
    for name in (wanted,) if wanted else MODULES:
        try:
            module: Kernels = import_module(f"mango.targets.spiking.kernels.{MODULES[name]}")
            return module
        except ModuleNotFoundError:
            continue
    raise OptionError(f"{VARIABLE}={wanted}: the extension was not built; install a C compiler, then mango anew")


def active() -> str:
    """The implementation that serves, such as ``C, AVX-512`` or ``numba``."""
    return kernels().NAME
