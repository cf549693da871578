"""A run's folder: which files lie in it, written whole or not at all."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mango.errors import StorageError, StudyExists

DATABASE = "study.db"
CONFIG = "config.json"
RESULT = "result.json"
SUMMARY = "summary.json"


class RunFolder:
    """Where a search, or several, keep what they leave.

    Args:
        path: of the folder; it need not exist.
    """

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)

    @property
    def storage(self) -> str:
        """URL of the study's database."""
        return f"sqlite:///{(self.path / DATABASE).absolute()}"

    @property
    def holds_study(self) -> bool:
        """Whether a database lies here."""
        return (self.path / DATABASE).exists()

    def refuse_existing(self) -> None:
        """Nothing, where neither a search nor several have been started here.

        Raises:
            StudyExists: one has.
            StorageError: the folder is a file, or holds another program's ``config.json``.
        """
        kept = self.read(CONFIG, missing=None)
        if kept is not None and not str(kept.get("command", "")).startswith("mango "):
            raise StorageError(f"{self.path / CONFIG} is not mango's, and would be overwritten; choose another --out")
        if self.holds_study or (kept is not None and "searches" in kept):
            raise StudyExists(
                f"{self.path} already holds a study; go on with it by `mango resume {self.path}`, "
                "or choose another --out"
            )
        if self.path.exists() and not self.path.is_dir():
            raise StorageError(f"{self.path} is a file; --out needs a folder")

    def make(self) -> None:
        """Makes the folder.

        Raises:
            StorageError: it cannot be made.
        """
        try:
            self.path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StorageError(f"the folder {self.path} cannot be made: {error}") from error

    def write(self, name: str, content: bytes | str) -> None:
        """Writes a file so that at every instant the old one or the new one lies there, whole.

        Raises:
            StorageError: the disk is full or the folder cannot be written.
        """
        data = content.encode() if isinstance(content, str) else content
        temporary = None
        try:
            with tempfile.NamedTemporaryFile(dir=self.path, prefix=f".{name}.", delete=False) as file:
                temporary = file.name
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            os.chmod(temporary, 0o666 & ~_umask())
            os.replace(temporary, self.path / name)
        except OSError as error:
            if temporary is not None:
                Path(temporary).unlink(missing_ok=True)
            raise StorageError(f"{self.path / name} cannot be written: {error}; the study itself is safe") from error

    def write_json(self, name: str, content: Mapping[str, Any]) -> None:
        """Writes a JSON object; see `write`."""
        self.write(name, json.dumps(content, indent=2, allow_nan=False) + "\n")

    def read(self, name: str, *, missing: Any = ...) -> Any:
        """A JSON object.

        Args:
            name: of the file.
            missing: what to return where there is no such file; else that is an error.

        Raises:
            StorageError: it is missing or damaged.
        """
        path = self.path / name
        try:
            found = json.loads(path.read_text(encoding="utf-8"))
        except (FileNotFoundError, NotADirectoryError) as error:
            if missing is not ...:
                return missing
            raise StorageError(f"there is no {path}; expected the folder of an earlier `mango search`") from error
        except (OSError, ValueError) as error:
            raise StorageError(f"{path} cannot be read: {error}") from error
        if not isinstance(found, dict):
            raise StorageError(f"{path} cannot be read: expected a JSON object; got {type(found).__name__}")
        return found


def _umask() -> int:
    mask = os.umask(0o022)
    os.umask(mask)
    return mask
