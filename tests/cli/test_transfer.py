"""`mango export` and `mango import`: a search goes through a file, and what it was is verified."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sqlalchemy as sa
from typer.testing import CliRunner

from mango import SearchSpace, Study
from mango.cli import app
from mango.exchange import Request
from tests.studies import BOX, Described, answer, content


def mango(*words: object) -> Any:
    return CliRunner().invoke(app, [str(word) for word in words])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Of a database as `mango search` leaves it."""
    place = tmp_path / "run"
    place.mkdir()
    with Study(SearchSpace.box(2, -1, 1), budget=20, batch=5, storage=f"sqlite:///{place}/study.db") as study:
        study.tell([answer(trial) for trial in study.ask(5)])
    return place


def test_a_search_goes_through_a_file(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "study.mango"
    ran = mango("export", folder, "--out", out)
    assert (ran.exit_code, ran.stdout) == (0, f"{out}: study 'study' with 5 trials\n")
    target = tmp_path / "copy.db"
    ran = mango("import", out, "--storage", target, "--name", "copy")
    assert (ran.exit_code, ran.stdout) == (0, f"{target}: study 'copy'\n")
    with Study.resume(None, storage=f"sqlite:///{target}", name="copy") as study:
        assert study.counts()["done"] + study.counts()["lost"] == 5
    assert mango("export", f"sqlite:///{target}", "--study", "copy", "--out", tmp_path / "b.mango").exit_code == 0


def test_a_study_without_a_budget_is_shown_and_goes_through_a_file(tmp_path: Path) -> None:
    url, copy = f"sqlite:///{tmp_path}/study.db", f"sqlite:///{tmp_path}/copy.db"
    study = Study(BOX, budget=None, optimizer="cma", batch=8, storage=url)
    study.tell([answer(trial, 1.0) for trial in study.ask(8)])
    shown = mango("show", tmp_path)
    assert (shown.exit_code, "not finished: 8 presentations answered" in shown.stdout) == (0, True), shown.output
    assert mango("export", url, "--out", tmp_path / "study.mango").exit_code == 0
    assert mango("import", tmp_path / "study.mango", "--storage", copy).exit_code == 0
    with study, Study.resume(BOX, storage=copy) as other:
        assert (other.configuration.budget, other.state) == (None, "running")
        for each in (study, other):
            each.tell([answer(trial) for trial in each.ask(20)])
        assert content(other) == content(study)
    assert mango("verify", copy).exit_code == 0


def test_a_study_is_named_where_there_are_several(folder: Path, tmp_path: Path) -> None:
    Study(SearchSpace.box(2, -1, 1), budget=5, storage=f"sqlite:///{folder}/study.db", name="other").close()
    ran = mango("export", folder / "study.db", "--out", tmp_path / "a.mango")
    assert (ran.exit_code, "holds 2 studies; name one by --study: study, other" in ran.stderr) == (2, True)
    assert mango("export", folder, "--study", "other", "--out", tmp_path / "a.mango").exit_code == 0


def test_what_cannot_be_done_is_said_and_changes_nothing(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "study.mango"
    assert mango("export", folder, "--out", out).exit_code == 0
    shutil.copy(folder / "study.db", tmp_path / "before.db")
    for words, reason in (
        (("export", folder, "--out", out), "exists already"),
        (("export", tmp_path / "no.db", "--out", tmp_path / "b.mango"), "there is no study at"),
        (("import", out, "--storage", folder), "already holds a study 'study'"),
        (("import", tmp_path / "no.mango", "--storage", folder), "cannot be read"),
        (("import", out, "--storage", tmp_path / "no" / "study.db"), "does not exist; make it first"),
    ):
        ran = mango(*words)
        assert (ran.exit_code, reason in ran.stderr) == (2, True), ran.stderr
    assert (folder / "study.db").read_bytes() == (tmp_path / "before.db").read_bytes()
    assert not (tmp_path / "b.mango").exists()


def grown(study: Study, number: int) -> None:
    """One more block, as rigs answer: under a lease and keys, one trial lost, one left out, references, a response."""
    block = study.hand_out(4, lease=3600.0, request=Request(f"ask-{number}", "0" * 64))
    results = [answer(trial) for trial in block.trials[:-1]]
    references = {reference.presentation: (0.5,) for reference in block.references}
    responses = {results[0].number: np.arange(6.0).reshape(2, 3)} if results else {}
    study.take_in(results, references=references, responses=responses, request=Request(f"tell-{number}", "1" * 64))


@pytest.mark.parametrize("budget", [60, None])
def test_a_running_study_goes_between_sqlite_and_postgresql_and_goes_on_bit_for_bit(
    budget: int | None, url: str, postgresql: str, tmp_path: Path
) -> None:
    first, second = tmp_path / "first.mango", tmp_path / "second.mango"
    study = Study(Described(), budget=budget, optimizer="cma", batch=8, ordered=False, weight=0.5, storage=url)
    study.interleave(BOX.sample(2, np.random.default_rng(0)), 3)
    for number in range(3):
        grown(study, number)
    assert mango("export", url, "--out", first).exit_code == 0, "while somebody owns it"
    assert mango("import", first, "--storage", postgresql, "--name", "there").exit_code == 0
    assert mango("verify", postgresql, "--json").stdout == '{"same": true, "differences": {"there": null}}\n'
    there = Study.resume(Described(), storage=postgresql, name="there")
    known = Request("tell-2", "1" * 64)
    assert there.take_in([], request=known) == study.take_in([], request=known), "a request repeated over there"
    for number in range(3, 6):
        grown(study, number)
        grown(there, number)
    assert mango("export", postgresql, "--out", second).exit_code == 0
    back = f"sqlite:///{tmp_path}/back.db"
    assert mango("import", second, "--storage", back).exit_code == 0
    with Study.resume(Described(), storage=back, name="there") as again:
        for number in range(6, 9):
            for each in (study, there, again):
                grown(each, number)
        same = [
            (content(s), [r.values for r in s.references()], s.recommend().tobytes()) for s in (study, there, again)
        ]
        assert same[0] == same[1] == same[2]
        assert len(same[0][0]) == 36
        assert [response.response.tolist() for response in again.store.responses(range(36))] == [
            response.response.tolist() for response in study.store.responses(range(36))
        ]
    for each in (study, there):
        each.close()
    for place in (url, postgresql, back):
        ran = mango("verify", place)
        assert (ran.exit_code, "repeated exactly" in ran.stdout) == (0, True)


def test_verify_names_what_differs_in_a_database(postgresql: str) -> None:
    with Study(BOX, budget=8, batch=4, storage=postgresql) as study:
        study.tell([answer(trial) for trial in study.ask(4)])
    engine = sa.create_engine(postgresql)
    with engine.begin() as connection:
        connection.exec_driver_sql("UPDATE trials SET value = 123 WHERE number = 3")
    engine.dispose()
    ran = mango("verify", postgresql)
    assert (ran.exit_code, "trial 3: the table of trials has value 123.0" in ran.stdout) == (1, True)
