"""``python -m experiments.zoo``: the best stimulus of every class, by every generator of images, for two networks.

One search for each, as `mango search` does it, one after the other; what the output folder holds already is kept, so
that a run that was stopped goes on. At the end a picture of each network and a table are drawn.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from mango.analysis.gallery import gallery_png
from mango.datasets import CIFAR10_CLASSES
from mango.generators import make_generator
from mango.search import resume, search
from mango.search.settings import Settings

GENERATORS = ("vqvae-cifar10", "sngan-cifar10", "dgn-cifar10")
NETWORKS = ("resnet18-cifar10", "snn-cifar10")
COLUMNS = (BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(), TextColumn("{task.fields[best]}"))


def main(argv: list[str] | None = None) -> None:
    """Searches what is missing in the output folder, then writes ``NETWORK.png`` for each network and ``table.md``."""
    parser = argparse.ArgumentParser(prog="python -m experiments.zoo", description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("runs/zoo"))
    parser.add_argument("--budget", type=int, default=1_000)
    parser.add_argument("--workers", type=int, default=0, help="Ray processes; 0: in this one")
    parser.add_argument("--smoke", action="store_true", help="one class, 40 evaluations")
    options = parser.parse_args(argv)
    classes = CIFAR10_CLASSES[:1] if options.smoke else CIFAR10_CLASSES
    budget = 40 if options.smoke else options.budget
    wanted = [(network, generator, name) for network in NETWORKS for generator in GENERATORS for name in classes]
    found: dict[str, dict[str, list[dict[str, Any]]]] = {n: {g: [] for g in GENERATORS} for n in NETWORKS}
    with Progress(*COLUMNS) as progress:
        bar = progress.add_task("searches", total=len(wanted), best="")
        for network, generator, name in wanted:
            result = one(network, generator, name, budget, options)
            found[network][generator].append(result)
            progress.update(bar, advance=1, best=f"{network} {name} {ratio(result):.2f} x natural")
    for network, rows in found.items():
        (options.out / f"{network}.png").write_bytes(picture(network, rows, classes))
    (options.out / "table.md").write_text(table(found))
    print(table(found))


def one(network: str, generator: str, name: str, budget: int, options: argparse.Namespace) -> dict[str, Any]:
    """What ``result.json`` says of one search, made where it is missing, gone on with where it was stopped."""
    out = options.out / network / generator / name
    if out.exists() and not (out / "result.json").exists():
        resume(out)
    elif not out.exists():
        target = f"{network}:output/{name}"
        search(Settings(generator=generator, target=target, budget=budget, batch=40, workers=options.workers), out)
    result: dict[str, Any] = json.loads((out / "result.json").read_text())
    return result


def ratio(result: dict[str, Any]) -> float:
    """The best value over that of the best natural image."""
    return float(result["best_value"] or 0.0) / float(result["natural_maximum"])


def picture(network: str, rows: dict[str, list[dict[str, Any]]], classes: tuple[str, ...]) -> bytes:
    """A line for each generator, a stimulus for each class."""
    shown, captions = {}, {}
    for generator, results in rows.items():
        decode = make_generator(generator).decode
        shown[generator] = [decode(np.array([result["best_code"]]))[0] for result in results]
        captions[generator] = [f"{name} {ratio(r):.2f}" for name, r in zip(classes, results, strict=True)]
    return gallery_png(f"{network}: the best found for each class, over the best of 10,000 images", shown, captions)


def table(found: dict[str, dict[str, list[dict[str, Any]]]]) -> str:
    """Ratios, and percentiles of how natural the best are held to be."""
    lines = ["| network | generator | best over natural, mean | lowest | above nature |", "|---" * 5 + "|"]
    for network, rows in found.items():
        for generator, results in rows.items():
            ratios = np.array([ratio(result) for result in results])
            above = f"{(ratios > 1).sum()} of {len(ratios)}"
            lines.append(f"| `{network}` | `{generator}` | {ratios.mean():.2f} | {ratios.min():.2f} | {above} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
