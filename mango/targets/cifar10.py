"""Units of the zoo's classifiers of CIFAR-10 as targets: ``NAME:LAYER/UNIT@READOUT``.

Layers have their names in ``named_modules()``, such as ``layer2``, ``layer2.0.conv1`` or ``blocks.3``. A unit of the
``output`` is a class by name or number. A unit of another layer is a channel, averaged over space, or with a place
``layer2/17,3,4`` (channel, row, column); in a transformer a feature, averaged over the tokens, or ``blocks.3/17,5``
(feature, token).
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

import torch
from torch import nn

from mango import zoo
from mango.datasets import CIFAR10_CLASSES
from mango.targets.classifier import OUTPUT, Classifier, ClassifierTarget
from mango.targets.places import Unit, parse_place
from mango.targets.preprocess import PREPROCESS
from mango.targets.recorded import RecordedUnit

TOKENS = ("vit-cifar10",)  # whose layers give features of tokens


class Cifar10Unit(RecordedUnit):
    """A unit of one of the zoo's networks; images ``(n, 3, 32, 32)`` in [0, 1] in, values ``(n,)`` out."""

    def __init__(
        self, model: str, layer: str, unit: Unit | str, readout: str | None = None, folder: Path = zoo.FOLDER
    ) -> None:
        super().__init__(model, classifier(model, folder), layer, unit, readout, folder)


def make_classifier(model: str, detail: str) -> ClassifierTarget:
    """From ``"LAYER/UNIT"`` or ``"LAYER/UNIT@READOUT"``.

    Raises:
        UnknownName: no such layer, class or read-out.
        InputError: a unit out of range.
    """
    layer, unit, readout = parse_place(detail, {OUTPUT: CIFAR10_CLASSES}, default="")
    return Cifar10Unit(model, layer, unit, readout or None)


def evaluated(model: str, network: nn.Module) -> Classifier:
    """A network of this kind, evaluated as the zoo's is."""
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # up to twice as fast
    return Classifier(network, preprocess=PREPROCESS, classes=CIFAR10_CLASSES, tokens=model in TOKENS)


@cache
def classifier(model: str, folder: Path = zoo.FOLDER) -> Classifier:
    """The zoo's network."""
    return evaluated(model, zoo.load(model, folder))
