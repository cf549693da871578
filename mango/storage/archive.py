"""A study as one file: a zip archive of JSON lines and NumPy arrays, which any program can read.

::

    manifest.json          {"format": "mango study", "version": 1, "mango": "0.1.0", "study": "NAME",
                            "files": {"events.jsonl": {"rows": 12, "sha256": "..."}, ...}}
    study.jsonl            one line: name, created_at, config, meta, arrays
    events.jsonl           the log, a line for each event: sequence, kind, at, seconds, payload, arrays
    trials.jsonl           and one for each further table, a line for each row, see `mango.storage.tables`
    arrays/00000000.npy    arrays that a line names, counted through

Arrays stand in a line as ``{"arrays": {"codes": ["arrays/00000000.npy", "SHA-256"]}, "scalars": {}}``: beside the
arrays whatever was stored with them that is none. The manifest's sums are of the JSON lines, and those name the sums of
the arrays. Times are seconds since 1970; null stands for NaN. Who owns the study is not in the file.
"""

from __future__ import annotations

import base64
import hashlib
import io
import json
import os
import tempfile
import zipfile
from importlib.metadata import version
from pathlib import Path
from typing import IO, Any

import numpy as np
import sqlalchemy as sa

from mango.errors import StorageError, StudyExists
from mango.storage.packing import unpack
from mango.storage.rows import digest
from mango.storage.store import Store
from mango.storage.tables import (
    answers,
    events,
    leases,
    presentations,
    references,
    responses,
    snapshots,
    standings,
    studies,
    trials,
)

FORMAT, VERSION = "mango study", 1
MANIFEST = "manifest.json"
ARRAYS = "arrays/"
ROWS_AT_ONCE = 100

# After the study itself, in the order in which they are written and read.
TABLES = (events, trials, presentations, snapshots, standings, answers, leases, references, responses)
JSON_COLUMNS = {studies.c.config, studies.c.meta, events.c.payload}
PACKED_COLUMNS = {studies.c.arrays, events.c.arrays, trials.c.code, snapshots.c.state, responses.c.response}
# The columns that a digest of a row is of; it is checked when a study is written and made anew when it is read.
DIGESTS = {
    studies: ("config", "meta", "arrays"),
    events: ("kind", "payload", "arrays"),
    snapshots: ("state",),
    responses: ("response",),
}


def file_name(table: sa.Table) -> str:
    """Of the member that holds a table's rows."""
    return "study.jsonl" if table is studies else f"{table.name}.jsonl"


def columns_of(table: sa.Table) -> list[sa.Column[Any]]:
    """What a line says of a row: all but where it lies in the database, and what follows from the rest."""
    left_out = {"study_id"} | ({"digest"} if table in DIGESTS else set())
    left_out |= {"id", "format"} if table is studies else set()
    return [column for column in table.c if column.name not in left_out]


def export_study(store: Store, path: Path | str) -> None:
    """Writes a study to a new file, as it is at one moment, beside whoever owns it.

    Raises:
        StudyExists: there is such a file already.
        StorageError: the study is damaged, an earlier mango wrote it, or the file cannot be written.
    """
    try:
        with Path(path).open("xb") as file:
            try:
                write_study(store, file)
                file.flush()
                os.fsync(file.fileno())
            except BaseException:
                Path(path).unlink()
                raise
    except FileExistsError as error:
        raise StudyExists(f"{path} exists already; choose another file") from error
    except OSError as error:
        raise StorageError(f"{path} cannot be written: {error}") from error


def write_study(store: Store, file: IO[bytes]) -> None:
    """Writes a study to an open file, as it is at one moment, beside whoever owns it; memory does not grow with it.

    Raises:
        StorageError: the study is damaged, or an earlier mango wrote it.
    """
    store.database.needs_upgrade()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        _Writer(archive, store).write()


class _Writer:
    """Writes one study into an archive that is open."""

    def __init__(self, archive: zipfile.ZipFile, store: Store) -> None:
        self._archive = archive
        self._store = store
        self._arrays = 0
        self._files: dict[str, dict[str, Any]] = {}

    def write(self) -> None:
        with self._store.database.reading(steady=True) as connection:
            self._write(connection, studies, studies.c.id)
            for table in TABLES:
                self._write(connection, table, table.c.study_id)
        manifest = {
            "format": FORMAT,
            "version": VERSION,
            "mango": version("mango-neuro"),
            "study": self._store.name,
            "files": self._files,
        }
        self._archive.writestr(MANIFEST, json.dumps(manifest, indent=1))

    def _write(self, connection: sa.Connection, table: sa.Table, study: sa.Column[Any]) -> None:
        query = sa.select(table).where(study == self._store.id).order_by(*table.primary_key)
        hashed, rows = hashlib.sha256(), 0
        with tempfile.TemporaryFile() as lines:  # an archive takes one member at a time, and the arrays come first
            for row in connection.execute(query, execution_options={"yield_per": ROWS_AT_ONCE}).mappings():
                line = self._line(table, row)
                if line is not None:
                    lines.write(line)
                    hashed.update(line)
                    rows += 1
            lines.seek(0)
            with self._archive.open(file_name(table), "w", force_zip64=True) as member:
                while block := lines.read(1 << 20):
                    member.write(block)
        self._files[file_name(table)] = {"rows": rows, "sha256": hashed.hexdigest()}

    def _line(self, table: sa.Table, row: sa.RowMapping) -> bytes | None:
        """One row; None for a damaged snapshot, which nobody would use."""
        if table in DIGESTS and row["digest"] != digest(*(row[name] for name in DIGESTS[table])):
            if table is snapshots:
                return None
            raise StorageError(f"{self._store.database.where} is damaged: a row of {table.name} was altered")
        return (
            json.dumps({column.name: self._said(column, row[column.name]) for column in columns_of(table)}).encode()
            + b"\n"
        )

    def _said(self, column: sa.Column[Any], value: Any) -> Any:
        if value is None:
            return None
        if column in JSON_COLUMNS:
            return json.loads(value)
        if column in PACKED_COLUMNS:
            parts = unpack(value)
            arrays = {name: self._member(part) for name, part in parts.items() if isinstance(part, np.ndarray)}
            return {"arrays": arrays, "scalars": {n: part for n, part in parts.items() if n not in arrays}}
        return base64.b64encode(value).decode() if isinstance(value, bytes) else value

    def _member(self, array: np.ndarray[Any, Any]) -> tuple[str, str]:
        written = io.BytesIO()
        np.lib.format.write_array(written, array, allow_pickle=False)
        name = f"{ARRAYS}{self._arrays:08d}.npy"
        self._arrays += 1
        self._archive.writestr(name, written.getbuffer(), zipfile.ZIP_STORED)  # numbers like these hardly shrink
        return name, hashlib.sha256(written.getbuffer()).hexdigest()
