"""A study from one file, see `mango.storage.archive`: whole, or nothing where anything about the file is wrong.

Nothing of the file is believed: what it takes unpacked is bounded before anything is, no member is ever written to
disk, no pickle is read, and every sum and column is checked.
"""

from __future__ import annotations

import base64
import hashlib
import io
import json
import math
import zipfile
import zlib
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import sqlalchemy as sa

from mango.errors import MangoError, StorageError, StudyLocked
from mango.storage.archive import (
    ARRAYS,
    DIGESTS,
    FORMAT,
    JSON_COLUMNS,
    MANIFEST,
    PACKED_COLUMNS,
    ROWS_AT_ONCE,
    TABLES,
    VERSION,
    columns_of,
    file_name,
)
from mango.storage.database import Database
from mango.storage.packing import pack
from mango.storage.rows import digest, study_columns
from mango.storage.store import held, insert_study
from mango.storage.tables import events, studies, trials

MEMBERS = 2_000_000
MANIFEST_BYTES = 1 << 20
LINE_BYTES = 64 << 20
ARRAY_BYTES = 2 << 30
UNPACKED_BYTES = 1 << 30  # and UNPACKED_TIMES the size of the file
UNPACKED_TIMES = 20
INTEGERS = 2**31  # PostgreSQL's
ENCRYPTED = 1  # flag of a member of a zip archive

_BROKEN = (
    zipfile.BadZipFile,
    zlib.error,
    EOFError,
    AttributeError,
    LookupError,
    TypeError,
    ValueError,
    RecursionError,
    NotImplementedError,  # a kind of zip archive that zipfile does not know
)


def import_study(path: Path | str, storage: str | Database, name: str | None = None) -> str:
    """Makes a study of a database from a file that `export_study` wrote; nobody owns it then.

    The database is written to in one transaction; other studies of an SQLite file wait for it.

    Args:
        path: the file.
        storage: URL of the database, which is made where there is none; or a database that is open.
        name: of the study; by default as it was called.

    Returns:
        The name.

    Raises:
        StudyExists: the database holds a study of that name.
        StorageError: the file is none of mango's, is damaged, or unpacks to more than it may; or the database cannot be
            written.
    """
    path = Path(path)
    try:
        with zipfile.ZipFile(path) as archive:
            source = _Source(archive, path.stat().st_size)
            called = source.name if name is None else name
            database = storage if isinstance(storage, Database) else Database(storage)
            try:
                _insert(source, database, called)
            finally:
                if database is not storage:
                    database.close()
    except MangoError:
        raise
    except OSError as error:
        raise StorageError(f"{path} cannot be read: {error}") from error
    except _BROKEN as error:
        raise StorageError(f"{path} is damaged or no study that mango wrote: {error}; nothing was imported") from error
    return called


def _insert(source: _Source, database: Database, name: str) -> None:
    try:
        lock = database.lock(name, create=True)
    except StudyLocked as error:
        if database.holds(name):
            raise held(database.where, name) from error
        raise
    try:
        database.prepare(create=True)
        with database.writing(patient=True) as connection:
            ((made,),) = [list(source.rows(studies))]
            row = study_columns(name, made["created_at"], *(made[part] for part in ("config", "meta", "arrays")))
            study = insert_study(connection, database.where, row)
            for table in TABLES:
                rows = source.rows(table)
                while some := list(islice(rows, ROWS_AT_ONCE)):
                    connection.execute(sa.insert(table), [{"study_id": study, **row} for row in some])
            source.check_all_read()
    finally:
        lock.release()


