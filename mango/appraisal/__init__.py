"""What a model of the zoo is worth: the figures of its card, measured anew from the data.

A new model is one line of ``TABLE``, which names a function ``figures(network, data)``: the network with its weights,
the folder of the data, and back the figures of the card. Trainings call the same function, so that a card says what
can be repeated. Figures are measured on the CPU; modules load when they are first used.
"""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from mango import zoo
from mango.errors import UnknownName

if TYPE_CHECKING:
    from torch import nn

TABLE: dict[str, str] = {
    "vqvae-cifar10": "vqvae:figures",
    "vqvae-cifar10-prior": "prior:figures",
    "sngan-cifar10": "sngan:figures",
    "dgn-cifar10": "dgn:figures",
    "snn-cifar10": "spiking:figures",
    "snn-t128-cifar10": "spiking:figures",
    "snn-resnet-cifar10": "spiking:figures",
    "resnet18-cifar10": "classifier:figures",
    "vgg-cifar10": "classifier:figures",
    "vit-cifar10": "classifier:figures",
    "series-trace": "series:trace",
    "series-gunpoint": "series:gunpoint",
}


def figures(name: str, network: nn.Module, data: Path) -> dict[str, float]:
    """The figures of a network that is to be, or is, the model of that name.

    Args:
        name: in `TABLE`.
        network: with its weights; it is put into eval mode and on the CPU.
        data: folder of the data that the model is measured on.

    Raises:
        UnknownName: no such model.
        DataError: the folder does not hold the data.
    """
    if name not in TABLE:
        raise UnknownName("model", name, TABLE)
    module, _, function = TABLE[name].partition(":")
    measured: dict[str, float] = getattr(import_module(f"mango.appraisal.{module}"), function)(
        network.cpu().eval(), data
    )
    return measured


def appraise(name: str, data: Path, folder: Path = zoo.FOLDER) -> dict[str, float]:
    """The figures of a model as it lies in ``folder``, whose card says what they were.

    Raises:
        UnknownName: no such model.
        WeightsError: a file of it is missing, damaged, or not the one of its card.
        DataError: ``data`` does not hold what the model is measured on.
    """
    return figures(name, zoo.load(name, folder), data)
