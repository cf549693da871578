"""Units of spiking networks as targets: any feed-forward network of snnTorch, SpikingJelly or Norse, and the zoo's.

The names below load torch when they are first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mango.targets.spiking.network import Check, SpikingNetwork
    from mango.targets.spiking.target import SpikingTarget

__all__ = ["Check", "SpikingNetwork", "SpikingTarget"]

_MODULES = {
    "Check": "network",
    "SpikingNetwork": "network",
    "SpikingTarget": "target",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
