"""The figures as Markdown tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

MANGO = "mango, blocks of 40"
COLUMNS = {  # of the figures of a row
    "ask, raw": "raw",
    "over the optimizer": "raw_over",
    "ask, JSON": "json",
    "tell": "tell",
    "the optimizer, before and in an ask": "optimizer_ask",
}


def rows(found: Sequence[Mapping[str, Any]]) -> str:
    """Asks and tells: 10th percentile, median and 99th percentile in milliseconds, of one study a row."""
    columns = {title: key for title, key in COLUMNS.items() if any(key in row for row in found)}
    more = {"CPU per round": "cpu_per_round", "memory, MiB": "mib"}
    more = {title: key for title, key in more.items() if any(key in row for row in found)}
    lines = [
        [
            _named(row),
            *(" / ".join(f"{ms:.1f}" for ms in row[key].values()) if key in row else "" for key in columns.values()),
            *(f"{row[key]:.1f}" if key in row else "" for key in more.values()),
        ]
        for row in found
    ]
    return _table(["ms: p10 / median / p99", *columns, *more], lines)


def peers(found: Mapping[str, Mapping[str, Any]]) -> str:
    """Milliseconds per trial, and how many times the service's; then why some were not measured."""
    mango = float(np.median(found[MANGO]["ms"]))
    medians = {name: float(np.median(each["ms"])) for name, each in found.items() if "ms" in each}
    table = _table(
        ["ask and tell on 512 axes", "ms per trial, median", f"times {MANGO}"],
        [[name, f"{median:,.2f}", f"{median / mango:,.0f}"] for name, median in medians.items()],
    )
    failed = [f"{name} was not measured: {each['failed']}." for name, each in found.items() if "failed" in each]
    return "\n\n".join([table, *failed])


def _named(row: Mapping[str, Any]) -> str:
    return ", ".join(
        [row["optimizer"]]
        + ([f"{row['past']:,} past trials"] if "past" in row else [])
        + ([f"{row['clients']} clients"] if "clients" in row else [])
    )


def _table(titles: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    rule = ["---"] * len(titles)
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (titles, rule, *lines))
