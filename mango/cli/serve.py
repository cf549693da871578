"""`mango serve`: the studies of one database over HTTP."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from mango.errors import OptionError

TOKEN, READ_TOKEN = "MANGO_TOKEN", "MANGO_READ_TOKEN"  # environment variables


def serve(
    port: Annotated[int, typer.Option(help="0 picks a free one.")] = 8700,
    host: Annotated[
        str, typer.Option(help="Address to listen at; any but this machine's own needs a token.")
    ] = "127.0.0.1",
    storage: Annotated[
        str, typer.Option(help="Database: sqlite:///FILE, or postgresql+psycopg://... for several services.")
    ] = "sqlite:///mango.db",
    token_file: Annotated[
        Path | None, typer.Option(help=f"Tokens that read and write, one a line; also {TOKEN} in the environment.")
    ] = None,
    read_token_file: Annotated[
        Path | None, typer.Option(help=f"Tokens that only read, one a line; also {READ_TOKEN} in the environment.")
    ] = None,
    allow_host: Annotated[
        list[str] | None, typer.Option(help="A name by which the service is called, such as rig.lab.edu; repeatable.")
    ] = None,
    allow_origin: Annotated[
        list[str] | None, typer.Option(help="Another origin whose pages may call it, https://...; repeatable.")
    ] = None,
    generator: Annotated[
        list[str] | None, typer.Option(help="A generator of your own for studies: NAME=module:factory; repeatable.")
    ] = None,
    address: Annotated[
        str, typer.Option(help="URL of this service, for the others of a shared database.  [default: where it listens]")
    ] = "",
    plain_log: Annotated[bool, typer.Option("--plain-log", help="Log text lines in place of JSON.")] = False,
) -> None:
    """Serve studies over HTTP: ask for stimuli, tell responses, watch; Ctrl-C stops."""
    from mango.service.app import create_app
    from mango.service.hub import Hub
    from mango.service.logs import LogSettings, configure_logging
    from mango.service.security import SecuritySettings, Tokens, check_bind
    from mango.service.server import ServerSettings, called
    from mango.service.server import serve as run

    tokens = Tokens.of(read=tokens_of(read_token_file, READ_TOKEN), write=tokens_of(token_file, TOKEN))
    check_bind(host, tokens)
    own = called(host)
    names = frozenset([*(allow_host or ()), *([] if ":" in own else [own])])  # an IPv6 address is no name
    security = SecuritySettings(tokens=tokens, hosts=names, origins=frozenset(allow_origin or ()))
    configure_logging(LogSettings(json=not plain_log))
    hub = Hub(storage, _generators(generator or []))

    def bound(url: str) -> None:
        hub.database.address = address or url

    try:
        run(create_app(hub, security), ServerSettings(host=host, port=port), bound)
    finally:
        hub.close()


def tokens_of(file: Path | None, variable: str) -> list[str]:
    """Of a file and of the environment."""
    try:
        lines = [] if file is None else file.read_text().split()
    except (OSError, UnicodeDecodeError) as error:
        raise OptionError(f"the file of tokens {file} cannot be read: {error}") from error
    if file is not None and not lines:
        raise OptionError(f"the file of tokens {file} holds none; expected one a line")
    return [*lines, *os.environ.get(variable, "").split()]


def _generators(given: list[str]) -> dict[str, str]:
    named = {}
    for text in given:
        name, equals, spec = text.partition("=")
        if not equals or not name or not spec:
            raise OptionError(f"--generator takes NAME=module:factory; got {text!r}")
        named[name] = spec
    return named
