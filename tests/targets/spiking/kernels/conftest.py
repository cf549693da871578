"""Both implementations of the kernels, the C one where it was built."""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec

import pytest

from mango.targets.spiking.kernels import backend, convolution, trains

BUILT = [name for name, module in backend.MODULES.items() if find_spec(f"mango.targets.spiking.kernels.{module}")]


@pytest.fixture(params=BUILT, autouse=True)
def implementation(request, monkeypatch):
    """The kernels as one implementation gives them."""
    module = import_module(f"mango.targets.spiking.kernels.{backend.MODULES[request.param]}")
    for user in (convolution, trains):
        monkeypatch.setattr(user, "kernels", lambda: module)
    return request.param
