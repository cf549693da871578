import json
import os

import pytest

from mango.errors import StorageError, StudyExists
from mango.search.folder import RunFolder


def test_files_are_replaced_whole(tmp_path):
    folder = RunFolder(tmp_path / "a" / "b")
    folder.make()
    folder.write("x.txt", "old")
    folder.write("x.txt", b"new")
    folder.write_json("y.json", {"a": 1})
    assert (folder.path / "x.txt").read_text() == "new"
    assert folder.read("y.json") == {"a": 1}
    assert sorted(os.listdir(folder.path)) == ["x.txt", "y.json"]


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch):
    folder = RunFolder(tmp_path)
    folder.write("x.txt", "old")

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StorageError, match="No space left"):
        folder.write("x.txt", "new")
    assert (tmp_path / "x.txt").read_text() == "old"
    assert os.listdir(tmp_path) == ["x.txt"]


def test_a_folder_with_a_study_is_refused(tmp_path):
    RunFolder(tmp_path / "none").refuse_existing()
    RunFolder(tmp_path).refuse_existing()
    (tmp_path / "study.db").touch()
    with pytest.raises(StudyExists, match="mango resume"):
        RunFolder(tmp_path).refuse_existing()


def test_a_folder_with_several_searches_is_refused(tmp_path):
    (tmp_path / "config.json").write_text(json.dumps({"command": "mango search", "searches": {}}))
    with pytest.raises(StudyExists, match="already holds a study"):
        RunFolder(tmp_path).refuse_existing()


def test_what_is_not_ours_is_not_overwritten(tmp_path):
    (tmp_path / "config.json").write_text('{"name": "another program"}')
    with pytest.raises(StorageError, match="not mango's"):
        RunFolder(tmp_path).refuse_existing()
    with pytest.raises(StorageError, match="is a file"):
        RunFolder(tmp_path / "config.json").refuse_existing()
    with pytest.raises(StorageError, match="cannot be made"):
        RunFolder(tmp_path / "config.json" / "below").make()


@pytest.mark.parametrize("content", ["{", "[1]", "\xff"])
def test_a_damaged_file_is_said_to_be_damaged(tmp_path, content):
    (tmp_path / "result.json").write_bytes(content.encode("latin-1"))
    with pytest.raises(StorageError, match="cannot be read"):
        RunFolder(tmp_path).read("result.json")
    with pytest.raises(StorageError, match=r"there is no .*other\.json"):
        RunFolder(tmp_path).read("other.json")
