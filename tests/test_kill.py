"""A search that is killed again and again ends as if nothing had happened."""

from __future__ import annotations

import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from mango.storage import Store
from mango.study import Study, verify
from mango.trial import TrialState
from tests.killed import BUDGET, CHUNK, SECONDS

SCRIPT = Path(__file__).with_name("killed.py")
KILLS = {"cma": 20, "tt": 8}
FOLDERS = ("whole", "killed")
PATIENCE = 60  # seconds; a machine may be busy
LIFE = 2 * CHUNK  # evaluations at most before each kill, so that all kills together leave some of the budget


def _start(folder: Path, optimizer: str, *life: int) -> subprocess.Popen[str]:
    folder.mkdir(exist_ok=True)
    command = [sys.executable, str(SCRIPT), str(folder), optimizer, *map(str, life)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def _wait(process: subprocess.Popen[str]) -> None:
    with process:
        assert process.stdout is not None
        process.stdout.read()
    assert process.returncode == 0


def _rows(folder: Path, name: str, width: int) -> np.ndarray:
    found = np.fromfile(folder / name) if (folder / name).exists() else np.empty(0)
    return found[: len(found) // width * width].reshape(-1, width)


def _told(folder: Path) -> dict[int, str]:
    store = Store.open(f"sqlite:///{folder}/study.db", "study", own=False)
    rows = store.trial_rows()
    store.close()
    return {row["number"]: repr(row["value"]) for row in rows if row["state"] != "open"}


@pytest.mark.slow
@pytest.mark.parametrize("optimizer", KILLS)
def test_kills_change_nothing(optimizer: str, tmp_path: Path) -> None:
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    _wait(_start(whole, optimizer))
    rng = np.random.default_rng(2024)
    told: dict[int, str] = {}
    for _ in range(KILLS[optimizer]):
        process = _start(killed, optimizer, LIFE)
        with process:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
            time.sleep(rng.uniform(0, LIFE * SECONDS))
            process.kill()
        assert process.returncode == -9
        now = _told(killed)
        assert told.items() <= now.items()  # nothing that was there is gone or changed
        told = now
        for number, value in _rows(killed, "acknowledged", 2):
            assert told[int(number)] == repr(float(value))
    assert len(told) < BUDGET
    _wait(_start(killed, optimizer))

    studies = [Study.resume(None, storage=f"sqlite:///{folder}/study.db") for folder in (whole, killed)]
    expected, found = (study.trials() for study in studies)
    assert len(found) == len(expected) == BUDGET
    for one, other in zip(expected, found, strict=True):
        assert one.code.tobytes() == other.code.tobytes()
        assert (repr(one.value), one.origin, one.state) == (repr(other.value), other.origin, other.state)
        assert one.state is TrialState.DONE
    bests = [study.best() for study in studies]
    assert bests[0] is not None
    assert bests[1] is not None
    assert bests[0].number == bests[1].number
    assert studies[0].recommend().tobytes() == studies[1].recommend().tobytes()

    evaluated = Counter(row.tobytes() for row in _rows(killed, "evaluated", 6))
    handed = Counter[bytes]()
    for record in found:
        handed[record.code.tobytes()] += record.attempt
    assert evaluated.keys() == handed.keys()
    assert all(evaluated[code] <= handed[code] for code in evaluated)  # again only what was out when it was killed
    assert sum(evaluated.values()) - BUDGET <= KILLS[optimizer] * CHUNK
    for study in studies:
        study.close()
    for folder in (whole, killed):
        assert verify(None, storage=f"sqlite:///{folder}/study.db") is None


def test_kills_change_nothing_where_there_is_no_budget(tmp_path: Path) -> None:
    for folder, lives in zip(FOLDERS, ([3 * LIFE], [LIFE] * 3), strict=True):
        for done, life in enumerate(lives, 1):
            with _start(tmp_path / folder, "cma", life, 0) as process:
                deadline = time.monotonic() + PATIENCE
                while len(_rows(tmp_path / folder, "acknowledged", 2)) < done * life:
                    assert time.monotonic() < deadline, "it never came"
                    time.sleep(0.01)
                process.kill()  # while it waits with a trial in hand
    whole, killed = (Study.resume(None, storage=f"sqlite:///{tmp_path}/{folder}/study.db") for folder in FOLDERS)
    assert killed.state == "running"
    told = [record for record in killed.trials() if record.state is TrialState.DONE]
    assert [(r.number, repr(r.value)) for r in told] == [(r.number, repr(r.value)) for r in whole.trials()][: 3 * LIFE]
    assert killed.recommend().tobytes() == whole.recommend().tobytes()
    for folder, study in zip(FOLDERS, (whole, killed), strict=True):
        study.finish()
        study.close()
        assert verify(None, storage=f"sqlite:///{tmp_path}/{folder}/study.db") is None
