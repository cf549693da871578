"""Finds what a text names: a line of a table, or a user's own ``module:factory``."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from importlib import import_module
from pathlib import Path
from traceback import extract_tb
from typing import Any

from mango.errors import InputError, MangoError, UnknownName


def build_from_factory(
    kind: str,
    spec: str,
    method: str,
    known: Iterable[str],
    advice: Callable[[Any], str] = lambda built: "",  # noqa: ARG005
) -> Any:
    """Calls the factory that ``"package.module:factory"`` names; the current folder is searched too.

    Args:
        kind: what it should build, for messages: ``"generator"`` or ``"target"``.
        spec: ``module:factory``.
        method: what the object must be able to do, ``"decode"`` or ``"respond"``.
        known: names that the user may have meant instead.
        advice: what to say to a user whose factory built something else.

    Raises:
        UnknownName: no such module or factory.
        InputError: the factory raised, or built something else.
    """
    module_name, _, factory_name = spec.partition(":")
    if not factory_name or not all(part.isidentifier() for part in module_name.split(".")):
        raise UnknownName(kind, spec, known, f"Your own {kind} is named module:factory.")
    if str(Path.cwd()) not in sys.path:
        sys.path.insert(0, str(Path.cwd()))
    try:
        module = import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{module_name}.".startswith(f"{error.name}."):
            raise
        raise UnknownName(kind, spec, known, f"There is no module {module_name} to import either.") from error
    factory = getattr(module, factory_name, None)
    if not callable(factory):
        raise UnknownName(f"{kind} factory in {module_name}", factory_name, [n for n in dir(module) if n[0] != "_"])
    try:
        built = factory()
    except MangoError:
        raise
    except Exception as error:
        lines = [frame for frame in extract_tb(error.__traceback__) if frame.filename == module.__file__]
        place = f" ({Path(lines[-1].filename).name}, line {lines[-1].lineno})" if lines else ""
        raise InputError(f"{spec} raised {type(error).__name__}: {error}{place}") from error
    if not callable(getattr(built, method, None)):
        came = f"it returned {type(built).__name__}{advice(built)}"
        raise InputError(f"{spec} must return a {kind} with a method {method}(...); {came}")
    return built
