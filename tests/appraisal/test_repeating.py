"""A model holds where its files and figures are those of its card, and only there."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mango.appraisal.repeating import TOLERANCE, Figure, repeat
from mango.errors import UnknownName

NAME = "vqvae-cifar10"
DISTANCES = ("frechet_reconstructions", "frechet_random_codes")


def rewritten(folder: Path, **figures: float) -> Path:
    path = folder / f"{NAME}.json"
    card = json.loads(path.read_text())
    path.write_text(json.dumps({**card, "figures": {**card["figures"], **figures}}))
    return folder


def test_files_alone(model: Path) -> None:
    found = repeat(NAME, None, model)
    assert (found.holds, found.files, found.figures) == (True, 2, ())


def test_figures_are_repeated_exactly(model: Path, data: Path) -> None:
    found = repeat(NAME, data, model)
    assert found.holds
    assert {figure.name for figure in found.figures if figure.equal} == {"mse", "perplexity", *DISTANCES}


def test_another_figure_does_not_hold(model: Path, data: Path) -> None:
    found = repeat(NAME, data, rewritten(model, mse=0.001))
    assert not found.holds
    assert {figure.name: figure.holds for figure in found.figures} == {
        "mse": False,
        "perplexity": True,
        **dict.fromkeys(DISTANCES, True),
    }


def test_a_figure_that_nobody_measures_does_not_hold(model: Path, data: Path) -> None:
    found = repeat(NAME, data, rewritten(model, beauty=1.0))
    assert not found.holds
    assert math.isnan(next(figure for figure in found.figures if figure.name == "beauty").found)


def test_a_damaged_file_is_named(model: Path, data: Path) -> None:
    path = model / f"{NAME}.safetensors"
    path.write_bytes(path.read_bytes()[:-1])
    found = repeat(NAME, data, model)
    assert not found.holds
    assert f"{NAME}.safetensors is not the file of its card" in found.problem
    assert "install mango again" in found.problem


def test_missing_data_are_said(model: Path, tmp_path: Path) -> None:
    found = repeat(NAME, tmp_path / "nowhere", model)
    assert (found.holds, found.files) == (False, 2)
    assert "name one that holds CIFAR-10" in found.problem


def test_a_model_that_is_not_there(model: Path) -> None:
    with pytest.raises(UnknownName, match=NAME):
        repeat("vqvae-cifar", None, model)


@given(value=st.floats(-1e6, 1e6).filter(lambda x: abs(x) > 1e-6), share=st.floats(-0.1, 0.1))
def test_the_tolerance_is_a_share_of_the_figure(value: float, share: float) -> None:
    figure = Figure("x", value, value * (1 + share))
    if abs(share) < 0.99 * TOLERANCE:
        assert figure.holds
    if abs(share) > 1.01 * TOLERANCE:
        assert not figure.holds


def test_nan_holds_never() -> None:
    assert not Figure("x", math.nan, 1.0).holds
    assert not Figure("x", 1.0, math.nan).holds
