"""`mango export` and `mango import`: a search goes through a file, and what it was is verified."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from mango import SearchSpace, Study
from mango.cli import app
from tests.studies import answer


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
