"""The units of the benchmark, drawn by a seed from natural responses alone and written down before any search.

    python -m experiments.benchmarks.stimuli.units [--network NAME]       # writes NAME's units into units.json

Of each layer the channels are sorted by their natural maximum and cut into as many equal strata as it gets pairs; two
are drawn from each stratum, one to tune methods on and one to report. Left out are silent units (fewer than one natural
image in a thousand makes them spike), saturated ones (some natural image already makes them spike at every step), and
those on which methods were tried before this benchmark was.

Another network of the zoo needs no other code: its layers are those of which ``NAME.nature.safetensors`` holds
``LAYER.channel.rate``, with the rows maximum, 99.9th percentile, median and share of silent images.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from mango import zoo
from mango.errors import InputError

NETWORK = "snn-cifar10"
FILE = Path(__file__).with_name("units.json")
PAIRS = 12  # of one unit to tune and one to report
SEED = 4
TRIED = {"snn-cifar10": ("lif3/17", "lif2/7", "output/3")}  # `auto` was made on them
PARTS = ("tune", "report")


@dataclass(frozen=True)
class Unit:
    """One unit, and what natural test images do to it in spikes per step.

    Attributes:
        network: of the zoo.
        name: ``LAYER/NUMBER``.
        part: ``"tune"`` or ``"report"``.
        natural_median, natural_maximum: over the test images.
    """

    network: str
    name: str
    part: str
    natural_median: float
    natural_maximum: float

    @property
    def target(self) -> str:
        """As `make_target` takes it."""
        return f"{self.network}:{self.name}"


def draw(network: str, pairs: int = PAIRS, seed: int = SEED) -> list[Unit]:
    """The units of a network of the zoo.

    Raises:
        InputError: the network has too few proper units in some layer, or its nature holds no responses of channels.
        WeightsError: the zoo's files are missing or damaged.
    """
    ending = ".channel.rate"
    nature = {name.removesuffix(ending): t for name, t in zoo.nature(network).items() if name.endswith(ending)}
    if not nature:
        raise InputError(f"the zoo holds no natural responses of channels of {network}")
    rng = np.random.default_rng(seed)
    layers = sorted(nature)
    found = []
    for place, layer in enumerate(layers):
        maximum, p999, median, _ = (row.astype(np.float64) for row in nature[layer])
        tried = {int(n.partition("/")[2]) for n in TRIED.get(network, ()) if n.partition("/")[0] == layer}
        proper = [i for i in np.flatnonzero((p999 > 0) & (maximum < 1)).tolist() if i not in tried]
        strata = (pairs * (place + 1)) // len(layers) - (pairs * place) // len(layers)
        if len(proper) < 2 * strata:
            raise InputError(f"{network}: {layer} has {len(proper)} proper units; {2 * strata} are needed")
        ordered = sorted(proper, key=lambda i: (maximum[i], i))
        for stratum in np.array_split(ordered, strata):
            for part, i in zip(PARTS, rng.choice(stratum, 2, replace=False).tolist(), strict=True):
                found.append(Unit(network, f"{layer}/{i}", part, float(median[i]), float(maximum[i])))
    return found


def load(network: str = NETWORK, file: Path = FILE) -> list[Unit]:
    """The units of a network as they were written down.

    Raises:
        InputError: none were.
    """
    units = [Unit(**row) for row in json.loads(file.read_text()) if row["network"] == network]
    if not units:
        raise InputError(
            f"no units of {network} are written down; "
            f"draw them: python -m experiments.benchmarks.stimuli.units --network {network}"
        )
    return units


def main(arguments: list[str] | None = None) -> None:
    """Adds a network's units to the file; units that it holds already stay as they are."""
    parser = argparse.ArgumentParser(prog="python -m experiments.benchmarks.stimuli.units", description=__doc__)
    parser.add_argument("--network", default=NETWORK)
    parser.add_argument("--file", type=Path, default=FILE)
    chosen = parser.parse_args(arguments)
    rows = json.loads(chosen.file.read_text()) if chosen.file.exists() else []
    if any(row["network"] == chosen.network for row in rows):
        raise SystemExit(f"{chosen.file.name} holds units of {chosen.network} already; they are drawn once")
    rows += [asdict(unit) for unit in draw(chosen.network)]
    chosen.file.write_text("[\n" + ",\n".join(f" {json.dumps(row)}" for row in rows) + "\n]\n")


if __name__ == "__main__":
    main()
