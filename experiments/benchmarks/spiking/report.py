"""The measured figures as Markdown tables, and whether they reach what was demanded."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from experiments.benchmarks.spiking import exact, images, networks, search, speed
from experiments.benchmarks.spiking.worker import MIDDLE

NAMES = {
    "loop": "package's own loop",
    "hoisted": "+ channels last, constant prefix once",
    "multi-step": "SpikingJelly multi-step",
    "compile": "torch.compile of the step",
    "engine": "mango, torch only",
    "numba": "mango, numba kernels",
    "c": "mango, C kernels",
    "dense": "bound of dense arithmetic",
}
PRODUCT = ("c", "numba", "engine")  # the first of these that was measured is what a user gets
BATCH = 16  # of the demands


def text(folder: Path) -> str:
    """Everything that the folder holds."""
    about = json.loads((folder / "about.json").read_text())
    parts = [f"{about['machine']}; {', '.join(f'{k} {v}' for k, v in about['versions'].items())}"]
    timed, flipped = speeds(folder), flips(folder)
    if timed:
        parts += ["## Images per second", *(table(measured) for measured in timed)]
        parts += ["## One channel of a layer in the middle", middle_table(timed)]
        parts += ["## Times faster than the package's own loop", times_table(timed), verdict(timed)]
    if flipped:
        parts += ["## Flipped spikes per million", flips_table(flipped), exact_verdict(flipped)]
    if (folder / "search.json").exists():
        parts += ["## A whole search", search.table(json.loads((folder / "search.json").read_text()))]
    return "\n\n".join(parts)


def speeds(folder: Path) -> list[dict[str, Any]]:
    """The speed of every network that was measured."""
    return _read(folder / f"speed-{name}.json" for name in networks.TABLE)


def flips(folder: Path) -> list[dict[str, Any]]:
    """The flips of every network on every kind of images that was measured."""
    return _read(folder / f"exact-{name}-{kind}.json" for name in networks.TABLE for kind in images.KINDS)


def table(measured: dict[str, Any]) -> str:
    """Images per second and MiB of one network."""
    batches = sorted({row["batch"] for row in measured["rows"]})
    lines = [
        f"**{measured['network']}**: {measured['words']}\n",
        "| | " + " | ".join(f"batch {b}: img/s (range) | MiB" for b in batches) + " | load s |",
        "|---|" + "---|" * (2 * len(batches) + 1),
    ]
    for way, name in NAMES.items():
        cells = []
        for batch in batches:
            row = speed.row_of(measured, way, batch)
            cells += ["", ""] if row is None else [_speed(row), "" if way == "dense" else f"{row['peak_mib']:.0f}"]
        if any(cells):
            compiled = [row["compile_s"] for row in measured["rows"] if row["way"] == way and "compile_s" in row]
            load = "" if way == "dense" else f"{measured['loads'][way]['load_s'] + sum(compiled):.1f}"
            lines.append(f"| {name} | {' | '.join(cells)} | {load} |")
    for way, reason in measured["skipped"].items():
        if not way.endswith(MIDDLE):
            lines.append(f"\n{NAMES[way]}: none, {reason}.")
    return "\n".join(lines)


def middle_table(timed: Sequence[dict[str, Any]]) -> str:
    """One channel of a layer in the middle: mango evaluates no deeper."""
    lines = ["| network | layer | own loop img/s | mango numba | mango C | times faster |", "|---|---|---|---|---|---|"]
    for measured in timed:
        rows = {way: speed.row_of(measured, way + MIDDLE, BATCH) for way in ("loop", "numba", "c")}
        best = next((way for way in PRODUCT if rows.get(way)), None)
        if rows["loop"] and best:
            cells = [_speed(row) if row else "" for row in rows.values()]
            times = speed.faster(measured, best + MIDDLE, BATCH, "loop" + MIDDLE)
            layer = networks.TABLE[measured["network"]].middle
            lines.append(f"| {measured['network']} | {layer} | {' | '.join(cells)} | {times:.1f} |")
    return "\n".join(lines)


def times_table(timed: Sequence[dict[str, Any]]) -> str:
    """Every way beside the package's own loop, at batches of 16, and mango at all of them."""
    ways = [way for way in NAMES if way != "loop"]
    lines = ["| network | " + " | ".join(NAMES[way] for way in ways) + " |", "|---|" + "---|" * len(ways)]
    for measured in timed:
        cells = [_times(speed.faster(measured, way, BATCH)) for way in ways]
        lines.append(f"| {measured['network']} | {' | '.join(cells)} |")
    return "\n".join(lines)


