"""The commands and their options; the work is done by `mango.search`.

Results go to standard output, everything else to standard error. Exit codes: 0 done, 1 `verify` found a difference,
2 an error of `mango.errors` or of the command line, 130 stopped by Ctrl-C.
"""

from __future__ import annotations

import ast
import json
import warnings
from collections.abc import Callable
from enum import StrEnum
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from typer.core import TyperGroup

from mango.cli import transfer
from mango.cli.serve import serve
from mango.cli.work import work
from mango.cli.zoo import zoo
from mango.errors import MangoError, OptionError, ReplayError, StudyError

error_console = Console(stderr=True, highlight=False, emoji=False)  # in module:factory:LAYER is one


class _Group(TyperGroup):
    """Prints an error of mango as one message."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except MangoError as error:
            error_console.print(f"[bold red]error:[/] {_escaped(str(error))}", soft_wrap=True)
            raise typer.Exit(2) from None


app = typer.Typer(cls=_Group, add_completion=False, pretty_exceptions_enable=False, no_args_is_help=True)
transfer.register(app)
app.command()(serve)
app.command()(work)
app.add_typer(zoo, name="zoo")


class Table(StrEnum):
    """What `mango list` knows."""

    OPTIMIZERS = "optimizers"
    CHARTS = "charts"
    GENERATORS = "generators"
    TARGETS = "targets"


Folder = Annotated[Path, typer.Argument(metavar="DIR", help="Folder of an earlier search.", show_default=False)]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object on standard output, for machines.")]


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"mango {version('mango-neuro')}")
        raise typer.Exit


@app.callback()
def main(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Search, without gradients, for the stimulus that a black box likes best."""


@app.command()
def search(
    generator: Annotated[str, typer.Option(help="What makes stimuli: see `mango list generators`, or module:factory.")],
    target: Annotated[str, typer.Option(help="What answers them, NAME:LAYER/UNIT; lif2/0-15 names sixteen units.")],
    out: Annotated[Path, typer.Option(help="Folder for everything that the search leaves.")],
    optimizer: Annotated[str, typer.Option(help="How to search: see `mango list optimizers`.")] = "auto",
    budget: Annotated[int, typer.Option(help="Presentations in all, probes included.")] = 2000,
    batch: Annotated[int, typer.Option(help="Proposals at a time.")] = 20,
    seed: Annotated[int | None, typer.Option(help="Of everything that is drawn.  [default: 0]")] = None,
    seeds: Annotated[str | None, typer.Option(help="One search for each, such as 0-4.")] = None,
    workers: Annotated[int, typer.Option(help="Ray processes; 0 evaluates in this one.")] = 2,
    chunk: Annotated[int | None, typer.Option(help="Trials in one call of the target.  [default: its best]")] = None,
    repeats: Annotated[int, typer.Option(help="Presentations of each proposal, for targets with noise.")] = 1,
    leaders: Annotated[
        float, typer.Option(help="Share of presentations, after two batches, that show the best again, under noise.")
    ] = 0.0,
    confirm: Annotated[int, typer.Option(help="Presentations kept for the final choice, under noise.")] = 0,
    chart: Annotated[str | None, typer.Option(help="Coordinates to search in: see `mango list charts`.")] = None,
    option: Annotated[list[str] | None, typer.Option(help="Of the optimizer, NAME=VALUE; may be repeated.")] = None,
    weight: Annotated[float, typer.Option(help="Of the penalty on codes outside 5-95 % of natural log priors.")] = 0.0,
    ordered: Annotated[bool, typer.Option(help="The same trials for any number of workers.")] = True,
    probes: Annotated[int, typer.Option(help="Codes to evaluate first.")] = 0,
    probes_from: Annotated[str, typer.Option(help="Where these come from: natural codes or the prior.")] = "natural",
    data: Annotated[Path | None, typer.Option(help="Folder of CIFAR-10 or other images to compare with.")] = None,
    time_limit: Annotated[float | None, typer.Option(help="Seconds for each evaluation.")] = None,
    ray_address: Annotated[str | None, typer.Option(help="Of a Ray cluster, such as 10.0.0.5:6379.")] = None,
    gpus: Annotated[float, typer.Option(help="Of each worker, or its share of one, such as 0.5.")] = 0.0,
    as_json: Json = False,
) -> None:
    """Search for the stimulus that excites a unit most, and leave pictures, numbers and a page."""
    from mango.search.settings import Settings, expand_seeds

    if seed is not None and seeds is not None:
        raise OptionError("give --seed or --seeds, not both")
    numbers = [seed or 0] if seeds is None else expand_seeds(seeds)
    settings = Settings(
        generator=generator,
        target=target,
        optimizer=optimizer,
        budget=budget,
        batch=batch,
        seed=numbers[0],
        workers=workers,
        chunk=chunk,
        repeats=repeats,
        leaders=leaders,
        confirm=confirm,
        chart=chart,
        options=_options(option or []),
        weight=weight,
        ordered=ordered,
        probes=probes,
        probes_from=probes_from,
        data=None if data is None else str(data),
        time_limit=time_limit,
        ray_address=ray_address,
        gpus=gpus,
    )

    def start(listener: Any) -> dict[str, Any]:
        from mango.search import search

        return search(settings, out, seeds=numbers, listener=listener)

    _work(start, out, as_json)


