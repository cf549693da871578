"""The table and the picture of what was found."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from mango.analysis.figures import Row, summary_png
from mango.analysis.findings import Shown
from mango.datasets import CIFAR10_CLASSES
from mango.generators import make_generator
from mango.naturalness import naturalness
from mango.targets.spiking.nature import NETWORKS


def kind(result: dict[str, Any]) -> str:
    """``silent`` or ``saturated`` by natural responses alone, else ``proper``."""
    maximum = result["natural_maximum"]
    return "silent" if maximum == 0 else "saturated" if maximum >= 1 else "proper"


def table(results: Sequence[dict[str, Any]]) -> str:
    """Markdown: a summary by layer, then every unit. "Uniform" is the best of the 512 codes of one label everywhere."""
    lines = [
        "| layer | units | silent | saturated | above the natural maximum | share | median of best / natural maximum |",
        "|---|---|---|---|---|---|---|",
    ]
    for layer in [*NETWORKS["snn-cifar10"].layers, "all"]:
        own = [r for r in results if layer in ("all", r["unit"].partition("/")[0])]
        if not own:
            continue
        proper = [r for r in own if kind(r) == "proper"]
        above = sum(r["best"] > r["natural_maximum"] for r in proper)
        share = f"{above / len(proper):.0%}" if proper else "-"
        ratio = f"{np.median([r['best'] / r['natural_maximum'] for r in proper]):.2f}" if proper else "-"
        counts = [sum(kind(r) == name for r in own) for name in ("silent", "saturated")]
        lines.append(
            f"| {layer} | {len(own)} | {counts[0]} | {counts[1]} | {above} of {len(proper)} | {share} | {ratio} |"
        )
    lines += [
        "",
        "| unit | natural median | natural 99.9 % | natural maximum | uniform maximum | best found "
        "| evaluations until above nature | percentile of log prior | naturalness |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for r in results:
        until = r["first_above_nature"] or "-"
        note = "" if kind(r) == "proper" else f" ({kind(r)})"
        lines.append(
            f"| {r['unit']}{note} | {r['natural_median']:.4f} | {r['natural_p999']:.4f} | {r['natural_maximum']:.4f} "
            f"| {r['uniform_maximum']:.4f} | {r['best']:.4f} | {until} | {r['percentile']:.1f} "
            f"| {naturalness(r['percentile']):.1f} |"
        )
    return "\n".join(lines) + "\n"


def draw(results: Sequence[dict[str, Any]], generator: str, title: str) -> bytes:
    """The best stimulus found for each unit."""
    images = make_generator(generator).decode(np.array([r["code"] for r in results]))
    rows = [
        Row(
            unit=_word(r["unit"]),
            found=[Shown(image, r["best"]) if r["responded"] else None],
            labels=[""],
            maximum=r["natural_maximum"],
        )
        for r, image in zip(results, images, strict=True)
    ]
    return summary_png(rows, f"snn-cifar10: {title}")


def _word(unit: str) -> str:
    """``lif2/17``, or the class of an output."""
    layer, _, number = unit.partition("/")
    return CIFAR10_CLASSES[int(number)] if layer == "output" else unit
