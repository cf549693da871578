"""The first search runs in small, and its table counts what it should."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from experiments.first_search.__main__ import main, units
from experiments.first_search.report import kind, table


def test_units_are_all_outputs_and_ten_of_each_layer() -> None:
    chosen = units(0)
    assert len(chosen) == len(set(chosen)) == 40
    assert {f"output/{i}" for i in range(10)} <= set(chosen)
    assert chosen == units(0)


def test_the_table_leaves_silent_and_saturated_units_out_of_the_share() -> None:
    common = {
        "natural_median": 0.0,
        "natural_p999": 0.1,
        "percentile": 3.0,
        "uniform_maximum": 0.1,
        "first_above_nature": None,
    }
    results = [
        {"unit": "output/0", "natural_maximum": 0.0, "best": 0.2, **common},
        {"unit": "output/1", "natural_maximum": 1.0, "best": 1.0, **common},
        {"unit": "output/2", "natural_maximum": 0.5, "best": 0.6, **common},
        {"unit": "output/3", "natural_maximum": 0.5, "best": 0.5, **common},
    ]
    assert [kind(r) for r in results] == ["silent", "saturated", "proper", "proper"]
    assert "| output | 4 | 1 | 1 | 1 of 2 | 50% | 1.10 |" in table(results)


@pytest.mark.slow
@pytest.mark.filterwarnings("default")
def test_smoke(tmp_path: Path) -> None:
    main(["--smoke", "--out", str(tmp_path)])
    results = json.loads((tmp_path / "results.json").read_text())
    assert [r["evaluations"] for r in results] == [40, 40]
    assert (tmp_path / "units.png").read_bytes()[:4] == b"\x89PNG"
