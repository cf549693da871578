"""Another package's ask and tell on 512 axes, in a process of its own; prints milliseconds per trial as JSON.

    python experiments/benchmarks/service/peers.py {optuna-sqlite,optuna-grpc,vizier} DIM TRIALS FOLDER

A trial is asked with all its numbers in one process and told; the first two are left out. It imports nothing of
mango, so that a package that wants other versions of numpy can run it in an environment of its own.
"""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

WARM_UP = 2  # the first trial of a CMA-ES is drawn without it


def optuna_sqlite(dim: int, trials: int, folder: str) -> list[float]:
    """Optuna's CMA-ES, a study in an SQLite file."""
    import optuna

    return _optuna(optuna.storages.RDBStorage(f"sqlite:///{folder}/optuna.db"), dim, trials)


def optuna_grpc(dim: int, trials: int, folder: str) -> list[float]:
    """The same through Optuna's gRPC proxy, which runs in another process."""
    import optuna

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    url = f"sqlite:///{folder}/optuna-grpc.db"
    proxy = subprocess.Popen([sys.executable, __file__, "proxy", str(port), url], stderr=subprocess.DEVNULL)
    try:
        storage = optuna.storages.GrpcStorageProxy(host="127.0.0.1", port=port)
        storage.wait_server_ready(timeout=60)
        return _optuna(storage, dim, trials)
    finally:
        proxy.kill()
        proxy.wait()


def _optuna(storage: Any, dim: int, trials: int) -> list[float]:
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    sampler = optuna.samplers.CmaEsSampler(seed=0)
    study = optuna.create_study(storage=storage, sampler=sampler, direction="maximize")
    names = [f"x{axis}" for axis in range(dim)]

    def one() -> None:
        trial = study.ask()
        code = [trial.suggest_float(name, -1.0, 1.0) for name in names]
        study.tell(trial, _value(code))

    return _timed(one, trials)


def vizier(dim: int, trials: int, folder: str) -> list[float]:  # noqa: ARG001 (its service is in memory)
    """Vizier's service in this process, with its cheapest algorithm."""
    from vizier.service import clients
    from vizier.service import pyvizier as vz

    problem = vz.ProblemStatement()
    for axis in range(dim):
        problem.search_space.root.add_float_param(f"x{axis}", -1.0, 1.0)
    problem.metric_information.append(vz.MetricInformation(name="value", goal=vz.ObjectiveMetricGoal.MAXIMIZE))
    config = vz.StudyConfig.from_problem(problem)
    config.algorithm = "RANDOM_SEARCH"
    study = clients.Study.from_study_config(config, owner="benchmark", study_id="benchmark")

    def one() -> None:
        (suggestion,) = study.suggest(count=1)
        suggestion.complete(vz.Measurement({"value": _value(list(suggestion.parameters.values()))}))

    return _timed(one, trials)


def _value(code: list[float]) -> float:
    return -sum((number - 0.3) ** 2 for number in code)


def _timed(one: Callable[[], None], trials: int) -> list[float]:
    taken = []
    for _ in range(trials + WARM_UP):
        start = time.perf_counter()
        one()
        taken.append(1e3 * (time.perf_counter() - start))
    return taken[WARM_UP:]


def _proxy(port: int, url: str) -> None:
    import optuna

    storage = optuna.storages.RDBStorage(url)
    optuna.storages.run_grpc_proxy_server(storage, host="127.0.0.1", port=port)


PEERS: dict[str, Callable[[int, int, str], list[float]]] = {
    "optuna-sqlite": optuna_sqlite,
    "optuna-grpc": optuna_grpc,
    "vizier": vizier,
}

if __name__ == "__main__":
    if sys.argv[1] == "proxy":
        _proxy(int(sys.argv[2]), sys.argv[3])
    else:
        print(json.dumps(PEERS[sys.argv[1]](int(sys.argv[2]), int(sys.argv[3]), sys.argv[4])))
