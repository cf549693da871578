"""The process that tests/test_kill.py kills: a search whose target writes down every evaluation.

Run as ``python tests/killed.py FOLDER OPTIMIZER [LIFE [BUDGET]]``, a budget of 0 for none; it creates the study in
FOLDER, or resumes it, and prints ``ready`` before its first evaluation. Where LIFE is given, it is slow, and after so
many evaluations it waits to be killed: however late the kill comes, the search has not ended.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from mango import LocalEvaluator, Result, Study, make_generator, make_target, run

BUDGET, BATCH, CHUNK = 500, 20, 10
SECONDS = 0.01  # each evaluation, where a life is given


class Mortal:
    """The benchmark function; its first act is to write down what it was shown."""

    def __init__(self, folder: Path, life: int | None) -> None:
        self.log = (folder / "evaluated").open("ab", buffering=0)
        self.life = life
        self.target = make_target("rastrigin")

    def respond(self, stimuli: np.ndarray, seeds: np.ndarray | None = None) -> Any:  # noqa: ARG002
        if self.life == 0:
            time.sleep(3600)
        self.log.write(np.ascontiguousarray(stimuli).tobytes())
        if self.life is not None:
            time.sleep(SECONDS * len(stimuli))
            self.life -= len(stimuli)
        return self.target.respond(stimuli)


def main(folder: Path, optimizer: str, life: int | None = None, budget: int = BUDGET) -> None:
    generator = make_generator("identity:box:6")
    url = f"sqlite:///{folder}/study.db"
    if (folder / "study.db").exists():
        study = Study.resume(generator, storage=url)
    else:
        study = Study(generator, budget=budget or None, batch=BATCH, optimizer=optimizer, seed=11, storage=url)
    acknowledged = (folder / "acknowledged").open("ab", buffering=0)

    def note(_: Study, results: list[Result]) -> None:
        acknowledged.write(b"".join(np.array([r.number, r.value]).tobytes() for r in results))

    print("ready", flush=True)
    with study, LocalEvaluator(generator, Mortal(folder, life), chunk=CHUNK) as evaluator:
        run(study, evaluator, callbacks=[note])


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], *map(int, sys.argv[3:]))
