"""What every training shares: options, seeded batches, augmentation, checkpoints that resume exactly, a progress bar.

A training is a list of phases; one phase is a number of iterations with its own loss and its own optimizer. Batch i of
a phase depends on (seed, phase, i) alone, so a run that was killed continues with the batches it would have had.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from importlib.metadata import version
from pathlib import Path
from platform import python_version
from typing import Any

import torch
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from torch import Tensor, nn

from experiments.train import checkpoint
from mango.zoo import Card

DATA = "CIFAR-10 (Krizhevsky 2009), JPEG-encoded at quality about 75: figures lie a little below published ones"
COLUMNS = (
    TextColumn("{task.description}"),
    BarColumn(),
    MofNCompleteColumn(),
    TimeRemainingColumn(),
    TextColumn("{task.fields[loss]}"),
)


@dataclass(frozen=True)
class Phase:
    """``iterations`` steps of ``loss(images, labels)``, the rate falling by a cosine to a hundredth.

    Steps are AdamW's, or with ``momentum`` those of gradient descent with Nesterov's momentum.
    """

    name: str
    iterations: int
    rate: float
    loss: Callable[[Tensor, Tensor], Tensor]
    batch: int = 128
    shift: int = 4  # pixels by which an image may move; images are mirrored in any case
    weight_decay: float = 0.0
    momentum: float | None = None
    warmup: int = 0  # iterations over which the rate first rises linearly
    augment: Callable[[Tensor, torch.Generator], Tensor] | None = None  # of stimuli that are no images, in their place

    def rate_at(self, iteration: int) -> float:
        """The learning rate of an iteration."""
        if iteration < self.warmup:
            return self.rate * (iteration + 1) / self.warmup
        done = (iteration - self.warmup) / (self.iterations - self.warmup)
        return self.rate * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * done)))


def arguments(description: str, *, images: bool = True, **defaults: Any) -> argparse.ArgumentParser:
    """The options that every training takes.

    Args:
        description: of the training.
        images: whether it learns from a folder of images, which is then to be named.
        defaults: integer or float options of its own.
    """
    parser = argparse.ArgumentParser(description=description)
    if images:
        parser.add_argument("--data", type=Path, required=True, help="folder that holds CIFAR-10")
    parser.add_argument("--out", type=Path, required=True, help="folder of the checkpoint and the result")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--device", default="auto", help="cpu, cuda or auto")
    parser.add_argument("--threads", type=int, default=1, help="CPU threads; part of what makes a run repeat")
    parser.add_argument("--every", type=int, default=200, help="iterations between two checkpoints")
    parser.add_argument("--limit", type=int, default=None, help="use only so many training images (a trial run)")
    for name, value in defaults.items():
        parser.add_argument(f"--{name.replace('_', '-')}", type=type(value), default=value)
    return parser


def device_of(name: str) -> torch.device:
    """``auto`` takes a GPU where there is one."""
    return torch.device(("cuda" if torch.cuda.is_available() else "cpu") if name == "auto" else name)


def train(
    model: nn.Module,
    images: Tensor,
    labels: Tensor,
    phases: list[Phase],
    *,
    seed: int,
    out: Path,
    every: int,
    kept: Sequence[int] = (),
) -> None:
    """Runs the phases, from the checkpoint in ``out`` where there is one.

    Args:
        model: on its device, in the state that the seed gave it.
        images: uint8 ``(n, 3, h, w)``.
        labels: int64 ``(n,)``.
        phases: what to do, in order.
        seed: of the batches and the augmentation.
        out: folder of ``checkpoint.safetensors``.
        every: iterations between two checkpoints.
        kept: iterations, counted over all phases, after which the model's state is kept for good; see `kept_state`.
    """

    def keep(done: int) -> None:
        if done in kept:
            checkpoint.save(_kept(out, done), model.state_dict())

    out.mkdir(parents=True, exist_ok=True)
    path = out / "checkpoint.safetensors"
    start_phase, start, saved = 0, 0, None
    if path.exists():
        state = checkpoint.load(path)
        model.load_state_dict(state["model"])
        start_phase, start, saved = state["phase"], state["iteration"], state["optimizer"]
    device = next(model.parameters()).device
    with Progress(*COLUMNS) as progress:
        for p, phase in enumerate(phases):
            before = sum(earlier.iterations for earlier in phases[:p])
            if p < start_phase:
                continue
            optimizer = _optimizer(model, phase)
            first = 0
            if p == start_phase and saved is not None:
                optimizer.load_state_dict(saved)
                first = start
            bar = progress.add_task(phase.name, total=phase.iterations, completed=first, loss="")
            smooth = math.nan
            model.train()
            keep(before + first)
            for i in range(first, phase.iterations):
                for group in optimizer.param_groups:
                    group["lr"] = phase.rate_at(i)
                x, y = _batch(images, labels, phase, (seed, p, i), device)
                optimizer.zero_grad(set_to_none=True)
                loss = phase.loss(x, y)
                loss.backward()
                nn.utils.clip_grad_norm_(model.parameters(), 5.0)
                optimizer.step()
                value = float(loss.detach())
                smooth = value if math.isnan(smooth) else 0.98 * smooth + 0.02 * value
                progress.update(bar, completed=i + 1, loss=f"loss {smooth:.4f}")
                keep(before + i + 1)
                if (i + 1) % every == 0 or i + 1 == phase.iterations:
                    last = i + 1 == phase.iterations
                    checkpoint.save(
                        path,
                        {
                            "model": model.state_dict(),
                            "optimizer": None if last else optimizer.state_dict(),
                            "phase": p + 1 if last else p,
                            "iteration": 0 if last else i + 1,
                        },
                    )
    model.eval()


def kept_state(out: Path, done: int) -> dict[str, Any]:
    """The model's state after so many iterations, where `train` kept it."""
    return checkpoint.load(_kept(out, done))