@app.command()
def resume(
    folder: Folder,
    workers: Annotated[int | None, typer.Option(help="In place of the number that it was started with.")] = None,
    ray_address: Annotated[str | None, typer.Option(help="In place of the cluster that it was started on.")] = None,
    gpus: Annotated[float | None, typer.Option(help="In place of the share that each worker had.")] = None,
    accept_snapshot: Annotated[
        bool, typer.Option("--accept-snapshot", help="Go on even where the optimizer does not repeat itself exactly.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Go on with a search that was interrupted; where it had ended, write its pictures and page anew."""

    def start(listener: Any) -> dict[str, Any]:
        from mango.search import resume

        return resume(
            folder,
            workers=workers,
            ray_address=ray_address,
            gpus=gpus,
            accept_snapshot=accept_snapshot,
            listener=listener,
        )

    _work(start, folder, as_json)


@app.command()
def show(folder: Folder, as_json: Json = False) -> None:
    """Show what a search found, or how far it is."""
    from mango.search import standing

    found = standing(folder)
    if as_json:
        print(json.dumps(found))
    else:
        from mango.cli.tables import print_standing

        print_standing(found, folder)


@app.command(name="list")
def list_names(
    what: Annotated[Table | None, typer.Argument(help="One of the tables; default all.", show_default=False)] = None,
    as_json: Json = False,
) -> None:
    """List what can be named: optimizers and their options, charts, generators, targets."""
    from mango.cli.tables import names, print_names

    found = {table.value: names(table.value) for table in Table if what in (None, table)}
    if as_json:
        print(json.dumps(found))
    else:
        print_names(found)


@app.command()
def verify(
    source: Annotated[
        str, typer.Argument(metavar="DIR|FILE|URL", help="Folder of a search, SQLite file, or database URL.")
    ],
    study: Annotated[
        str | None, typer.Option(help="Name of the study in a database.  [default: all of them]", show_default=False)
    ] = None,
    as_json: Json = False,
) -> None:
    """Replay a search or the studies of a database from their log, and compare every proposal and the state."""
    differences = transfer.differences(source, study)
    different = {place: difference for place, difference in differences.items() if difference is not None}
    if as_json:
        print(json.dumps({"same": not different, "differences": differences}))
    else:
        for place, difference in differences.items():
            where = source if place == "." else f"{source}/{place}"
            print(f"{where}: {difference or 'every proposal and the state are repeated exactly'}")
    if different:
        raise typer.Exit(1)


def _work(start: Callable[[Any], dict[str, Any]], out: Path, as_json: bool) -> None:
    """Runs a search with its live line, and says how to go on with it where it does not end."""
    from mango.cli.live import Live
    from mango.search.folder import RunFolder
    from mango.search.plan import resumable

    try:
        with Live(error_console) as live, warnings.catch_warnings():
            warnings.showwarning = lambda message, *_, **__: _warn(message)
            result = start(live)
    except KeyboardInterrupt:
        kept = f"every answer so far is kept; go on with `mango resume {out}`"
        told = kept if resumable(RunFolder(out)) else "nothing was stored"
        error_console.print(f"stopped: {_escaped(told)}", soft_wrap=True)
        raise typer.Exit(130) from None
    except MangoError as error:
        if not isinstance(error, StudyError) and resumable(RunFolder(out)):
            again = f"{out} --accept-snapshot" if isinstance(error, ReplayError) else str(out)
            told = f"every answer so far is kept; go on with `mango resume {again}`"
            error_console.print(_escaped(told), soft_wrap=True)
        raise
    if as_json:
        print(json.dumps(result))
    else:
        from mango.cli.tables import print_standing

        print_standing(result, out)


def _options(given: list[str]) -> dict[str, Any]:
    """``["rank=4", "binary=true"]`` as a dict; values are Python literals, true, false, none, or texts."""
    options = {}
    for text in given:
        name, equals, value = text.partition("=")
        if not equals or not name.isidentifier():
            raise OptionError(f"--option takes NAME=VALUE, such as rank=5; got {text!r}")
        words = {"true": True, "false": False, "none": None}
        try:
            options[name] = words[value.lower()] if value.lower() in words else ast.literal_eval(value)
        except (ValueError, SyntaxError):
            options[name] = value
    return options


def _warn(message: Warning | str) -> None:
    error_console.print(f"[bold yellow]warning:[/] {_escaped(str(message))}", soft_wrap=True)


def _escaped(text: str) -> str:
    from rich.markup import escape

    return escape(text)
