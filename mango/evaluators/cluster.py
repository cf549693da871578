"""Ray itself: started on this machine, or reached on a cluster, without a word on the terminal."""

from __future__ import annotations

import logging
import math
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager

from mango.errors import InputError, OptionError
from mango.evaluators.base import whole_number

# Ray prints what its daemons report, such as a dead worker or many that live, to standard output, whatever
# `log_to_driver` says. Deaths are handled here, and standard output is the user's. Ray reads this once, when imported.
os.environ.setdefault(
    "RAY_DEDUP_LOGS_SKIP_REGEX",
    "worker died or was killed|worker processes have been|marked dead|[Rr]aylet|[Nn]ode .*(died|dead|terminated)",
)
import ray

STARTS = 3  # tries: Ray gives itself 30 seconds, too few on a machine that is busy
KNOCK = 10.0  # seconds for a cluster's head to take a connection
OBJECT_STORE = 200 * 2**20  # bytes; codes are small, and Ray spills to disk where a generator is not


@contextmanager
def connected(address: str | None = None, *, workers: int = 2) -> Iterator[None]:
    """Keeps Ray up for several evaluators, one after the other.

    Raises:
        InputError: no cluster at that address; no Ray can be started.
    """
    owns = connect(address, whole_number("workers", workers))
    try:
        yield
    finally:
        if owns:
            ray.shutdown()


def connect(address: str | None, workers: int) -> bool:
    """Makes sure that Ray is initialised in this process; whether that was done here, and is ours to undo.

    Args:
        address: of a cluster; by default ``$RAY_ADDRESS``, else Ray is started on this machine.
        workers: CPUs that a Ray started here counts with.

    Raises:
        InputError: no Ray at the address, none can be started, or another one is in use.
    """
    if ray.is_initialized():
        connected_to = ray.get_runtime_context().gcs_address
        if address not in (None, "auto", "local", connected_to):
            raise InputError(
                f"Ray is already connected to {connected_to} in this process, so workers cannot run at {address}; "
                "leave the address out, or call ray.shutdown() first"
            )
        return False
    address = address or os.environ.get("RAY_ADDRESS") or "local"
    here = address == "local"
    if not here and address != "auto":
        _knock(address)
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # nobody asked the user whether to send statistics
    if here:  # Ray would give workers almost the lowest priority, and whatever else runs would go before them
        os.environ.setdefault("RAY_worker_niceness", "0")
    own = {"num_cpus": workers, "object_store_memory": OBJECT_STORE, "include_dashboard": False}
    for left in reversed(range(STARTS if here else 1)):
        try:
            ray.init(address, log_to_driver=False, logging_level=logging.ERROR, **(own if here else {}))
            break
        except Exception as error:  # Ray raises bare ones
            ray.shutdown()
            if not left:
                what = "could not be started here" if here else f"cannot be reached at {address!r}"
                raise InputError(f"Ray {what}: {' '.join(str(error).split())}") from error
    return True


def cpus_each(workers: int) -> float:
    """CPUs that each worker takes in Ray's count, such that all fit into a cluster where nothing else runs."""
    counts = _counts("CPU")
    if len(counts) == 1 or sum(counts) < 1:
        return 0.0  # the count only serves to choose a node
    return 1 / math.ceil(workers / sum(counts))


def check_gpus(gpus: float, workers: int) -> None:
    """Whether the cluster can give each worker so many.

    Raises:
        OptionError: a share that Ray does not know, or more than there are.
    """
    number = isinstance(gpus, (int, float)) and not isinstance(gpus, bool)
    if not number or not (0 <= gpus <= 1 or (gpus > 1 and math.isfinite(gpus) and float(gpus).is_integer())):
        raise OptionError(f"gpus must be a share of one GPU, such as 0.5, or a whole number; got {gpus!r}")
    if not gpus:
        return
    counts = _counts("GPU")
    if not sum(counts):
        raise OptionError(
            f"each worker is to have gpus={gpus:g}, but Ray counts no GPU here; leave gpus out, or give the address of "
            "a cluster that has some"
        )
    room = sum(int(count / gpus + 1e-9) if gpus >= 1 else int(count) * int(1 / gpus + 1e-9) for count in counts)
    if room < workers:
        raise OptionError(
            f"{workers} workers with gpus={gpus:g} each do not fit: Ray counts {sum(counts):g} GPU(s) here, enough for "
            f"{room}; ask for fewer workers or for a smaller share"
        )


def _counts(resource: str) -> list[float]:
    """Of each living node."""
    return [float(node["Resources"].get(resource, 0.0)) for node in ray.nodes() if node["Alive"]]


def _knock(address: str) -> None:
    """Raises an `InputError` where nobody listens; Ray would try for many minutes."""
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if not host or not port.isdigit():
        raise InputError(f"the address of a Ray cluster is HOST:PORT, such as 10.0.0.5:6379; got {address!r}")
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=KNOCK).close()
    except OSError as error:
        raise InputError(f"Ray cannot be reached at {address!r}: {error}; is its head node running?") from error
