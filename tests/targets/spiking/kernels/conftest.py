"""Every implementation of the kernels: numba's, and the C one, where it was built, in each set of instructions."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
from importlib.util import find_spec
from types import ModuleType

import pytest

from mango.targets.spiking.kernels import backend, convolution, layers, portable, trains

PLACE = f"mango.targets.spiking.kernels.{backend.MODULES['c']}"
COMPILED = import_module(PLACE) if find_spec(PLACE) else None
NAMES = ["numba", *(f"C, {name}" for name in (COMPILED.SETS if COMPILED else ()))]


@pytest.fixture(params=NAMES, autouse=True)
def implementation(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """The kernels as one implementation gives them."""
    module = portable
    if request.param != "numba":
        assert COMPILED is not None
        module = COMPILED
        module.use(request.param.removeprefix("C, "))
    assert request.param == module.NAME
    for user in (convolution, layers, trains):
        monkeypatch.setattr(user, "kernels", lambda: module)
    yield module
    if COMPILED is not None:
        COMPILED.use(COMPILED.SETS[-1])
