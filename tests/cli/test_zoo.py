"""`mango zoo`: what it prints, what it writes, and its exit status."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import Result
from PIL import Image
from typer.testing import CliRunner

from mango import zoo
from mango.appraisal.repeating import Figure, Repeated
from mango.cli import app


def mango(*words: object) -> Result:
    return CliRunner().invoke(app, [str(word) for word in words], terminal_width=200)


def test_the_list_names_every_model() -> None:
    bare, listed = mango("zoo"), mango("zoo", "list")
    assert bare.exit_code == listed.exit_code == 0
    assert bare.stdout == listed.stdout
    for name in zoo.TABLE:
        assert name in listed.stdout
    found = json.loads(mango("zoo", "list", "--json").stdout)
    assert set(found) == set(zoo.TABLE)
    assert found["snn-cifar10"]["figures"] == zoo.card("snn-cifar10").figures
    files = zoo.card("snn-cifar10").sha256
    assert found["snn-cifar10"]["bytes"] == sum((zoo.FOLDER / file).stat().st_size for file in files)


def test_show_prints_the_card_and_writes_a_picture(tmp_path: Path) -> None:
    path = tmp_path / "picture.png"
    ran = mango("zoo", "show", "snn-cifar10", "--out", path)
    assert ran.exit_code == 0, ran.output
    flat = "".join(ran.stdout.split())
    card = zoo.card("snn-cifar10")
    for text in (card.command, card.data, card.notes, *card.sha256.values()):
        assert "".join(text.split()) in flat
    with Image.open(path) as picture:
        assert picture.format == "PNG"


def test_the_picture_lies_here_by_default(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert mango("zoo", "show", "snn-cifar10").exit_code == 0
    assert [file.name for file in tmp_path.iterdir()] == ["snn-cifar10.png"]


@pytest.mark.parametrize("words", [("show", "snn-cifar"), ("check", "vqvae-cifar10", "snn-cifar")])
def test_a_wrong_name_is_said_before_anything_else(words: tuple[str, ...]) -> None:
    ran = mango("zoo", *words)
    assert (ran.exit_code, ran.stdout) == (2, "")
    assert "did you mean snn-cifar10" in ran.stderr


def test_check_of_the_files() -> None:
    ran = mango("zoo", "check")
    assert ran.exit_code == 0, ran.output
    assert ran.stdout.count(": holds; ") == len(zoo.TABLE)
    assert "--data DIR" in ran.stdout


def test_check_says_what_does_not_hold(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    (tmp_path / "test" / "cat").mkdir(parents=True)
    for name in ("1.png", "2.png"):
        Image.fromarray(rng.integers(0, 256, (32, 32, 3), np.uint8)).save(tmp_path / "test" / "cat" / name)
    ran = mango("zoo", "check", "vqvae-cifar10", "--data", tmp_path)
    assert ran.exit_code == 1
    assert "vqvae-cifar10: does not hold; 2 files are those of the card" in ran.stdout
    assert f"mse: expected {zoo.card('vqvae-cifar10').figures['mse']!r}, found 0." in ran.stdout
    assert "more than the 0.001 allowed" in ran.stdout
    found = json.loads(mango("zoo", "check", "vqvae-cifar10", "--data", tmp_path, "--json").stdout)
    assert not found["holds"]
    assert not found["models"]["vqvae-cifar10"]["figures"]["mse"]["holds"]


def test_check_says_what_to_do(tmp_path: Path) -> None:
    ran = mango("zoo", "check", "vqvae-cifar10", "--data", tmp_path / "nowhere")
    assert ran.exit_code == 1
    assert "name one that holds CIFAR-10" in ran.stdout


@pytest.mark.parametrize(
    ("figure", "says"),
    [
        (Figure("x", 2.0, 2.0), "expected and found 2.0"),
        (Figure("x", 2.0, 2.001), "within the 0.001 allowed"),
        (Figure("x", 2.0, 2.1), "0.05 of it, more than the 0.001 allowed"),
        (Figure("x", 2.0, float("nan")), "expected 2.0, but it was not measured"),
        (Figure("x", float("nan"), 2.0), "found 2.0, but the card has no such figure"),
    ],
)
def test_each_figure_has_its_words(figure: Figure, says: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def repeated(name: str, _data: object) -> Repeated:
        return Repeated(name, 2, (figure,))

    monkeypatch.setattr("mango.appraisal.repeating.repeat", repeated)
    ran = mango("zoo", "check", "snn-cifar10")
    assert says in ran.stdout
    assert ran.exit_code == (0 if figure.holds else 1)
    json.loads(mango("zoo", "check", "snn-cifar10", "--json").stdout)
