"""What `mango show` and `mango list` print."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table

from mango.analysis.findings import best_of, naturalness_lines, number, with_error
from mango.errors import WeightsError

OWN = {
    "generators": {"module:factory": "your own, a function without arguments"},
    "targets": {
        "module:factory": "your own, a function without arguments",
        "module:factory:LAYER/UNIT@READOUT": "a unit of your own, where it returns a SpikingNetwork or a Classifier",
    },
}


def print_standing(found: Mapping[str, Any], folder: Path) -> None:
    """One search in lines, several in a table."""
    console = Console(highlight=False, emoji=False)
    if "searches" in found:
        _print_several(console, found, folder)
        return
    console.print(f"[bold]{found['unit']}[/]")
    if not found.get("finished", True):
        console.print(f"not finished: {_so_far(found)} presentations answered")
    table = Table.grid(padding=(0, 2))
    for name, text in _lines(found):
        table.add_row(name, text)
    if "verdict" in found:
        console.print(found["verdict"], soft_wrap=True)
    console.print(table)
    hint = f"{folder / 'report.html'}" if found.get("finished", True) else f"go on with `mango resume {folder}`"
    console.print(hint, soft_wrap=True, markup=False)


def names(table: str) -> dict[str, Any]:
    """Name -> what it is, of one of the tables."""
    if table == "optimizers":
        from mango.optimizers import TABLE as OPTIMIZERS
        from mango.optimizers import optimizer_class, optimizer_summary

        classes = {name: optimizer_class(name) for name in OPTIMIZERS}
        return {
            name: {"summary": optimizer_summary(name), "options": {**kind.OPTIONS, **preset}}
            for name, (kind, preset) in classes.items()
        }
    if table == "charts":
        from mango.charts import NAMES, NUMBER

        return {f"{name}:K": f"{summary} (K = {NUMBER} if not given)" for name, summary in NAMES.items()}
    if table == "generators":
        from mango.generators import TABLE as GENERATORS

        return {name: summary for name, (_, summary) in GENERATORS.items()}
    from mango.targets import TABLE as TARGETS
    from mango.targets.spiking.kernels import active
    from mango.targets.spiking.nature import NETWORKS

    found = {name: summary for name, (_, summary) in TARGETS.items()}
    spiking = {name: {"summary": found[name], "layers": _layers(name), "kernels": active()} for name in NETWORKS}
    return {**found, **spiking}


def print_names(tables: Mapping[str, Mapping[str, Any]]) -> None:
    """The tables, with silent and saturated units of the zoo's spiking networks below, and what computes such ones."""
    console = Console(highlight=False, emoji=False)  # :factory: is one
    for title, rows in tables.items():
        table = Table(title=title, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD, show_header=False)
        table.add_column(style="cyan", no_wrap=True)
        table.add_column()
        for name, what in rows.items():
            table.add_row(name, _described(what) if isinstance(what, dict) else what)
        for name, what in OWN.get(title, {}).items():
            table.add_row(name, what)
        console.print(table)
        if title == "targets":
            spiking = {name: what for name, what in rows.items() if isinstance(what, dict)}
            for name, what in spiking.items():
                _print_layers(console, name, what["layers"])
            console.print(f"kernels of spiking networks: {', '.join({what['kernels'] for what in spiking.values()})}")


def spans(numbers: Sequence[int]) -> str:
    """``[1, 2, 3, 7]`` as ``1-3, 7``."""
    parts: list[list[int]] = []
    for n in sorted(numbers):
        if parts and n == parts[-1][-1] + 1:
            parts[-1].append(n)
        else:
            parts.append([n])
    return ", ".join(str(p[0]) if len(p) == 1 else f"{p[0]}-{p[-1]}" for p in parts)


def _described(what: Mapping[str, Any]) -> str:
    """The summary and, on a line of their own, the options of what has some."""
    options = ", ".join(f"{name}={default!r}" for name, default in what.get("options", {}).items())
    return f"{what['summary']}\n[dim]options: {options}[/]" if options else str(what["summary"])


