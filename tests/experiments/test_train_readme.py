"""The README of the trainings names every model, and `make train` trains each of them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from mango import zoo

ROOT = Path(__file__).parents[2]
README = (ROOT / "experiments" / "train" / "README.md").read_text(encoding="utf-8")
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")


@pytest.mark.parametrize("model", zoo.TABLE)
def test_every_model_has_a_row(model: str) -> None:
    assert f"`{model}`" in README


@pytest.mark.parametrize("model", zoo.TABLE)
def test_make_trains_what_the_card_says(model: str) -> None:
    trained = re.findall(r"-m (experiments\.train\.\w+)((?: --(?:network|name) \w+)?)", MAKEFILE)
    command = zoo.card(model).command
    assert any(f"-m {module} " in command and choice in command for module, choice in trained)
