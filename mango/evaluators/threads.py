"""One thread per evaluation, since sums over threads round by their number.

Four things bring threads of their own: BLAS and OpenMP libraries; torch, whose MKL is linked in where threadpoolctl
does not see it and keeps its own number once one was set; numba, whose parallel loops take every core whatever
``OMP_NUM_THREADS`` says; and libraries that are loaded later, which read the environment then.
"""

from __future__ import annotations

import contextlib
import functools
import os
import sys
from collections.abc import Iterator, Mapping
from typing import Any

from threadpoolctl import ThreadpoolController

_ONE = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")


@contextlib.contextmanager
def one_thread() -> Iterator[None]:
    """Within it, BLAS, OpenMP, torch and numba use one thread where Python's thread calls them.

    One thing escapes: a target that first imports numba in the middle of a call has the parallel loops of that call on
    every core, since numba reads its environment once and for all.
    """
    limited = _limit_packages()  # first, since numba loads a library of threads when it is first asked
    modules, had_torch = len(sys.modules), "torch" in sys.modules
    known = _thread_pools(modules)
    kept = {name: os.environ.get(name) for name in _ONE}
    _set_environment(_ONE)  # for what is first imported within
    try:
        with known.limit(limits=1):
            yield
    finally:
        _set_environment(kept)
        if len(sys.modules) != modules:
            _free_what_came(known, torch_too=not had_torch)
        for package, threads in limited:
            package.set_num_threads(threads)


def pin_one_thread() -> None:
    """One thread for the rest of this process, in every thread of Python: for workers."""
    _set_environment(_ONE)
    if "numba" not in sys.modules:  # it would refuse to compile once the number had changed
        os.environ["NUMBA_NUM_THREADS"] = "1"
    _limit_packages()
    ThreadpoolController().limit(limits=1)


def _limit_packages() -> list[tuple[Any, int]]:
    """Has torch and numba, where they are loaded, use one thread; gives back what they used."""
    limited = []
    for name in ("torch", "numba"):
        package: Any = sys.modules.get(name)
        if hasattr(package, "set_num_threads"):  # neither absent nor just being imported by another thread
            limited.append((package, package.get_num_threads()))
            package.set_num_threads(1)
    return limited


def _set_environment(values: Mapping[str, str | None]) -> None:
    for name, value in values.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value


def _free_what_came(known: ThreadpoolController, *, torch_too: bool) -> None:
    """Gives libraries that were first loaded within the number of threads that they would have had."""
    wanted = os.environ.get("OMP_NUM_THREADS", "")
    threads = int(wanted) if wanted.isdigit() else os.cpu_count() or 1
    before = {library.filepath for library in known.lib_controllers}
    for library in _thread_pools(len(sys.modules)).lib_controllers:
        if library.filepath not in before:
            library.set_num_threads(threads)
    if torch_too and "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(threads)  # its MKL too


@functools.lru_cache(maxsize=1)
def _thread_pools(_modules: int) -> ThreadpoolController:
    """Of the libraries loaded by now; looking for them takes milliseconds, so only once new modules have come."""
    return ThreadpoolController()
