"""What several searches leave above their own folders: one picture, one page, one table of numbers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mango.analysis.figures import Row, summary_png
from mango.analysis.findings import Findings, best_of
from mango.analysis.report import Link, summary_html
from mango.search.folder import RESULT, SUMMARY, RunFolder
from mango.search.settings import Settings


def summarise(
    root: RunFolder, done: Sequence[tuple[str, Settings, Findings]], target: str, command: str
) -> dict[str, Any]:
    """Writes them.

    Args:
        root: the folder above.
        done: place below it, settings and findings of each search.
        target: what was searched for, as it was given.
        command: that repeats them all.

    Returns:
        What lies in ``summary.json``.
    """
    units: dict[str, list[tuple[Settings, Findings]]] = {}
    for _, settings, findings in done:
        units.setdefault(findings.unit, []).append((settings, findings))
    rows = [
        Row(
            unit=unit.partition(":")[2] or unit,
            found=[findings.found[0] if findings.found else None for _, findings in some],
            labels=[f"seed {settings.seed}" for settings, _ in some],
            natural=next((findings.nature.shown[0] for _, findings in some if findings.nature.shown), None),
            maximum=some[0][1].nature.maximum,
        )
        for unit, some in units.items()
    ]
    results = {place: RunFolder(root.path / place).read(RESULT) for place, *_ in done}
    links = [
        Link(
            findings.unit,
            settings.seed,
            best_of(results[place]),
            results[place]["natural_maximum"],
            results[place]["percentile"],
            results[place]["naturalness"],
            results[place]["evaluations"],
            f"{place}/report.html",
        )
        for place, settings, findings in done
    ]
    overview = summary_png(rows, target)
    root.write("summary.png", overview)
    root.write("report.html", summary_html(target, overview, summary_png(rows, target, dark=True), links, command))
    summary = {"target": target, "searches": results}
    root.write_json(SUMMARY, summary)
    return summary
