"""Studies as files: `mango export` and `mango import`; the work is done by `mango.storage`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mango.errors import InputError

if TYPE_CHECKING:
    from mango.storage import Database


def register(app: typer.Typer) -> None:
    """Adds the two commands."""
    app.command("export")(export_study)
    app.command("import")(import_study)


def export_study(
    source: Annotated[
        str, typer.Argument(metavar="DIR|FILE|URL", help="Folder of a search, SQLite file, or database URL.")
    ],
    out: Annotated[Path, typer.Option(help="File to write, such as study.mango.")],
    study: Annotated[
        str | None, typer.Option(help="Name of the study; only needed where there are several.", show_default=False)
    ] = None,
) -> None:
    """Write a study to one file, also while somebody else goes on with it."""
    from mango.storage import Database, Store, export_study

    database = Database(_url(source), write=False)
    try:
        store = Store.open(database, _only(database) if study is None else study, own=False)
        export_study(store, out)
        print(f"{out}: study {store.name!r} with {sum(store.counts().values())} trials")
    finally:
        database.close()


def import_study(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="That `mango export` wrote.", show_default=False)],
    storage: Annotated[str, typer.Option(help="SQLite file or database URL; made where there is none.")],
    name: Annotated[
        str | None, typer.Option(help="Of the study; by default as it was called.", show_default=False)
    ] = None,
) -> None:
    """Make a study from such a file, whole or not at all; other studies of the same SQLite file wait for it."""
    from mango.storage import import_study

    print(f"{storage}: study {import_study(file, _url(storage), name)!r}")


def differences(source: str, study: str | None) -> dict[str, str | None]:
    """For each study of a folder or a database, by its place or name, what differs first from its log, or None."""
    from mango.search import verify as verify_folder
    from mango.storage import Database
    from mango.study import verify

    if study is None and "://" not in source and not Path(source).is_file():
        return verify_folder(source)
    database = Database(_url(source), write=False)
    try:
        names = [listed.name for listed in database.studies()] if study is None else [study]
    finally:
        database.close()
    if not names:
        raise InputError(f"{source} holds no study")
    return {name: verify(None, storage=_url(source), name=name) for name in names}


def _url(place: str) -> str:
    """The URL of a database that may be named by its file or by the folder of a search."""
    if "://" in place:
        return place
    from mango.search.folder import DATABASE

    path = Path(place)
    return f"sqlite:///{(path / DATABASE if path.is_dir() else path).absolute()}"


def _only(database: Database) -> str:
    """The name of the one study of a database."""
    names = [listed.name for listed in database.studies()]
    if len(names) != 1:
        raise InputError(f"{database.where} holds {len(names)} studies; name one by --study: {', '.join(names)}")
    return names[0]