class _Source:
    """An archive that is read.

    Raises:
        ValueError: what is not as it should be, here as in all that follows.
    """

    def __init__(self, archive: zipfile.ZipFile, size: int) -> None:
        self._archive = archive
        self._members = {info.filename: info for info in archive.infolist()}
        self._check_sizes(size)
        with archive.open(MANIFEST) as file:
            manifest = json.loads(file.read(MANIFEST_BYTES + 1)[:MANIFEST_BYTES])
        if manifest["format"] != FORMAT:
            raise ValueError(f"expected the format {FORMAT!r}; got {manifest['format']!r}")
        if manifest["version"] != VERSION:
            raise ValueError(f"expected version {VERSION}; got {manifest['version']!r}: update mango")
        self.name = str(manifest["study"])
        self._files = manifest["files"]
        self._unread = set(self._members) - {MANIFEST}
        if {name for name in self._unread if not name.startswith(ARRAYS)} != set(self._files):
            raise ValueError("its members are not those of its manifest")

    def rows(self, table: sa.Table) -> Iterator[dict[str, Any]]:
        """The rows of a table, as the columns of the database."""
        name, hashed, count = file_name(table), hashlib.sha256(), 0
        read = self._reader(table)
        self._unread.remove(name)
        with self._archive.open(name) as lines:
            while line := lines.readline(LINE_BYTES + 1):
                if len(line) > LINE_BYTES:
                    raise ValueError(f"a line of {name} has more than {LINE_BYTES} bytes")
                hashed.update(line)
                row = read(_json(line))
                place = row["sequence"] if table is events else row["number"] if table is trials else count
                if place != count:
                    raise ValueError(f"row {count} of {name} is missing")
                count += 1
                yield row
        expected = self._files[name]
        if (expected["rows"], expected["sha256"]) != (count, hashed.hexdigest()):
            raise ValueError(f"{name} is not what its sum is of")

    def check_all_read(self) -> None:
        """Refuses members that no line names."""
        if self._unread:
            raise ValueError(f"nothing names {min(self._unread)!r}")

    def _check_sizes(self, size: int) -> None:
        members = self._archive.infolist()
        if len(members) > MEMBERS or len(members) != len(self._members):
            raise ValueError(f"expected at most {MEMBERS} members, each once; got {len(members)}")
        known = {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}
        if any(info.compress_type not in known or info.flag_bits & ENCRYPTED for info in members):
            raise ValueError("a member is encrypted, or compressed in another way than by deflating")
        if sum(info.compress_size for info in members) > size:
            raise ValueError("its members overlap")
        unpacked, allowed = sum(info.file_size for info in members), UNPACKED_BYTES + UNPACKED_TIMES * size
        if unpacked > allowed:
            raise ValueError(f"unpacked it would take {unpacked} bytes, and {allowed} are allowed")

    def _reader(self, table: sa.Table) -> Callable[[Any], dict[str, Any]]:
        """What makes the columns of a row from a line; made once for a table that may have many rows."""
        columns = [(column.name, column.nullable, self._value(column)) for column in columns_of(table)]
        names = {name for name, _, _ in columns}
        digested = () if table is studies else DIGESTS.get(table, ())  # the study's is made with its new row

        def read(line: Any) -> dict[str, Any]:
            if not isinstance(line, dict) or line.keys() != names:
                raise ValueError(f"a row of {table.name} has other columns than {', '.join(sorted(names))}")
            row = {}
            for name, nullable, value in columns:
                said = line[name]
                row[name] = None if said is None and nullable else value(said)
            if digested:
                row["digest"] = digest(*(row[name] for name in digested))
            return row

        return read

    def _value(self, column: sa.Column[Any]) -> Callable[[Any], Any]:
        """What makes a column's value from what a line says, and raises where it does not fit."""
        if column in PACKED_COLUMNS:
            return self._parts if column.table is studies else lambda said: pack(self._parts(said))
        if column in JSON_COLUMNS:
            return (lambda said: said) if column.table is studies else json.dumps
        if isinstance(column.type, sa.LargeBinary):
            return lambda said: base64.b64decode(said, validate=True)
        kind = column.type.python_type
        fits = {float: _finite, int: _whole}.get(kind, lambda said: type(said) is kind)

        def checked(said: Any) -> Any:
            if not fits(said):
                raise ValueError(f"{column} must be {kind.__name__}; got {str(said)[:80]!r}")
            return float(said) if kind is float else said

        return checked

    def _parts(self, said: Any) -> dict[str, Any]:
        arrays = {str(name): self._array(*named) for name, named in said["arrays"].items()}
        return {**arrays, **said["scalars"]}

    def _array(self, name: str, sha256: str) -> np.ndarray[Any, Any]:
        if not name.startswith(ARRAYS):
            raise ValueError(f"{name!r} is no array")
        self._unread.remove(name)
        if self._members[name].file_size > ARRAY_BYTES:
            raise ValueError(f"{name} has more than {ARRAY_BYTES} bytes")
        content = self._archive.read(name)
        if hashlib.sha256(content).hexdigest() != sha256:
            raise ValueError(f"{name} is not what its sum is of")
        file = io.BytesIO(content)
        header = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
        shape, _, dtype = header[np.lib.format.read_magic(file)](file)
        if dtype.hasobject or math.prod(shape) * dtype.itemsize != len(content) - file.tell():
            raise ValueError(f"{name} holds no plain array of the size that it names")
        file.seek(0)
        array: np.ndarray[Any, Any] = np.load(file, allow_pickle=False)
        return array


def _json(line: bytes) -> Any:
    try:
        return json.loads(line)
    except UnicodeDecodeError as error:  # which would pass for an error of the database
        raise ValueError(f"a line is no text: {error}") from error


def _finite(said: Any) -> bool:
    return type(said) in (float, int) and math.isfinite(said)


def _whole(said: Any) -> bool:
    return type(said) is int and -INTEGERS <= said < INTEGERS
