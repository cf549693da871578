"""Packages that few users need: without one its tests are skipped, visibly; in CI they fail."""

from __future__ import annotations

import os
import warnings
from importlib import import_module
from typing import Any

import pytest


def optional(name: str) -> Any:
    """The package, imported; its own warnings at import are not ours."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return import_module(name)
    except ModuleNotFoundError as error:
        if os.environ.get("CI") or error.name != name.partition(".")[0]:
            raise
        return pytest.skip(f"{error.name} is not installed", allow_module_level=True)
