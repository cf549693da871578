"""A study goes through a file and comes back as it was; whatever else is in a file is refused and changes nothing."""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sqlalchemy as sa

from mango.errors import StorageError, StudyExists
from mango.space import SearchSpace
from mango.storage import (
    Answer,
    Database,
    Event,
    Extra,
    Lease,
    Reference,
    Response,
    Showing,
    Standing,
    Store,
    export_study,
    import_study,
)
from mango.storage.archive import _Writer
from mango.storage.tables import metadata, owners
from mango.study import Study, verify
from tests.storage.examples import NAN, ask, create, tell
from tests.studies import answer, finish

EVERYTHING = Extra(
    answers=[Answer("ask", "k", hashlib.sha256(b"").hexdigest(), b'{"a": "\xc3\xbc"}', 1.5)],
    leases=[Lease(0, 1, "token", NAN), Lease(1, 1, "other", 7.25)],
    references=[Reference(0, "grey", 1.0), Reference(1, "noise", 2.0, 3.0, -0.1)],
    responses=[Response(0, 1, np.arange(4, dtype=np.float32).reshape(2, 2))],
    standing=Standing("paused", 9.0, "me"),
)


def _full(storage: str | Database, name: str = "study") -> Store:
    """A study with a row in every table, and what is hard to keep exactly."""
    arrays = {"natural": np.asfortranarray(np.arange(6.0).reshape(2, 3)), "word": "ü", "none": None, "n": 2**60}
    store = Store.create(storage, name, {"weight": 0.1, "high": float("inf")}, {"who": "ü", "deep": [{}]}, arrays)
    ask(store, 0, range(4), enqueued=2, extra=EVERYTHING)
    tell(store, 1, {0: 0.1 + 0.2, 1: NAN, 2: -5e-324})
    late = Event(2, "tell", 3.0, {"results": [[0, 2, None]]}, {"empty": np.zeros((0, 3)), "flag": np.array(True)})
    store.append(late, showings=[Showing(0, 2, 0, 1.0, 2.0, True)])
    store.save_snapshot(1, {"cov": np.eye(2), "sigma": 0.5, "rng": '{"state": 1}'})
    return store


def _rows(store: Store) -> dict[str, list[dict[str, Any]]]:
    """All that the database holds of a study, but for its number and its owner."""
    found = {}
    with store.database.reading() as connection:
        for table in metadata.sorted_tables:
            if table is owners:
                continue
            column = table.c.id if table.name == "studies" else table.c.study_id
            rows = connection.execute(sa.select(table).where(column == store.id).order_by(*table.primary_key))
            found[table.name] = [{k: v for k, v in r.items() if k not in ("id", "study_id")} for r in rows.mappings()]
    return found


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """An exported study."""
    store = _full(f"sqlite:///{tmp_path}/source.db")
    export_study(store, tmp_path / "study.mango")
    store.close()
    return tmp_path / "study.mango"


def test_a_study_goes_through_a_file_unchanged(storage: str, tmp_path: Path) -> None:
    database = Database(storage)
    store = _full(database)
    create(database, "another").close()
    assert all(_rows(store).values())
    export_study(store, tmp_path / "one.mango")
    assert import_study(tmp_path / "one.mango", database, "again") == "again"
    again = Store.open(database, "again")
    expected = _rows(store)
    expected["studies"][0]["name"] = "again"
    assert _rows(again) == expected
    assert (again.config, again.meta, again.created_at) == (store.config, store.meta, store.created_at)
    assert again.codes(range(4)).tobytes() == store.codes(range(4)).tobytes()
    ask(again, 3, range(4, 6))  # and goes on
    for place, name in ((f"sqlite:///{tmp_path}/new.db", "study"), (database, "third")):
        assert import_study(tmp_path / "one.mango", place, None if name == "study" else name) == name
    database.close()
    other = Store.open(f"sqlite:///{tmp_path}/new.db", "study", own=False)
    assert _rows(other) == {**expected, "studies": [{**expected["studies"][0], "name": "study"}]}
    other.close()