@contextmanager
def statistics_taken(network: nn.Module) -> Iterator[None]:
    """Sets every batch norm to the plain mean over the batches that go through the network within; then eval mode.

    What was measured in the training is not that of weights that are an average of many, nor of a training's beginning.
    """
    for layer in network.modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.reset_running_stats()
            layer.momentum = None
    network.train()
    with torch.no_grad():
        yield
    network.eval()


def card(
    name: str,
    summary: str,
    options: argparse.Namespace,
    figures: dict[str, float],
    notes: str,
    *,
    module: str,
    network: Mapping[str, Any] | None = None,
    data: str = DATA,
) -> Card:
    """The card of a trained model; digests are filled in when it is published.

    Args:
        name: of the model.
        summary: one line.
        options: of the command line.
        figures: what the model is worth.
        notes: what a user should know of it.
        module: of ``experiments.train`` that trained it.
        network: options of the network's class.
        data: that it was trained on.
    """
    folder = "--data DIR " if hasattr(options, "data") else ""
    settings = [f"--{key.replace('_', '-')} {value}" for key, value in vars(options).items() if value is not None]
    hidden = ("--data", "--out", "--device", "--every")
    return Card(
        name=name,
        summary=summary,
        options=dict(network or {}),
        data=data,
        command=f"python -m experiments.train.{module} {folder}--out DIR "
        + " ".join(part for part in settings if not part.startswith(hidden)),
        seed=options.seed,
        device=device_of(options.device).type,
        versions={part: version(part) for part in ("torch", "snntorch", "numpy")} | {"python": python_version()},
        date=date.today().isoformat(),
        licence="MIT",
        figures=figures,
        notes=notes,
        sha256={},
    )


def drawn(count: int, size: int, key: tuple[int, int, int]) -> Tensor:
    """Which of ``count`` images make the batch of (seed, phase, iteration): all come once before any comes again."""
    seed, phase, i = key
    epoch, place = divmod(i, max(1, count // size))
    return torch.randperm(count, generator=generator_of(seed, phase, epoch, 0))[place * size : (place + 1) * size]


def augmented(x: Tensor, shift: int, generator: torch.Generator) -> Tensor:
    """Mirrors with probability one half, shifts by up to ``shift`` pixels with reflected borders."""
    n, _, h, w = x.shape
    mirrored = torch.rand(n, generator=generator) < 0.5
    x = torch.where(mirrored[:, None, None, None], x.flip(-1), x)
    if shift == 0:
        return x
    padded = nn.functional.pad(x, (shift,) * 4, mode="reflect")
    top, left = torch.randint(0, 2 * shift + 1, (2, n), generator=generator)
    rows = (top[:, None] + torch.arange(h))[:, :, None]
    columns = (left[:, None] + torch.arange(w))[:, None, :]
    return padded[torch.arange(n)[:, None, None], :, rows, columns].permute(0, 3, 1, 2)


def generator_of(*key: int) -> torch.Generator:
    """Random numbers that depend on the key alone."""
    mixed = 0
    for part in key:
        mixed = (mixed * 1_000_003 + part + 1) % (2**63 - 1)
    return torch.Generator().manual_seed(mixed)


def _kept(out: Path, done: int) -> Path:
    return out / f"after-{done}.safetensors"


def _optimizer(model: nn.Module, phase: Phase) -> torch.optim.Optimizer:
    if phase.momentum is None:
        return torch.optim.AdamW(model.parameters(), phase.rate, weight_decay=phase.weight_decay)
    return torch.optim.SGD(
        model.parameters(), phase.rate, phase.momentum, weight_decay=phase.weight_decay, nesterov=True
    )


def _batch(
    images: Tensor, labels: Tensor, phase: Phase, key: tuple[int, int, int], device: torch.device
) -> tuple[Tensor, Tensor]:
    seed, phase_number, i = key
    index = drawn(len(images), phase.batch, (seed, phase_number, i))
    generator = generator_of(seed, phase_number, i, 1)
    if phase.augment is not None:
        return phase.augment(images[index], generator).to(device), labels[index].to(device)
    x = images[index].float() / 255
    x = augmented(x, phase.shift, generator)
    x = x.to(device).contiguous(memory_format=torch.channels_last)
    return x, labels[index].to(device)
