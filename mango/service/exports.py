"""A study as one file over HTTP: the same that `mango export` writes, and `mango import` takes."""

from __future__ import annotations

import tempfile
from typing import IO

from starlette.concurrency import run_in_threadpool
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from mango.errors import StorageError
from mango.storage import Database, Store, write_study

PIECE = 2**18  # bytes sent at a time


def exported(database: Database, name: str, media_type: str) -> Response:
    """The study as it is now, beside whoever owns it.

    It is written to a temporary file first: memory does not grow with the study, and a client that reads slowly holds
    no transaction of the database open.

    Raises:
        StorageError: the study is damaged, or there is no room for the file.
    """
    try:
        file = tempfile.TemporaryFile()  # the answer closes it
        try:
            write_study(Store.open(database, name, own=False), file)
            return FileAnswer(file, f"{name}.mango", media_type)
        except BaseException:
            file.close()
            raise
    except OSError as error:
        raise StorageError(f"the file of the study {name!r} cannot be written before it is sent: {error}") from error


class FileAnswer(Response):
    """An open file, sent from its beginning in pieces, and closed in any case."""

    def __init__(self, file: IO[bytes], name: str, media_type: str) -> None:
        headers = {"Content-Length": str(file.seek(0, 2)), "Content-Disposition": f'attachment; filename="{name}"'}
        super().__init__(media_type=media_type, headers=headers)
        self._file = file

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002
        """Sends it; the server waits for a client that reads slowly, and drops one that has gone."""
        with self._file as file:
            file.seek(0)
            await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
            while piece := await run_in_threadpool(file.read, PIECE):
                await send({"type": "http.response.body", "body": piece, "more_body": True})
            await send({"type": "http.response.body", "body": b"", "more_body": False})
