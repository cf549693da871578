"""Two networks that are trained against each other: a generator and a discriminator of images, in turn.

One iteration is a step of the discriminator and a step of the generator, both Adam's without momentum, with the hinge
loss (Lim and Ye 2017, arXiv 1705.02894). What is kept is an exponential moving average of the generator's weights
(Yazici et al. 2019, arXiv 1806.04498). Batch i depends on (seed, i) alone, as in `experiments.train.loop`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from rich.progress import Progress
from torch import Tensor, nn
from torch.nn import functional as F

from experiments.train import checkpoint
from experiments.train.loop import COLUMNS, augmented, drawn, generator_of

BETAS = (0.0, 0.9)  # of Adam (Miyato et al. 2018, table 1, settings C to F)


@dataclass(frozen=True)
class Duel:
    """What is trained, and how.

    Attributes:
        generator: network whose average is kept.
        average: a network like it, which becomes the average.
        discriminator: images ``(n, 3, h, w)`` in [0, 1] to scores ``(n,)``.
        draw: makes a batch: a network of the generator's kind, natural images ``(n, 3, h, w)`` in [0, 1] and random
            numbers to images as large.
        other: a further loss of the generator, from its images and the natural ones; the same for every discriminator.
        iterations: of both; the rates fall linearly over the second half, to nothing.
        batch: images.
        rates: of generator and discriminator (two time scales, Heusel et al. 2017, arXiv 1706.08500).
        decay: of the average, which starts with the first weights.
        weight: of the adversarial loss beside the other.
    """

    generator: nn.Module
    average: nn.Module
    discriminator: nn.Module
    draw: Callable[[nn.Module, Tensor, torch.Generator], Tensor]
    iterations: int
    other: Callable[[Tensor, Tensor], Tensor] | None = None
    batch: int = 64
    rates: tuple[float, float] = (2e-4, 4e-4)
    decay: float = 0.999
    weight: float = 1.0

    def rate_at(self, iteration: int, rate: float) -> float:
        """A learning rate at an iteration, ``rate`` being the first."""
        return rate * min(1.0, 2 * (1 - iteration / self.iterations))


def train(duel: Duel, images: Tensor, *, seed: int, out: Path, every: int) -> None:
    """Trains from the checkpoint in ``out`` where there is one; at the end the average is in eval mode.

    Args:
        duel: its networks on their device, in the state that the seed gave them.
        images: uint8 ``(n, 3, h, w)``.
        seed: of batches, mirroring and whatever is drawn.
        out: folder of ``checkpoint.safetensors``.
        every: iterations between two checkpoints.
    """
    out.mkdir(parents=True, exist_ok=True)
    path = out / "checkpoint.safetensors"
    networks = {"generator": duel.generator, "average": duel.average, "discriminator": duel.discriminator}
    optimizers = {
        name: torch.optim.Adam(networks[name].parameters(), rate, BETAS)
        for name, rate in zip(("generator", "discriminator"), duel.rates, strict=True)
    }
    duel.average.load_state_dict(duel.generator.state_dict())
    first = 0
    if path.exists():
        state = checkpoint.load(path)
        first = state["iteration"]
        for name, part in (networks | _named(optimizers)).items():
            part.load_state_dict(state[name])
    device = next(duel.generator.parameters()).device
    for network in networks.values():
        network.train()
    with Progress(*COLUMNS) as progress:
        bar = progress.add_task("adversarial", total=duel.iterations, completed=first, loss="")
        smooth = [1.0, 0.0]
        for i in range(first, duel.iterations):
            for optimizer, rate in zip(optimizers.values(), duel.rates, strict=True):
                optimizer.param_groups[0]["lr"] = duel.rate_at(i, rate)
            random = generator_of(seed, 0, i, 1)
            natural = augmented(images[drawn(len(images), duel.batch, (seed, 0, i))].float() / 255, 0, random)
            natural = natural.to(device).contiguous(memory_format=torch.channels_last)
            losses = _step(duel, natural, random, optimizers)
            smooth = [0.98 * old + 0.02 * new for old, new in zip(smooth, losses, strict=True)]
            progress.update(bar, completed=i + 1, loss="discriminator {:.3f}, generator {:.3f}".format(*smooth))
            if (i + 1) % every == 0 or i + 1 == duel.iterations:
                parts = networks | _named(optimizers)
                kept = {name: part.state_dict() for name, part in parts.items()}
                checkpoint.save(path, kept | {"iteration": i + 1})
    duel.average.eval()


def _step(
    duel: Duel, natural: Tensor, random: torch.Generator, optimizers: dict[str, torch.optim.Adam]
) -> tuple[float, float]:
    """One iteration; the losses of discriminator and generator."""
    with torch.no_grad():
        drawn = duel.draw(duel.generator, natural, random)
    optimizers["discriminator"].zero_grad(set_to_none=True)
    scores, against = duel.discriminator(torch.cat([natural, drawn])).split(len(natural))
    discerned = F.relu(1 - scores).mean() + F.relu(1 + against).mean()
    discerned.backward()
    optimizers["discriminator"].step()

    duel.discriminator.requires_grad_(False)
    optimizers["generator"].zero_grad(set_to_none=True)
    drawn = duel.draw(duel.generator, natural, random)
    loss = -duel.weight * duel.discriminator(drawn).mean()
    if duel.other is not None:
        loss = loss + duel.other(drawn, natural)
    loss.backward()
    optimizers["generator"].step()
    duel.discriminator.requires_grad_(True)
    _follow(duel.average, duel.generator, duel.decay)
    return float(discerned.detach()), float(loss.detach())


@torch.no_grad()
def _follow(average: nn.Module, network: nn.Module, decay: float) -> None:
    """Moves an average towards a network by a share of ``1 - decay``; what is no parameter is copied."""
    for old, new in zip(average.parameters(), network.parameters(), strict=True):
        old.lerp_(new, 1 - decay)
    for old, new in zip(average.buffers(), network.buffers(), strict=True):
        old.copy_(new)


def _named(optimizers: dict[str, torch.optim.Adam]) -> dict[str, torch.optim.Adam]:
    """Under the names that they have in a checkpoint."""
    return {f"{name}_optimizer": optimizer for name, optimizer in optimizers.items()}