def _so_far(found: Mapping[str, Any]) -> str:
    """Presentations answered, and of how many where there is a budget."""
    budget = "" if found["budget"] is None else f" of {found['budget']:,}"
    return f"{found['evaluations']:,}{budget}"


def _lines(found: Mapping[str, Any]) -> list[tuple[str, str]]:
    lines = []
    if found.get("best_value") is not None:
        ties = f", reached by {found['ties']:,} trials" if found.get("ties", 0) > 1 else ""
        recommended = _recommended(found)
        lines += recommended
        name = "highest trial" if found.get("noisy") else "best"
        lines.append((name, f"{number(found['best_value'])}  (trial {found['best_trial']}{ties})"))
    if found.get("natural_maximum") is not None:
        source = f"  ({found['natural_source']})" if found.get("natural_source") else ""
        lines.append(("natural maximum", f"{number(found['natural_maximum'])}{source}"))
    lines += [(name, f"{text}  ({remark})") for name, text, remark in naturalness_lines(found)]
    if "seconds" in found:
        lines.append(("evaluations", f"{found['evaluations']:,} in {found['seconds']:.1f} s"))
    lines += [(state, str(found[state])) for state in ("open", "lost", "failed") if found.get(state)]
    return lines


def _recommended(found: Mapping[str, Any]) -> list[tuple[str, str]]:
    """What to go on with, where noise makes that another than the highest trial, or confirmed it."""
    trial, error = found.get("recommended_trial"), found.get("confirmed_error")
    where = "never shown itself" if trial is None else f"trial {trial}"
    if found.get("confirmed_value") is not None:
        mean = with_error(found["confirmed_value"], error)
        return [("recommended", f"{mean}  ({where}; mean of {found['confirmed_presentations']:,} fresh presentations)")]
    differs = "recommended_code" in found and found["recommended_code"] != found["best_code"]
    return [("recommended", f"{where}  (not confirmed by fresh presentations)")] if differs else []


def _print_several(console: Console, found: Mapping[str, Any], folder: Path) -> None:
    table = Table(box=box.SIMPLE_HEAD, title=str(found["target"]), title_justify="left", title_style="bold")
    table.add_column("search")
    for name in ("best found", "natural maximum", "evaluations"):
        table.add_column(name, justify="right")
    for place, one in found["searches"].items():
        ended = one.get("finished", True)
        best = "no response" if ended and one["best_value"] is None else number(best_of(one))
        count = f"{one['evaluations']:,}" if ended else _so_far(one)
        table.add_row(place, best, number(one.get("natural_maximum")), count)
    console.print(table)
    ended = all(one.get("finished", True) for one in found["searches"].values())
    console.print(str(folder / "report.html") if ended else f"go on with `mango resume {folder}`", markup=False)


def _layers(network: str) -> dict[str, dict[str, Any]] | str:
    """Units of each layer of a spiking network; a text where its weights are missing."""
    from mango.targets.spiking.nature import units_of_note

    try:
        return units_of_note(network)
    except WeightsError as error:
        return str(error)


def _print_layers(console: Console, network: str, layers: dict[str, dict[str, Any]] | str) -> None:
    if isinstance(layers, str):
        console.print(layers, markup=False)
        return
    table = Table(box=box.SIMPLE_HEAD, title=f"units of {network}", title_justify="left", title_style="bold")
    table.caption = "silent: no test image makes it spike; saturated: a test image makes it spike at every step"
    table.caption_justify = "left"
    for name in ("layer", "units", "silent", "saturated"):
        table.add_column(name)
    for layer, notes in layers.items():
        silent, saturated = (spans(notes[kind]) or "none" for kind in ("silent", "saturated"))
        table.add_row(layer, f"0-{notes['units'] - 1}", silent, saturated)
    console.print(table)
