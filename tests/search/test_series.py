"""Searches over series leave the same folder as those over images; the pictures are curves."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mango.analysis.curve import SIDE
from mango.errors import InputError
from mango.search import search
from mango.search.settings import Settings

FILES = {"best.png", "convergence.png", "evolution.gif", "report.html", "result.json", "trials.parquet"}


def settings(generator: str, target: str = "series-gunpoint:output/gun", **changed: object) -> Settings:
    return Settings(generator=generator, target=target, budget=40, batch=10, workers=0, **changed)  # type: ignore[arg-type]


@pytest.mark.parametrize("form", ["identity:150", "smoothed:150", "bandlimited:150:8"])
def test_a_search_without_natural_codes(form: str, tmp_path: Path) -> None:
    found = search(settings(f"series:{form}"), tmp_path / "out")
    assert found["evaluations"] == 40
    assert FILES <= {file.name for file in (tmp_path / "out").iterdir()}
    with Image.open(tmp_path / "out" / "evolution.gif") as gif:
        assert gif.size[0] == SIDE


def test_a_search_with_natural_codes_is_compared_with_them(tmp_path: Path) -> None:
    found = search(settings("series:bandlimited:gunpoint:16", probes=10), tmp_path / "out")
    assert found["natural_source"] == "150 test series"
    page = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert "reconstructed natural series" in page
    assert "images" not in page.split("<style>")[0] + page.split("</style>")[-1].replace("data:image", "")
    drawn = np.asarray(Image.open(io.BytesIO((tmp_path / "out" / "best.png").read_bytes())).convert("L"))
    assert drawn.std() > 10


def test_without_recorded_answers_the_natural_series_themselves_are_the_measure(tmp_path: Path) -> None:
    found = search(settings("series:identity:gunpoint", "series-gunpoint:output/gun@probability"), tmp_path / "out")
    assert found["natural_source"] == "50 reconstructed natural series"
    assert 0.5 < found["natural_maximum"] <= 1


def test_series_of_another_length_are_refused_before_anything_is_written(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"shape \(1, 150\); the generator makes \(1, 275\)"):
        search(settings("series:bandlimited:275:8"), tmp_path / "out")
    assert not (tmp_path / "out").exists()
