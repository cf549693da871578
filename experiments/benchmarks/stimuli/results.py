"""Runs as they are kept: a line of JSON each, added when it is done; and all of them as one parquet table.

The table holds all that is kept of a run, so that a folder with nothing but `TABLE` is gone on with: `read_folder`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

RUNS = "runs.jsonl"
TABLE = "results.parquet"
COLUMNS = (
    "network",
    "unit",
    "part",
    "noise",
    "batch",
    "information",
    "method",
    "package",
    "version",
    "seed",
    "planned",
    "natural_median",
    "natural_maximum",
    "seconds",
    "seconds_target",
    "key",
    "machine",
    "commit",
)


def append(file: Path, row: Mapping[str, Any]) -> None:
    """Adds a run."""
    with file.open("a") as opened:
        opened.write(json.dumps(row) + "\n")


def read(file: Path) -> list[dict[str, Any]]:
    """All complete runs; a last line that was cut off by a kill is taken out of the file."""
    if not file.exists():
        return []
    text = file.read_text()
    if text and not text.endswith("\n"):
        text = text[: text.rfind("\n") + 1]
        file.write_text(text)
    return [json.loads(line) for line in text.splitlines()]


def read_folder(folder: Path) -> list[dict[str, Any]]:
    """All complete runs of a folder: those of `RUNS`, and those that only `TABLE` has."""
    runs = read(folder / RUNS)
    known = {run["key"] for run in runs}
    return [run for run in read_table(folder / TABLE) if run["key"] not in known] + runs


def read_table(file: Path) -> list[dict[str, Any]]:
    """The runs that `write_table` wrote, ``budgets`` being those at which they were scored; none without the file."""
    if not file.exists():
        return []
    runs: dict[str, dict[str, Any]] = {}
    for row in pq.read_table(file).to_pylist():
        new = {name: row[name] for name in COLUMNS} | {"budgets": [], "evaluations": [], "value": []}
        run = runs.setdefault(row["key"], new)
        run["evaluations"].append(row["evaluations"])
        run["value"].append(row["value"])
        if row["scored"]:
            run["budgets"].append(row["evaluations"])
    return list(runs.values())


def write_table(folder: Path, runs: Sequence[Mapping[str, Any]]) -> None:
    """``results.parquet``: a row for each run and checkpoint.

    Columns: those that name the run, ``scored`` (the budgets that the run stands for), ``evaluations``, ``value``
    (noise-free, of the recommendation), ``seconds`` and ``seconds_target`` of the whole run.
    """
    repeats = [len(run["evaluations"]) for run in runs]
    columns: dict[str, Any] = {
        name: pa.array(np.repeat(np.array([run[name] for run in runs]), repeats)).dictionary_encode()
        if isinstance(runs[0][name], str)
        else pa.array(np.repeat([run[name] for run in runs], repeats))
        for name in COLUMNS
    }
    columns["evaluations"] = pa.array([n for run in runs for n in run["evaluations"]])
    columns["value"] = pa.array([v for run in runs for v in run["value"]], pa.float64())
    columns["scored"] = pa.array([n in run["budgets"] for run in runs for n in run["evaluations"]])
    pq.write_table(pa.table(columns), folder / TABLE)
