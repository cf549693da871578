"""Flipped spikes, layer by layer: mango against the package's own loop, and that loop against itself.

The reference is the loop at batches of 16. Where nothing but the batch size changes, torch may add in another order,
a neuron near its threshold spikes otherwise, and the layers above follow: that is the loop against itself, over the
same images at batches of 1, 2, 4 (the first 16 images) and 64. Mango is given all images at once, 16 at a time.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from experiments.benchmarks.spiking import networks, ways
from mango.targets.spiking import kernels

IMAGES = 64
REFERENCE = 16  # the batch size of the reference
SMALL = (1, 2, 4)
Trains = dict[str, Tensor]


def measure(case_name: str, kind: str, data: str | None, *, images: int = IMAGES,
            small: Sequence[int] = SMALL) -> dict[str, Any]:  # fmt: skip
    """Flips of one network on images of one kind; a row for each layer.

    Args:
        case_name: in ``networks.TABLE``.
        kind: natural, generated or random.
        data: folder of CIFAR-10, or None.
        images: how many; more than the reference's batch are shown to the loop all at once, too.
        small: batch sizes at which the first of them are shown to the loop.
    """
    torch.set_num_threads(1)
    case = networks.TABLE[case_name]
    stimuli = case.shown(kind, images, data)
    with warnings.catch_warnings(record=True) as complaints:
        warnings.simplefilter("always")
        fast = ways.target(case)
    network = ways.brought(case)
    shown = case.preprocess(stimuli)
    if case.channels_last:
        shown = shown.contiguous(memory_format=torch.channels_last)
    reference = own_trains(case, network, list(fast.layers), shown, REFERENCE)
    rows = [
        {
            "layer": layer,
            "compared": train.numel(),
            "spikes": int(train.sum()),
            "mango": _flips(train, _fast_train(fast, layer, stimuli)),
            "loop": {},
        }
        for layer, train in reference.items()
    ]
    for batch in [*small, *((images,) if images > REFERENCE else ())]:
        some = shown if batch == images else shown[:REFERENCE]
        trains = own_trains(case, network, list(fast.layers), some, batch)
        for row in rows:
            of_reference = reference[row["layer"]][:, : len(some)]
            row["loop"][str(batch)] = [_flips(of_reference, trains[row["layer"]]), of_reference.numel()]
    return {
        "network": case_name,
        "kind": kind,
        "images": images,
        "engine": fast.check is not None,
        "kernels": kernels.active(),
        "warnings": [str(complaint.message) for complaint in complaints],
        "rows": rows,
    }


def own_trains(case: networks.Case, network: nn.Module, layers: Sequence[str], shown: Tensor, batch: int) -> Trains:
    """Spikes ``(steps, n, ...)`` of each layer, as the network's own loop makes them."""
    rates = ways.own_loop(case, network)
    noted: dict[str, list[Tensor]] = {layer: [] for layer in layers}

    def note(layer: str) -> Any:
        def hook(_module: nn.Module, _given: Any, output: Any) -> None:
            noted[layer].append((output[0] if isinstance(output, tuple) else output) > 0)

        return hook

    hooks = [network.get_submodule(layer).register_forward_hook(note(layer)) for layer in layers]
    parts: dict[str, list[Tensor]] = {layer: [] for layer in layers}
    with torch.no_grad():
        for begin in range(0, len(shown), batch):
            rates(shown[begin : begin + batch])
            for layer in layers:
                parts[layer].append(torch.stack(noted[layer]))
                noted[layer].clear()
    for hook in hooks:
        hook.remove()
    return {layer: torch.cat(trains, 1) for layer, trains in parts.items()}


def per_million(flips: int, compared: int) -> float:
    """Flips in a million of what was compared: neurons times steps times images."""
    return 1e6 * flips / max(1, compared)


def worst(row: dict[str, Any]) -> float:
    """Flips per million of the loop against itself, at the batch size where it flips most."""
    return max((per_million(*counts) for counts in row["loop"].values()), default=0.0)


def _fast_train(fast: Any, layer: str, stimuli: Tensor) -> Tensor:
    """Spikes of a whole layer by mango, ``(steps, n, ...)``; its read-outs are made of these."""
    parts = []
    with torch.inference_mode():
        for begin in range(0, len(stimuli), REFERENCE):
            inputs = fast._inputs(stimuli[begin : begin + REFERENCE], None)
            parts.append(fast._activity(inputs, layer, ()).spikes > 0)
    return torch.cat(parts, 1)


def _flips(reference: Tensor, found: Tensor) -> int:
    return int((reference != found).sum())
