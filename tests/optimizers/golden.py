"""The first 50 proposals of every optimizer, written down so that no change to them goes unseen.

After a change that is meant to alter them, write them anew and look at the difference before committing it::

    python -m tests.optimizers.golden [NAME ...]
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np

from mango.errors import InputError
from mango.optimizers import TABLE, make_optimizer
from mango.space import Codes, SearchSpace
from tests.optimizers.spaces import PLACES

FOLDER = Path(__file__).parent / "golden"
NAMES = [*(name for name in TABLE if name != "nevergrad"), "nevergrad:NGOpt", "nevergrad:OnePlusOne"]
WHERE = ("normal", "grid", "binary", "labels", "codebook-natural", "codebook@frequencies")
SEED, BATCH, PROPOSALS = 20, 10, 50


def objective(space: SearchSpace, codes: Codes) -> np.ndarray[Any, Any]:
    """Best where every axis (or every label's embedding) is near a fixed point; two decimals, so that values tie."""
    if space.embedding is not None:
        distance = np.square(space.embedding[codes] - space.embedding[3]).sum(-1).mean(1)
    else:
        span = space.upper - space.lower
        distance = np.square((codes - space.lower) / span - np.linspace(0.2, 0.7, space.dim)).mean(1)
    values: np.ndarray[Any, Any] = np.round(1 - distance, 2)
    return values


def proposals(name: str, where: str) -> list[list[Any]] | None:
    """Codes ``(50, dim)`` as lists; None where the optimizer refuses the space."""
    space, options = PLACES[where]
    try:
        optimizer = make_optimizer(name, space, seed=SEED, budget=200, **options)
    except InputError:
        return None
    rows: list[list[Any]] = []
    while len(rows) < PROPOSALS:
        ids, codes, _ = optimizer.ask(BATCH)
        values = objective(space, codes)
        values[::7] = np.nan
        optimizer.tell(ids, values, keys=codes.sum(1))
        rows.extend(codes.tolist())
    return rows


def path(name: str) -> Path:
    """Where the golden numbers of an optimizer lie."""
    return FOLDER / f"{name.replace(':', '-')}.json"


def write(name: str) -> None:
    """Writes them, one proposal to a line."""
    FOLDER.mkdir(exist_ok=True)
    parts = []
    for where in WHERE:
        rows = proposals(name, where)
        text = "null" if rows is None else "[\n" + ",\n".join(json.dumps(row) for row in rows) + "\n]"
        parts.append(f"{json.dumps(where)}: {text}")
    path(name).write_text("{\n" + ",\n".join(parts) + "\n}\n")


if __name__ == "__main__":
    for chosen in sys.argv[1:] or NAMES:
        write(chosen)
        print(f"wrote {path(chosen)}")
