"""A picture of a model: what a generator makes, or what natural stimuli do to the units of a network."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mango import zoo
from mango.analysis.gallery import ACROSS, answers_png, gallery_png
from mango.datasets import load_cifar10
from mango.errors import InputError
from mango.generators import TABLE as GENERATORS
from mango.generators import make_generator, natural_codes

Stimuli = NDArray[Any]  # (n, *shape)

DRAWN = 2 * ACROSS  # stimuli under a heading
PRIOR = "-prior"  # of a generator's codes, in a model's name: the generator's picture shows it
READOUTS = ("", "rate")  # the first of them that was recorded is drawn, else the first of all


def portrait_png(name: str, *, data: Path | None = None, seed: int = 0) -> bytes:
    """The bytes of a PNG.

    Args:
        name: of a model of the zoo.
        data: folder that holds the model's data; with it, test images and their reconstructions are drawn too.
        seed: of random codes, natural ones, and samples of the prior.

    Raises:
        UnknownName: no such model.
        WeightsError: its files are missing, damaged, or not those of its card.
        DataError: the folder does not hold the data.
        InputError: the model makes no stimuli, and nothing was recorded of its answers.
    """
    described = zoo.card(name)
    title = f"{name}: {described.summary}"
    generator = name.removesuffix(PRIOR)
    if generator in GENERATORS:
        return gallery_png(title, _made(generator, data, np.random.default_rng(seed)))
    layers = _recorded(zoo.nature(name))
    if not layers:
        raise InputError(f"{name} makes no stimuli, and its card records no answers: there is nothing to draw")
    return answers_png(f"What natural stimuli do to the units of {name}", layers)


def _made(name: str, data: Path | None, rng: np.random.Generator) -> dict[str, list[Stimuli]]:
    """Heading -> stimuli of a generator."""
    generator: Any = make_generator(name)
    rows = {"random codes": generator.decode(generator.space.sample(DRAWN, rng))}
    if hasattr(generator, "natural"):
        rows["natural codes"] = generator.decode(natural_codes(generator, DRAWN, rng))
    if hasattr(generator, "sample_prior"):
        rows["samples of the prior"] = generator.decode(generator.sample_prior(DRAWN, rng))
    if data is not None and hasattr(generator, "encode"):
        images = load_cifar10(data, "test").images
        some = images[rng.permutation(len(images))[:ACROSS]].astype(np.float32) / np.float32(255)
        rows["test images"] = some
        rows["the same, encoded and decoded"] = generator.decode(generator.encode(some))
    return {heading: list(stimuli) for heading, stimuli in rows.items()}


def _recorded(nature: dict[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    """``LAYER``, or ``LAYER (READOUT)`` -> what natural stimuli do to its units.

    Args:
        nature: arrays, of which those that are named ``LAYER.channel`` or ``LAYER.channel.READOUT`` are meant.
    """
    found: dict[str, list[str]] = {}
    for name in sorted(nature):
        layer, marker, readout = name.rpartition(".channel")
        if marker and readout[:1] in ("", "."):
            found.setdefault(layer, []).append(readout[1:])
    chosen = {layer: min(readouts, key=_preference) for layer, readouts in found.items()}
    return {
        f"{layer} ({readout})" if readout else layer: nature[f"{layer}.channel{'.' if readout else ''}{readout}"]
        for layer, readout in chosen.items()
    }


def _preference(readout: str) -> tuple[int, str]:
    return (READOUTS.index(readout) if readout in READOUTS else len(READOUTS)), readout
