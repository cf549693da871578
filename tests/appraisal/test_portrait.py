"""What is drawn of a model: stimuli where it makes some, answers where these were recorded, else a reason."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from mango.appraisal import portrait
from mango.appraisal.portrait import portrait_png
from mango.errors import DataError, InputError, UnknownName


@pytest.fixture
def rows(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What the last gallery was to show."""
    kept: dict[str, Any] = {}

    def draw(_title: str, rows: dict[str, Any]) -> bytes:
        kept.clear()
        kept.update(rows)
        return b""

    monkeypatch.setattr(portrait, "gallery_png", draw)
    return kept


def test_a_generator_shows_random_natural_and_sampled_codes(rows: dict[str, Any]) -> None:
    portrait_png("vqvae-cifar10")
    headings = ("random codes", "natural codes", "samples of the prior")
    assert {heading: len(stimuli) for heading, stimuli in rows.items()} == dict.fromkeys(headings, 20)
    shown = [np.array(stimuli) for stimuli in rows.values()]
    portrait_png("vqvae-cifar10-prior")  # which makes nothing without its generator
    assert all(np.array_equal(np.array(stimuli), its) for stimuli, its in zip(rows.values(), shown, strict=True))
    first = rows["random codes"][0].copy()
    portrait_png("vqvae-cifar10", seed=1)
    assert not np.array_equal(first, rows["random codes"][0])
    portrait_png("vqvae-cifar10")
    assert np.array_equal(first, rows["random codes"][0])


def test_with_data_it_shows_reconstructions(rows: dict[str, Any], data: Path) -> None:
    portrait_png("vqvae-cifar10", data=data)
    images, back = rows["test images"], rows["the same, encoded and decoded"]
    assert len(images) == len(back) == 10
    own = np.mean([np.square(a - b).mean() for a, b in zip(images, back, strict=True)])
    others = np.mean([np.square(a - b).mean() for a, b in zip(images, back[1:] + back[:1], strict=True)])
    assert own < 0.2 * others


def test_a_network_shows_what_nature_does_to_it() -> None:
    drawn = Image.open(io.BytesIO(portrait_png("snn-cifar10")))
    assert min(drawn.size) > 500


def test_where_there_is_nothing_to_draw_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(portrait.zoo, "nature", lambda _: {"natural_codes": np.zeros((1, 2))})
    with pytest.raises(InputError, match="nothing to draw"):
        portrait_png("snn-cifar10")


def test_errors(tmp_path: Path) -> None:
    with pytest.raises(UnknownName, match="vqvae-cifar10"):
        portrait_png("vqvae")
    with pytest.raises(DataError, match="holds no test images"):
        portrait_png("vqvae-cifar10", data=tmp_path)


def test_the_readout_that_says_most_is_drawn() -> None:
    tables = {f"lif1.{name}": np.zeros((4, 2)) for name in ("channel.current", "channel.rate", "neuron.rate")}
    assert list(portrait._recorded({**tables, "natural_codes": np.zeros(1)})) == ["lif1 (rate)"]
    assert list(portrait._recorded({"a.b.channel.z": np.zeros((4, 2))})) == ["a.b (z)"]
    assert list(portrait._recorded({"a.channel": np.zeros((4, 2)), "a.channels": np.zeros(1)})) == ["a"]