def test_a_file_holds_one_moment(storage: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = _full(storage)
    before = _rows(store)
    reader = Store.open(storage, "study", own=False)
    export = _Writer._member

    def while_the_owner_goes_on(writer: _Writer, array: np.ndarray) -> tuple[str, str]:
        sequence = len(list(store.events()))
        ask(store, sequence, range(sequence + 1, sequence + 2))
        return export(writer, array)

    monkeypatch.setattr(_Writer, "_member", while_the_owner_goes_on)
    export_study(reader, tmp_path / "one.mango")
    assert len(list(reader.events())) > 3
    reader.close()
    store.close()
    import_study(tmp_path / "one.mango", f"sqlite:///{tmp_path}/copy.db")
    copy = Store.open(f"sqlite:///{tmp_path}/copy.db", "study", own=False)
    assert _rows(copy) == before
    copy.close()


def test_an_imported_search_is_verified_and_resumed(storage: str, tmp_path: Path) -> None:
    with Study(SearchSpace.box(3, -1, 1), budget=60, optimizer="cma", batch=5, storage=storage, name="first") as study:
        study.enqueue([[0.5, 0.5, 0.5]])
        for _ in range(60):
            asked = study.ask(5)
            study.tell([answer(trial) for trial in asked[:4]])
            if study.counts()["asked"] >= 40:
                break
        reader = Store.open(storage, "first", own=False)
        export_study(reader, tmp_path / "s.mango")
        reader.close()
        codes = [record.code.tobytes() for record in study.trials()]
    place = f"sqlite:///{tmp_path}/copy.db"
    import_study(tmp_path / "s.mango", place)
    assert verify(None, storage=place, name="first") is None
    with Study.resume(None, storage=place, name="first") as again:
        assert [record.code.tobytes() for record in again.trials()] == codes
        finish(again)
    assert verify(None, storage=place, name="first") is None


def test_a_file_can_be_read_without_mango(file: Path) -> None:
    with zipfile.ZipFile(file) as archive:
        manifest = json.loads(archive.read("manifest.json"))
        assert (manifest["format"], manifest["version"], manifest["study"]) == ("mango study", 1, "study")
        lines = archive.read("events.jsonl")
        assert manifest["files"]["events.jsonl"] == {"rows": 3, "sha256": hashlib.sha256(lines).hexdigest()}
        first = json.loads(lines.splitlines()[0])
        name, sha256 = first["arrays"]["arrays"]["codes"]
        assert hashlib.sha256(archive.read(name)).hexdigest() == sha256
        codes = np.load(io.BytesIO(archive.read(name)), allow_pickle=False)
        assert codes[:, 0].tolist() == [2.0, 3.0]


def test_what_exists_is_not_overwritten(file: Path, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/source.db"
    content = file.read_bytes()
    store = Store.open(url, "study")
    with pytest.raises(StudyExists, match="exists already; choose another file"):
        export_study(store, file)
    assert file.read_bytes() == content
    with pytest.raises(StudyExists, match="already holds a study 'study'"):  # and is owned
        import_study(file, url)
    store.close()
    with pytest.raises(StudyExists, match="already holds a study 'study'"):
        import_study(file, url)
    reader = Store.open(url, "study", own=False)
    with pytest.raises(StorageError, match="cannot be written"):
        export_study(reader, tmp_path / "no" / "folder.mango")
    reader.close()


def test_a_damaged_study_is_not_exported(tmp_path: Path) -> None:
    store = _full(f"sqlite:///{tmp_path}/source.db")
    with store.database.writing() as connection:
        connection.exec_driver_sql("UPDATE events SET payload = '{}' WHERE sequence = 1")
    with pytest.raises(StorageError, match="a row of events was altered"):
        export_study(store, tmp_path / "other.mango")
    assert not (tmp_path / "other.mango").exists()
    store.close()


Members = dict[str, bytes]


def _resummed(members: Members) -> None:
    """Makes the manifest fit again: the forger knows the format."""
    manifest = json.loads(members["manifest.json"])
    for name, content in members.items():
        if name.endswith(".jsonl"):
            manifest["files"][name] = {"rows": content.count(b"\n"), "sha256": hashlib.sha256(content).hexdigest()}
    members["manifest.json"] = json.dumps(manifest).encode()


def _replaced(name: str, old: bytes, new: bytes) -> Callable[[Members], None]:
    def forge(members: Members) -> None:
        assert old in members[name]
        members[name] = members[name].replace(old, new, 1)
        _resummed(members)

    return forge


def _array(content: bytes) -> Callable[[Members], None]:
    def forge(members: Members) -> None:
        name = "arrays/00000000.npy"
        sums = [hashlib.sha256(data).hexdigest().encode() for data in (members[name], content)]
        members[name] = content
        for lines in [n for n in members if n.endswith(".jsonl")]:
            members[lines] = members[lines].replace(*sums)
        _resummed(members)

    return forge


def _npy(array: np.ndarray, *, allow_pickle: bool = False) -> bytes:
    written = io.BytesIO()
    np.save(written, array, allow_pickle=allow_pickle)
    return written.getvalue()


FORGERIES: dict[str, tuple[Callable[[Members], object], str]] = {
    "no manifest": (lambda m: m.pop("manifest.json"), "manifest.json"),
    "another format": (_replaced("manifest.json", b"mango study", b"papaya study"), "expected the format"),
    "a newer version": (_replaced("manifest.json", b'"version": 1', b'"version": 2'), "update mango"),
    "a sum": (lambda m: m.update({"events.jsonl": m["events.jsonl"].replace(b"ask", b"aks")}), "not what its sum"),
    "an array": (lambda m: m.update({"arrays/00000000.npy": _npy(np.zeros(3))}), "not what its sum"),
    "a missing table": (lambda m: m.pop("leases.jsonl"), "not those of its manifest"),
    "another member": (lambda m: m.update({"../../evil.py": b"x"}), "not those of its manifest"),
    "an array that nobody names": (lambda m: m.update({"arrays/../x": b"x"}), "nothing names 'arrays/../x'"),
    "a path for an array": (_replaced("events.jsonl", b"arrays/0", b"/etc/pas"), "is no array"),
    "a missing event": (_replaced("events.jsonl", b'"sequence": 1', b'"sequence": 5'), "row 1 of events.jsonl"),
    "a missing trial": (_replaced("trials.jsonl", b'"number": 3', b'"number": 4'), "row 3 of trials.jsonl"),
    "another column": (_replaced("trials.jsonl", b'"reason"', b'"raisin"'), "other columns than"),
    "a column's type": (
        _replaced("trials.jsonl", b'"attempt": 1', b'"attempt": true'),
        "must be int",
    ),
    "a large number": (_replaced("trials.jsonl", b'"attempt": 1', b'"attempt": 99999999999'), "must be int"),
    "an infinite value": (_replaced("trials.jsonl", b'"value": -5e-324', b'"value": Infinity'), "must be float"),
    "a null": (_replaced("trials.jsonl", b'"state": "open"', b'"state": null'), "trials.state must be str"),
    "no JSON": (_replaced("trials.jsonl", b"{", b"["), "damaged"),
    "no text": (_replaced("trials.jsonl", b"first", b"f\xff"), "a line is no text"),
    "no row": (_replaced("standings.jsonl", b"{", b"3 #{"), "damaged"),
    "deep JSON": (_replaced("events.jsonl", b'{"n": 4}', b"[" * 200_000 + b"]" * 200_000), "damaged"),
    "two owners of a row": (
        lambda m: (m.update({"standings.jsonl": m["standings.jsonl"] * 2}), _resummed(m)),
        "another process wrote|nothing of this step",
    ),
    "a pickle": (_array(_npy(np.array([{}], object), allow_pickle=True)), "no plain array"),
    "a size that is not there": (
        _array(_npy(np.zeros((1, 3))).replace(b"(1, 3), }             ", b"(9999999999999, 3), } ")),
        "no plain array",
    ),
    "no array at all": (_array(b"import os"), "damaged"),
}


@pytest.mark.parametrize("forgery", FORGERIES)
def test_a_forged_file_is_refused_and_changes_nothing(file: Path, tmp_path: Path, forgery: str) -> None:
    forge, reason = FORGERIES[forgery]
    with zipfile.ZipFile(file) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    forge(members)
    forged = tmp_path / "forged.mango"
    with zipfile.ZipFile(forged, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    database = Database(f"sqlite:///{tmp_path}/target.db")
    create(database, "kept").close()
    with pytest.raises(StorageError, match=reason):
        import_study(forged, database, "forged")
    assert [listed.name for listed in database.studies()] == ["kept"]
    with database.reading() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM events").scalar() == 0
    import_study(file, database)  # the lock and the connection are free again
    database.close()


def test_a_bomb_is_refused_before_it_is_unpacked(file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    url = f"sqlite:///{tmp_path}/target.db"
    bomb = tmp_path / "bomb.mango"
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as archive, zipfile.ZipFile(file) as source:
        for name in source.namelist():
            archive.writestr(name, source.read(name))
        archive.writestr("arrays/99999999.npy", bytes(1 << 24))
    monkeypatch.setattr("mango.storage.restore.UNPACKED_BYTES", 1 << 20)
    with pytest.raises(StorageError, match=r"unpacked it would take 16.* bytes"):
        import_study(bomb, url)
    monkeypatch.setattr("mango.storage.restore.MEMBERS", 3)
    with pytest.raises(StorageError, match="at most 3 members"):
        import_study(file, url)
    monkeypatch.undo()
    for name, limit in (("LINE_BYTES", "a line of"), ("ARRAY_BYTES", "more than 10 bytes")):
        with monkeypatch.context() as patched:
            patched.setattr(f"mango.storage.restore.{name}", 10)
            with pytest.raises(StorageError, match=limit):
                import_study(file, url)
    with pytest.raises(StorageError, match="holds no study"):
        Store.open(url, "study", own=False)


@pytest.mark.parametrize("content", [b"", b"x" * 100, None], ids=["empty", "garbage", "missing"])
def test_no_archive_at_all_is_refused(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "study.mango"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(StorageError, match=r"study\.mango (is damaged|cannot be read)"):
        import_study(path, f"sqlite:///{tmp_path}/target.db")
    assert not (tmp_path / "target.db").exists()


def test_a_truncated_or_altered_file_is_refused(file: Path, tmp_path: Path) -> None:
    whole = file.read_bytes()
    rng = np.random.default_rng(0)
    database = Database(f"sqlite:///{tmp_path}/target.db")
    database.prepare(create=True)
    refused = 0
    for trial in range(60):
        damaged = bytearray(whole)
        if trial % 3 == 0:
            del damaged[int(rng.integers(len(whole))) :]
        else:
            place = int(rng.integers(len(whole) - 8))
            damaged[place : place + 8] = rng.bytes(8)
        file.write_bytes(bytes(damaged))
        try:
            import_study(file, database, f"study {trial}")
        except StorageError:
            refused += 1
    assert len(database.studies()) == 60 - refused
    assert refused > 40
    for listed in database.studies():  # what was hit says nothing: a date of a member
        store = Store.open(database, listed.name, own=False)
        assert (len(list(store.events())), len(store.trial_rows())) == (3, 4)
    database.close()
