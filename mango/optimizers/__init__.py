"""Search methods: the table of names, and `make_optimizer`.

A new method is one module and one line here. ``TABLE`` maps a name to ``module:Class`` and the options that make it a
preset; modules load when they are first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

from numpy.typing import ArrayLike

from mango.charts import Chart
from mango.errors import UnknownName
from mango.optimizers.base import Optimizer, Proposals
from mango.space import SearchSpace

__all__ = ["TABLE", "Optimizer", "Proposals", "make_optimizer", "optimizer_class", "optimizer_summary"]

_PUBLISHED = {"binary": True, "rank": 5, "steps": 1}  # of Tensor-Train search, but for batch and rate

TABLE: dict[str, tuple[str, dict[str, Any]]] = {
    "auto": ("auto:Auto", {}),
    "random": ("random:RandomSearch", {}),
    "tt": ("tt:TensorTrain", {}),
    "tt-m": ("tt_protes:Protes", {**_PUBLISHED, "batch": 10, "elites": 1, "rate": 0.05}),
    "tt-s": ("tt_protes:Protes", {**_PUBLISHED, "batch": 5, "elites": 1, "rate": 0.05}),
    "tt-b": ("tt_protes:Protes", {**_PUBLISHED, "batch": 25, "elites": 5, "rate": 0.05}),
    "tt-exp": ("tt_protes:Protes", {**_PUBLISHED, "batch": 100, "elites": 10, "rate": 0.1}),
    "tt-surrogate": ("tt_surrogate:TensorTrainSurrogate", {}),
    "ttopt": ("ttopt:TTOpt", {}),
    "cma": ("cma:CMA", {}),
    "cma-diagonal": ("cma:CMA", {"diagonal": True}),
    "cma-sphere": ("cma_sphere:SphereCMA", {}),
    "quasi-newton": ("quasi_newton:QuasiNewton", {}),
    "evolution": ("evolution:Evolution", {}),
    "genetic": ("genetic:Genetic", {}),
    "nevergrad": ("nevergrad:Nevergrad", {}),
}
_SUMMARIES = {  # of presets that are another method than their class by itself
    "cma-diagonal": "CMA-ES that learns a scale for each axis, not how axes go together; for many axes",
}


def optimizer_class(name: str) -> tuple[type[Optimizer], dict[str, Any]]:
    """The class and the preset options behind a name such as ``"tt-m"`` or ``"nevergrad:NGOpt"``.

    Raises:
        UnknownName: no such optimizer.
    """
    family, colon, detail = name.partition(":")
    if family not in TABLE or (colon and family != "nevergrad"):
        raise UnknownName("optimizer", name, TABLE)
    path, preset = TABLE[family]
    module, _, cls = path.partition(":")
    found: type[Optimizer] = getattr(import_module(f"mango.optimizers.{module}"), cls)
    return found, {**preset, "method": detail} if family == "nevergrad" else dict(preset)


def optimizer_summary(name: str) -> str:
    """One line on the method of that name.

    Raises:
        UnknownName: no such optimizer.
    """
    return _SUMMARIES.get(name) or optimizer_class(name)[0].SUMMARY


def make_optimizer(
    name: str,
    space: SearchSpace,
    *,
    seed: int,
    chart: Chart | str | None = None,
    natural: ArrayLike | None = None,
    budget: int | None = None,
    **options: Any,
) -> Optimizer:
    """The optimizer of that name for a space; the other arguments are those of `Optimizer`.

    Raises:
        UnknownName: no such optimizer; the message suggests the nearest.
    """
    cls, preset = optimizer_class(name)
    return cls(space, seed=seed, chart=chart, natural=natural, budget=budget, **{**preset, **options})
