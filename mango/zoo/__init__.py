"""Trained weights with a card each; nothing is loaded that is not what its card says.

A model is three files named after it: ``NAME.json`` (the card), ``NAME.safetensors`` (weights) and
``NAME.nature.safetensors`` (what natural images do to it: codes, or responses of every unit). Some have a fourth,
``NAME.training.safetensors``: the weights as they were after some iterations of the training. The card holds the
SHA-256 of all others.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mango.errors import InputError, UnknownName, WeightsError

if TYPE_CHECKING:
    from torch import Tensor, nn

FOLDER = Path(__file__).parent
TABLE: dict[str, str] = {
    "vqvae-cifar10": "vqvae:VQVAE",
    "sngan-cifar10": "sngan:SNGAN",
    "vqvae-cifar10-prior": "prior:CodePrior",
    "dgn-cifar10": "dgn:DGN",
    "snn-cifar10": "spiking:SpikingConvNet",
    "snn-t128-cifar10": "spiking_maxpool:SpikingMaxPoolNet",
    "snn-resnet-cifar10": "spiking_resnet:SpikingResNet18",
    "resnet18-cifar10": "resnet:ResNet18",
    "vgg-cifar10": "vgg:VGG",
    "vit-cifar10": "vit:ViT",
    "series-trace": "series:SeriesConvNet",
    "series-gunpoint": "series:SeriesConvNet",
}


@dataclass(frozen=True)
class Card:
    """What a model is and how it came to be.

    Attributes:
        name: in `TABLE`.
        summary: one line.
        options: of the network's class.
        data, command, seed, device, versions, date, licence: of the training.
        figures: what it is worth, such as ``{"accuracy": 0.75}``, measured on the test images of ``data``.
        notes: what a user should know of it.
        sha256: file name -> digest, of every other file of the model.
    """

    name: str
    summary: str
    options: dict[str, Any]
    data: str
    command: str
    seed: int
    device: str
    versions: dict[str, str]
    date: str
    licence: str
    figures: dict[str, float]
    notes: str
    sha256: dict[str, str]


def card(name: str, folder: Path = FOLDER) -> Card:
    """The card of a model.

    Raises:
        UnknownName: no such model.
        WeightsError: the card is missing or damaged.
    """
    if name not in TABLE:
        raise UnknownName("model", name, TABLE)
    path = folder / f"{name}.json"
    try:
        return Card(**json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError) as error:
        raise WeightsError(f"the card {path} cannot be read ({error}); install mango again") from error


def load(name: str, folder: Path = FOLDER, after: int | None = None) -> nn.Module:
    """The network with its trained weights, in eval mode, on the CPU.

    Args:
        name: of the model.
        folder: of its files.
        after: iterations of its training, one of `moments`; by default the trained network.

    Raises:
        UnknownName: no such model.
        InputError: its weights at that moment were not kept.
        WeightsError: the file is missing, damaged, or not the one of the card.
    """
    from safetensors.torch import load as parse

    described = card(name, folder)
    if after is None:
        weights = parse(_verified(described, f"{name}.safetensors", folder))
    else:
        kept = moments(name, folder)
        if after not in kept:
            known = f"after {', '.join(map(str, kept))} iterations" if kept else "at the end of its training only"
            raise InputError(f"{name} is known {known}; got after={after}")
        every = parse(_verified(described, f"{name}.training.safetensors", folder))
        weights = {key.partition("/")[2]: value for key, value in every.items() if key.startswith(f"{after}/")}
    module, _, cls = TABLE[name].partition(":")
    network: nn.Module = getattr(import_module(f"mango.networks.{module}"), cls)(**described.options)
    network.load_state_dict(weights)
    return network.eval().requires_grad_(False)


def moments(name: str, folder: Path = FOLDER) -> list[int]:
    """Iterations of a model's training after which its weights were kept, from 0 on; mostly none.

    Raises:
        UnknownName: no such model.
        WeightsError: the file is missing, damaged, or not the one of the card.
    """
    from safetensors.numpy import load as parse

    described, file = card(name, folder), f"{name}.training.safetensors"
    if file not in described.sha256:
        return []
    return sorted({int(key.partition("/")[0]) for key in parse(_verified(described, file, folder))})


def nature(name: str, folder: Path = FOLDER) -> dict[str, NDArray[Any]]:
    """What natural images do to the model: named arrays, described where they are published.

    Raises:
        WeightsError: the file is missing, damaged, or not the one of the card.
    """
    from safetensors.numpy import load as parse

    arrays: dict[str, NDArray[Any]] = parse(_verified(card(name, folder), f"{name}.nature.safetensors", folder))
    return arrays


def verify(name: str, folder: Path = FOLDER) -> int:
    """How many files a model has, all of them looked at.

    Raises:
        UnknownName: no such model.
        WeightsError: a file is missing, damaged, or not the one of the card.
    """
    described = card(name, folder)
    for file in described.sha256:
        _verified(described, file, folder)
    return len(described.sha256)


def size(name: str, folder: Path = FOLDER) -> int:
    """Bytes of a model's files, the card aside.

    Raises:
        UnknownName: no such model.
        WeightsError: the card or a file is missing.
    """
    try:
        return sum((folder / file).stat().st_size for file in card(name, folder).sha256)
    except OSError as error:
        raise WeightsError(f"a file of {name} is missing ({error}); install mango again") from error


def round_to_half(network: nn.Module) -> None:
    """Rounds weights and buffers to what float16 can hold, in place; they stay float32.

    What is measured after that holds for what `publish` writes, which is half as large.

    Raises:
        InputError: a value is not finite or lies beyond float16; nothing was rounded.
    """
    import torch

    largest = torch.finfo(torch.float16).max
    parts = {name: value for name, value in network.state_dict().items() if value.is_floating_point()}
    for name, value in parts.items():
        if not bool((value.abs() <= largest).all()):
            found = float(value.abs().max())
            raise InputError(f"{name} holds {found:g}; float16 holds numbers up to {largest:g}: publish it unrounded")
    for value in parts.values():
        value.copy_(value.half())


def publish(
    described: Card,
    network: nn.Module,
    arrays: dict[str, NDArray[Any]],
    folder: Path = FOLDER,
    states: Mapping[int, Mapping[str, Tensor]] | None = None,
) -> Card:
    """Writes a model's files into ``folder``; the card's ``sha256`` is filled in.

    ``described.sha256`` may be empty; everything else is kept as it is. Weights go into float16 where that loses
    nothing (see `round_to_half`); `load` gives back the same numbers in the network's own precision.

    Args:
        described: the card.
        network: with its trained weights.
        arrays: what natural images do to it.
        folder: to write into.
        states: iterations of the training -> the network's state after them.
    """
    from safetensors.numpy import save as pack_arrays
    from safetensors.torch import save as pack_weights

    weights = {key: _packed(value.contiguous().cpu()) for key, value in network.state_dict().items()}
    every = {
        f"{after}/{key}": _packed(value.contiguous().cpu())
        for after, state in (states or {}).items()
        for key, value in state.items()
    }
    contiguous = {key: np.ascontiguousarray(value) for key, value in arrays.items()}
    parts: dict[str, Callable[[], bytes]] = {
        f"{described.name}.safetensors": lambda: pack_weights(weights),
        f"{described.name}.nature.safetensors": lambda: pack_arrays(contiguous),
    }
    if every:
        parts[f"{described.name}.training.safetensors"] = lambda: pack_weights(every)
    digests = {}
    for file, pack in parts.items():
        content = pack()
        (folder / file).write_bytes(content)
        digests[file] = hashlib.sha256(content).hexdigest()
    complete = Card(**{**asdict(described), "sha256": digests})
    text = json.dumps(asdict(complete), indent=2) + "\n"
    (folder / f"{described.name}.json").write_text(text, encoding="utf-8")
    return complete


def _packed(weights: Tensor) -> Tensor:
    """The same numbers in float16, where it holds every one of them."""
    if not weights.is_floating_point():
        return weights
    half = weights.half()
    return half if bool((half.to(weights.dtype) == weights).all()) else weights


def _verified(described: Card, file: str, folder: Path) -> bytes:
    path = folder / file
    try:
        content = path.read_bytes()
    except OSError as error:
        raise WeightsError(f"the file {path} cannot be read ({error}); install mango again") from error
    digest, expected = hashlib.sha256(content).hexdigest(), described.sha256.get(file)
    if digest != expected:
        raise WeightsError(
            f"{path} is not the file of its card: SHA-256 {digest}, expected {expected}; install mango again"
        )
    return content
