"""Where trials are evaluated: in this process (`LocalEvaluator`) or by Ray workers (`RayEvaluator`).

The names load lazily: the local evaluator must not import Ray.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mango.evaluators.base import Evaluator, evaluate
    from mango.evaluators.local import LocalEvaluator
    from mango.evaluators.ray import RayEvaluator

__all__ = ["Evaluator", "LocalEvaluator", "RayEvaluator", "evaluate"]

_MODULES = {"Evaluator": "base", "evaluate": "base", "LocalEvaluator": "local", "RayEvaluator": "ray"}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