def verdict(timed: Sequence[dict[str, Any]]) -> str:
    """Whether the demands on speed are met, in words."""
    by_name = {measured["network"]: measured for measured in timed}
    said = []
    for way, name, least in (("engine", "t128", 4), ("numba", "t128", 6), ("c", "t128", 25), ("c", "snn-cifar10", 8)):
        times = speed.faster(by_name[name], way, BATCH) if name in by_name else None
        if times is not None:
            said.append(f"{NAMES[way]} on {name}: {times:.1f} times; demanded {least}: {_met(times >= least)}.")
    for way in PRODUCT:
        each = [times for m in timed if (times := speed.faster(m, way, BATCH)) is not None]
        if each:
            median = float(np.median(each))
            said.append(
                f"{NAMES[way]}, median over {len(each)} networks: {median:.1f}; demanded 3: {_met(median >= 3)}."
            )
        slower = [
            f"{m['network']} at batch {row['batch']} ({times:.2f})"
            for m in timed
            for row in m["rows"]
            if row["way"] == way and (times := speed.faster(m, way, row["batch"])) is not None and times < 1
        ]
        if each:
            said.append(f"{NAMES[way]} slower than the loop: {', '.join(slower) or 'never'}.")
    return "\n".join(f"- {sentence}" for sentence in said)


def flips_table(flipped: Sequence[dict[str, Any]]) -> str:
    """Flips per million of each layer, on the three kinds of images."""
    kinds = list(images.KINDS)
    found: dict[tuple[str, str], dict[str, Any]] = {}
    for measured in flipped:
        for row in measured["rows"]:
            found.setdefault((measured["network"], row["layer"]), {})[measured["kind"]] = row
    lines = [
        f"| network | layer | spikes, % | mango: {', '.join(kinds)} | loop against itself, worst batch size |",
        "|---|---|---|---|---|",
    ]
    for (network, layer), rows in found.items():
        shares = [f"{100 * rows[k]['spikes'] / rows[k]['compared']:.1f}" if k in rows else "-" for k in kinds]
        ours = [_flips(exact.per_million(rows[k]["mango"], rows[k]["compared"])) if k in rows else "-" for k in kinds]
        own = [_flips(exact.worst(rows[k])) if k in rows else "-" for k in kinds]
        lines.append(f"| {network} | {layer} | {', '.join(shares)} | {', '.join(ours)} | {', '.join(own)} |")
    return "\n".join(lines)


def exact_verdict(flipped: Sequence[dict[str, Any]]) -> str:
    """Whether mango flips more than the loop by itself, in words."""
    rows = [(measured, row) for measured in flipped for row in measured["rows"]]
    beyond = [
        f"{measured['network']} {row['layer']} on {measured['kind']} images"
        for measured, row in rows
        if exact.per_million(row["mango"], row["compared"]) > exact.worst(row)
    ]
    ours, all_ = sum(row["mango"] for _, row in rows), sum(row["compared"] for _, row in rows)
    own = sum(1 for _, row in rows if exact.worst(row) > 0)
    return (
        f"Mango flips {ours} of {all_:,} in all; beyond the loop by itself: {', '.join(beyond) or 'nowhere'}. "
        f"The loop flips against itself in {own} of {len(rows)} rows."
    )


def _speed(row: dict[str, Any]) -> str:
    digits = 0 if row["per_s"] >= 100 else 1
    return f"{row['per_s']:.{digits}f} ({row['least']:.{digits}f} to {row['most']:.{digits}f})"


def _flips(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.2g}"


def _times(value: float | None) -> str:
    return "" if value is None else f"{value:.1f}"


def _met(reached: bool) -> str:
    return "met" if reached else "NOT met"


def _read(files: Iterable[Path]) -> list[dict[str, Any]]:
    return [json.loads(file.read_text()) for file in files if file.exists()]
