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
import threading
from collections.abc import Iterator, Mapping
from typing import Any

from threadpoolctl import ThreadpoolController

_ONE = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
_LOCK = threading.Lock()  # of the next three
_within: list[int] = []  # threads of Python that have entered `one_thread` and not left, as often as they did
_torch = 0  # threads of torch before the first of them entered; 0: it was not loaded
_UNDO = contextlib.ExitStack()  # sets back what they share, once the last one leaves


@contextlib.contextmanager
def one_thread() -> Iterator[None]:
    """Within it, BLAS, OpenMP, torch and numba use one thread where Python's thread calls them.

    Threads of Python may overlap in it: what they share is set back when the last one leaves. One thing escapes: a
    target that first imports numba in the middle of a call has the parallel loops of that call on every core, since
    numba reads its environment once and for all.
    """
    global _torch
    me = threading.get_ident()
    with _LOCK, contextlib.ExitStack() as own:
        before = _package_threads()  # first, since numba loads a library of threads when it is first asked
        if not _within:
            _torch = before.get("torch", 0)
        elif me not in _within and _torch:
            before["torch"] = _torch  # a new thread of Python has torch's number of the one that is within
        for name, threads in before.items():
            own.callback(sys.modules[name].set_num_threads, threads)
            sys.modules[name].set_num_threads(1)
        own.enter_context(_thread_pools(len(sys.modules)).select(user_api="openmp").limit(limits=1))
        if not _within:
            _UNDO.enter_context(_one_for_the_process())
        _within.append(me)
        leaving = own.pop_all()
    try:
        yield
    finally:
        with _LOCK:
            _within.remove(me)
            if not _within:
                _UNDO.close()
            leaving.close()


@contextlib.contextmanager
def _one_for_the_process() -> Iterator[None]:
    """What threads of Python share: BLAS, and the environment, for what is first imported within."""
    modules, had_torch = len(sys.modules), "torch" in sys.modules
    known = _thread_pools(modules)
    kept = {name: os.environ.get(name) for name in _ONE}
    _set_environment(_ONE)
    with known.select(user_api="blas").limit(limits=1):
        yield
    _set_environment(kept)
    if len(sys.modules) != modules:
        _free_what_came(known, torch_too=not had_torch)


def pin_one_thread() -> None:
    """One thread for the rest of this process, in every thread of Python: for workers."""
    _set_environment(_ONE)
    if "numba" not in sys.modules:  # it would refuse to compile once the number had changed
        os.environ["NUMBA_NUM_THREADS"] = "1"
    for name in _package_threads():
        sys.modules[name].set_num_threads(1)
    ThreadpoolController().limit(limits=1)


def _package_threads() -> dict[str, int]:
    """How many threads torch and numba use from this one of Python, where they are loaded."""
    packages: dict[str, Any] = {name: sys.modules.get(name) for name in ("torch", "numba")}
    return {
        name: package.get_num_threads()
        for name, package in packages.items()
        if hasattr(package, "set_num_threads")  # neither absent nor just being imported by another thread
    }


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
