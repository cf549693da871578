from __future__ import annotations

import dataclasses
import json
import math
import sys
from pathlib import Path
from typing import Any

import pytest

from experiments.benchmarks.service import blocks, report, soak
from experiments.benchmarks.service.__main__ import SMOKE, main
from experiments.benchmarks.service.clients import Known
from experiments.benchmarks.service.compared import _peer
from experiments.benchmarks.service.rounds import Times
from mango.storage import Showing


@pytest.mark.slow
def test_smoke(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(SMOKE, "peers", {**SMOKE["peers"], "trials": 1})
    main(["--smoke", "--out", str(tmp_path)])
    printed = capsys.readouterr().out
    assert "| ask and tell on 512 axes |" in printed
    written = json.loads((tmp_path / "service.json").read_text())
    assert {"machine", "versions", "blocks", "growth", "clients", "peers"} == set(written)
    (row,) = written["blocks"]["found"]
    assert 0 < row["raw_over"]["p50"] < row["raw"]["p50"] <= row["raw"]["p99"]
    assert [row["past"] for row in written["growth"]["found"]] == [40, 1100]
    assert all(len(each.get("ms", [0.0])) >= 1 for each in written["peers"]["found"].values())


OWNERS_HURT = 35  # a seed by which one of two services is killed, and the other one stands still longer than its claim


@pytest.mark.slow
@pytest.mark.parametrize("services", [1, 2])
def test_a_small_soak(services: int, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    storage = [] if services == 1 else ["--storage", request.getfixturevalue("postgresql"), "--seed", str(OWNERS_HURT)]
    out = tmp_path / "found.json"
    arguments = ["--smoke", "--optimizer", "random", "--services", str(services), *storage, "--out", str(out)]
    found = soak.main(arguments)
    assert (found["wrong"], found["verified"], sum(found["hurt"].values())) == ([], True, 2)
    assert found["hand_outs"] >= found["trials"] == soak.SMOKE["trials"]
    assert json.loads(out.read_text())["retries"] == found["retries"] > 0


# -- the soak's checks can fail ----------------------------------------------------------------------------------------


def rows(*values: float) -> list[dict[str, Any]]:
    """The table of so many trials, each handed out once."""
    return [{"number": i, "state": "done", "attempt": 1, "value": value} for i, value in enumerate(values)]


def showings(*values: float) -> list[Showing]:
    return [Showing(i, 1, 0, value, math.nan, False) for i, value in enumerate(values)]


def known(*values: float) -> Known:
    """What clients know of the same study."""
    made = Known()
    for number, value in enumerate(values):
        trial = {"number": number, "attempt": 1, "code": [0.5], "lease_until": 0.0}
        made.hand_out({"trials": [trial]}, f"key-{number}")
        made.acknowledge({"accepted": [number], "late": []}, {(number, 1): value})
    return made


def test_what_agrees_has_no_fault() -> None:
    assert soak.faults(known(1.0, 2.0), rows(1.0, 2.0), showings(1.0, 2.0), 2) == []


def test_each_contradiction_is_found() -> None:
    told, table, kept = known(1.0, 2.0), rows(1.0, 2.0), showings(1.0, 2.0)
    assert "acknowledged as 2.0 and is 3.0" in soak.faults(told, rows(1.0, 3.0), kept, 2)[0]
    lost = [table[0], table[1] | {"state": "open", "value": None}]
    assert "1 of 2 trials are done, not 2" in soak.faults(told, lost, kept[:1], 2)[0]
    assert "acknowledged as 2.0" in soak.faults(told, table, [kept[0], dataclasses.replace(kept[1], late=True)], 2)[0]
    again = [table[0] | {"attempt": 2}, table[1]]
    assert "hand-outs that one side alone knows: [(0, 2)]" in soak.faults(told, again, kept, 2)[0]
    told.late[0, 2] = 5.0
    assert "5.0, acknowledged as late for trial (0, 2), is kept as None" in soak.faults(told, table, kept, 2)[0]


def test_a_trial_handed_out_again_too_early_is_found() -> None:
    told = known(1.0)
    told.until[0, 1] = told.came[0, 1] + 100.0
    told.handed[0, 2], told.came[0, 2] = "key", told.came[0, 1] + 40.0
    (fault,) = soak.faults(told, [rows(1.0)[0] | {"attempt": 2}], showings(1.0), 1)
    assert "trial 0 was handed out again 60.00 s before its lease had ended" in fault


def test_a_number_issued_twice_is_found() -> None:
    told = known(1.0)
    told.hand_out({"trials": [{"number": 0, "attempt": 1, "code": [0.75], "lease_until": 0.0}]}, "another")
    twice, codes = told.wrong
    assert ("was handed out to key-0 and to another" in twice, codes) == (True, "trial 0 has two codes")
    told.acknowledge({"accepted": [], "late": []}, {(0, 1): 1.0})
    assert "neither accepted nor late" in told.wrong[-1]


def test_memory_against_trials_is_a_slope() -> None:
    assert soak.growth([(0, 100.0), (1024, 102.0), (2048, 104.0)]) == pytest.approx(2.0)
    assert soak.growth([(5, 100.0)]) == 0.0


# -- figures -----------------------------------------------------------------------------------------------------------


def test_what_is_over_the_optimizer_is_told_request_by_request() -> None:
    since = [0.011, 0.021, 0.031, 0.041]  # the client took a millisecond before each ask
    times = Times(raw=[0.010, 0.030], json=[0.020, 0.040], since=since, tell=[0.005] * 4)
    own = [0.001, 0.002, 0.003, 0.004]
    over = blocks._over(times, own)
    assert {name: each["p50"] for name, each in over.items()} == pytest.approx({"raw_over": 19.0, "json_over": 28.0})
    said = blocks._said(times, own, 0.06)
    assert (said["cpu_per_round"], said["raw"]["p50"]) == pytest.approx((15.0, 20.0))
    assert "| random, 5 past trials | 12.0 / 20.0 / 29.8 |" in report.rows([{"optimizer": "random", "past": 5, **said}])


def test_a_peer_that_fails_is_named() -> None:
    failed = _peer([sys.executable, "-c", "raise SystemExit('no such package')"])
    assert failed == {"failed": "no such package"}
    found = {report.MANGO: {"ms": [2.0]}, "optuna-sqlite": {"ms": [50.0, 70.0]}, "vizier": failed}
    said = report.peers(found)
    assert "| optuna-sqlite | 60.00 | 30 |" in said
    assert "vizier was not measured: no such package." in said
