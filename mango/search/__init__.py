"""What `mango search` does, as functions: a search from names to a folder of numbers, pictures and a page.

::

    from mango.search import Settings, resume, search
    result = search(Settings(generator="vqvae-cifar10", target="snn-cifar10:output/3"), "runs/first")

A study asks and is answered until its budget is spent; then natural stimuli are shown to the same unit, and everything
is written. Whatever interrupts it, `resume` goes on where it stopped. The names load lazily: looking at a folder must
not wait for what drawing pictures needs.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mango.search.progress import Progress
    from mango.search.session import resume, search, verify
    from mango.search.settings import Settings, expand_seeds, expand_targets
    from mango.search.standing import standing

__all__ = ["Progress", "Settings", "expand_seeds", "expand_targets", "resume", "search", "standing", "verify"]

_MODULES = {
    "Progress": "progress",
    "Settings": "settings",
    "expand_seeds": "settings",
    "expand_targets": "settings",
    "resume": "session",
    "search": "session",
    "standing": "standing",
    "verify": "session",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found = getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
    globals()[name] = found  # in place of the module of the same name, where there is one
    return found
