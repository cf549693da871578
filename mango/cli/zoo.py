"""`mango zoo`: the trained models, their cards and samples, and whether they are what their cards say."""

from __future__ import annotations

import json
import math
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

if TYPE_CHECKING:
    from mango.appraisal.repeating import Figure, Repeated
    from mango.zoo import Card

zoo = typer.Typer(add_completion=False, help="Trained models: list them, show one, check them against their cards.")

Json = Annotated[bool, typer.Option("--json", help="Print one JSON object on standard output, for machines.")]
DATA_HINT = "give --data DIR, a folder that holds the data of the card, to repeat its figures"


@zoo.callback(invoke_without_command=True)
def main(context: typer.Context) -> None:
    """Trained models: list them, show one, check them against their cards."""
    if context.invoked_subcommand is None:
        list_models()


@zoo.command(name="list")
def list_models(as_json: Json = False) -> None:
    """List the models with their size, date and figures."""
    from mango import zoo as models

    cards = {name: models.card(name) for name in models.TABLE}
    if as_json:
        print(json.dumps({name: {**asdict(card), "bytes": models.size(name)} for name, card in cards.items()}))
        return
    console, width = Console(highlight=False, emoji=False), max(map(len, cards))
    for name, card in cards.items():
        size = _megabytes(models.size(name))
        console.print(f"[cyan]{name:{width}}[/]  {size:>8}  {card.date}  {_figures(card)}", soft_wrap=True)
        console.print(f"  {card.summary}", style="dim", markup=False, soft_wrap=True)


@zoo.command()
def show(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Of `mango zoo list`.", show_default=False)],
    out: Annotated[
        Path | None, typer.Option(help="PNG to write.  [default: NAME.png in this folder]", show_default=False)
    ] = None,
    data: Annotated[Path | None, typer.Option(help="Folder that holds the model's data, for reconstructions.")] = None,
    seed: Annotated[int, typer.Option(help="Of what is drawn at random.")] = 0,
) -> None:
    """Print a model's card, and draw what it makes or what it answers."""
    from mango import zoo as models
    from mango.appraisal.portrait import portrait_png

    card = models.card(name)
    console = Console(highlight=False, emoji=False)
    table = Table.grid(padding=(0, 2))
    table.add_column()
    table.add_column(overflow="fold")
    for field, text in _told(card, models.size(name)):
        table.add_row(f"[bold]{field}[/]", text)
    console.print(table)
    picture = portrait_png(name, data=data, seed=seed)
    path = out or Path(f"{name}.png")
    path.write_bytes(picture)
    console.print(str(path), markup=False, soft_wrap=True)


@zoo.command()
def check(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="[NAME]...", help="Default: all.", show_default=False)
    ] = None,
    data: Annotated[
        Path | None, typer.Option(help="Folder that holds the data, such as CIFAR-10; repeats the cards' figures.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Compare the files with their hashes and, with the data, the figures with those measured anew.

    A figure holds where it differs by no more than a thousandth of itself; on a machine like the one that wrote the
    card it is equal. The exit status is 1 where anything does not hold.
    """
    from mango import zoo as models
    from mango.appraisal.repeating import repeat

    for name in names or ():
        models.card(name)  # a wrong name is said before the first is measured
    console = Console(highlight=False, emoji=False)
    done: list[Repeated] = []
    for name in names or models.TABLE:
        done.append(repeat(name, data))
        if not as_json:
            _print_repeated(console, done[-1])
    if as_json:
        print(json.dumps({"holds": all(one.holds for one in done), "models": {one.model: _plain(one) for one in done}}))
    elif data is None:
        console.print(DATA_HINT)
    if not all(one.holds for one in done):
        raise typer.Exit(1)


def _told(card: Card, size: int) -> list[tuple[str, str]]:
    """Name and text of what a card says; options and digests where there are any."""
    from rich.markup import escape

    lines = [
        ("model", card.name),
        ("what", card.summary),
        ("figures", _figures(card)),
        ("size", _megabytes(size)),
        ("data", card.data),
        ("command", card.command),
        ("trained", f"{card.date}, seed {card.seed}, on {card.device}"),
        ("versions", ", ".join(f"{part} {number}" for part, number in card.versions.items())),
        ("options", ", ".join(f"{option}={value}" for option, value in card.options.items())),
        ("licence", card.licence),
        ("notes", card.notes),
        *(("SHA-256", f"{file}\n{digest}") for file, digest in card.sha256.items()),
    ]
    return [(field, escape(text)) for field, text in lines if text]


def _figures(card: Card) -> str:
    return ", ".join(f"{name} {_short(value)}" for name, value in card.figures.items())


def _short(value: float) -> str:
    return f"{value:.4g}"


def _megabytes(size: int) -> str:
    return f"{size / 1e6:.2f} MB"


def _print_repeated(console: Console, one: Repeated) -> None:
    files = f"{one.files} files are those of the card" if one.files else ""
    colour, verdict = ("green", "holds") if one.holds else ("red", "does not hold")
    console.print(f"[bold]{one.model}[/]: [{colour}]{verdict}[/]{f'; {files}' if files else ''}", soft_wrap=True)
    for figure in one.figures:
        console.print(f"  {figure.name}: {_compared(figure)}", markup=False, soft_wrap=True)
    if one.problem:
        console.print(f"  {one.problem}", markup=False, soft_wrap=True)


def _compared(figure: Figure) -> str:
    """Expected and found, and how they differ."""
    from mango.appraisal.repeating import TOLERANCE

    if math.isnan(figure.expected):
        return f"found {figure.found!r}, but the card has no such figure"
    if math.isnan(figure.found):
        return f"expected {figure.expected!r}, but it was not measured"
    if figure.equal:
        return f"expected and found {figure.expected!r}"
    share = f"{abs(figure.found - figure.expected) / abs(figure.expected):.2g}" if figure.expected else "all"
    allowed = "within" if figure.holds else "more than"
    return f"expected {figure.expected!r}, found {figure.found!r}: {share} of it, {allowed} the {TOLERANCE:g} allowed"


def _plain(one: Repeated) -> dict[str, Any]:
    figures = {
        figure.name: {
            "expected": None if math.isnan(figure.expected) else figure.expected,
            "found": None if math.isnan(figure.found) else figure.found,
            "equal": figure.equal,
            "holds": figure.holds,
        }
        for figure in one.figures
    }
    return {"holds": one.holds, "files": one.files, "figures": figures, "problem": one.problem or None}
