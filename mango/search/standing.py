"""How the searches in a folder stand, read from its files alone: no network is loaded, no study is owned."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mango.configuration import Configuration
from mango.errors import StorageError
from mango.search.folder import CONFIG, RESULT, RunFolder
from mango.storage import Store


def standing(out: Path | str) -> dict[str, Any]:
    """What ``result.json`` says, or where the search stands while there is none; for several, one of each.

    Returns:
        For one search the fields of ``result.json``, or ``finished`` (False), ``unit``, ``best_value``, ``best_trial``,
        ``evaluations``, ``budget`` (or None), ``noisy`` and a count for each state of a trial. For several ``target``
        and ``searches``.

    Raises:
        StorageError: the folder holds no study, or it is damaged.
    """
    root = RunFolder(out)
    kept = root.read(CONFIG, missing={})
    if "searches" not in kept:
        return _one(root)
    return {
        "target": kept.get("target"),
        "searches": {place: _one(RunFolder(root.path / place), waiting=one) for place, one in kept["searches"].items()},
    }


def _one(folder: RunFolder, waiting: dict[str, Any] | None = None) -> dict[str, Any]:
    result = folder.read(RESULT, missing=None)
    if result is not None:
        return {"finished": True, **result}
    if waiting is not None and not folder.holds_study:
        return {"finished": False, "unit": waiting.get("target"), "evaluations": 0, "budget": waiting.get("budget")}
    if not folder.holds_study:
        raise StorageError(f"there is no study in {folder.path}; expected the folder of an earlier `mango search`")
    store = Store.open(folder.storage, "study", own=False)
    try:
        rows = store.trial_rows()
    finally:
        store.close()
    states = Counter(row["state"] for row in rows)
    measured = [row for row in rows if row["value"] is not None]
    configuration = Configuration.load(store.config, store.arrays)
    best = _best(configuration, measured) if measured else None
    return {
        "finished": False,
        "unit": store.meta.get("settings", {}).get("target"),
        "best_value": None if best is None else best["value"],
        "best_trial": None if best is None else best["number"],
        "evaluations": (states["done"] + states["lost"]) * store.config["repeats"],
        "budget": store.config["budget"],
        "noisy": configuration.noisy,
        **{state: states[state] for state in ("open", "done", "lost", "failed")},
    }


def _best(configuration: Configuration, rows: Sequence[Mapping[str, Any]]) -> Mapping[str, Any]:
    """The row that `mango.Study.best` would give; every row has a value."""
    columns = [np.array([row[name] for row in rows], np.float64) for name in ("value", "log_prior")]
    heard = configuration.objective(*columns)
    keys = [-math.inf if row["key"] is None else row["key"] for row in rows]
    return rows[max(range(len(rows)), key=lambda i: (heard[i], keys[i], -rows[i]["number"]))]
