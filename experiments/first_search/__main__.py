"""``python -m experiments.first_search``: ten outputs and ten seeded units of each hidden layer, one search each.

Searches run side by side on Ray, one on each core. Every finished one is kept in the output folder, so that a run that
was stopped goes on; at the end the table and the picture are drawn.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
import ray
from numpy.typing import NDArray
from rich.progress import track

from experiments.first_search.report import draw, table
from mango.evaluators import LocalEvaluator
from mango.generators import make_generator
from mango.naturalness import percentile
from mango.running import run
from mango.study import Study
from mango.targets.spiking import SpikingTarget
from mango.targets.spiking.cifar10 import network
from mango.targets.spiking.nature import NETWORKS

GENERATOR = "vqvae-cifar10"
NETWORK = "snn-cifar10"
LAYERS = NETWORKS[NETWORK].layers
UNITS = 10  # of each hidden layer


def main(argv: list[str] | None = None) -> None:
    """Runs what is missing in the output folder, then writes ``table.md``, ``results.json`` and two pictures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("runs/first_search"))
    parser.add_argument("--budget", type=int, default=1_000)
    parser.add_argument("--optimizer", default="auto")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--smoke", action="store_true", help="two units, 40 evaluations")
    options = parser.parse_args(argv)
    options.out.mkdir(parents=True, exist_ok=True)
    chosen = units(options.seed)
    if options.smoke:
        chosen, options.budget = [chosen[0], chosen[-1]], 40
    missing = [unit for unit in chosen if not _file(options.out, unit).exists()]
    ray.init(num_cpus=options.workers, include_dashboard=False, log_to_driver=False, ignore_reinit_error=True)
    try:
        task = ray.remote(num_cpus=1)(search)
        waiting = [task.remote(unit, options.optimizer, options.budget, options.seed) for unit in missing]
        for _ in track(missing, description="units"):
            (ready,), waiting = ray.wait(waiting)
            result = ray.get(ready)
            _file(options.out, result["unit"]).write_text(json.dumps(result))
    finally:
        ray.shutdown()
    results = [json.loads(_file(options.out, unit).read_text()) for unit in chosen]
    uniform = uniform_maxima(16 if options.smoke else None)
    for result in results:
        layer, _, number = result["unit"].partition("/")
        result["uniform_maximum"] = float(uniform[layer][int(number)])
    (options.out / "results.json").write_text(json.dumps(results, indent=1) + "\n")
    (options.out / "table.md").write_text(table(results))
    (options.out / "units.png").write_bytes(draw(results, GENERATOR, "ten outputs, ten channels of each hidden layer"))
    outputs = [result for result in results if result["unit"].startswith("output/")]
    (options.out / "outputs.png").write_bytes(draw(outputs, GENERATOR, "the ten outputs"))
    print(table(results))


def units(seed: int) -> list[str]:
    """All outputs, and `UNITS` channels of each hidden layer drawn by the seed."""
    rng = np.random.default_rng(seed)
    chosen = []
    for layer, (size, *_) in LAYERS.items():
        numbers = range(size) if layer == "output" else sorted(rng.choice(size, UNITS, replace=False).tolist())
        chosen += [f"{layer}/{number}" for number in numbers]
    return chosen


def search(unit: str, optimizer: str, budget: int, seed: int) -> dict[str, Any]:
    """One search, as plain data."""
    evaluator = LocalEvaluator(GENERATOR, f"{NETWORK}:{unit}")
    generator: Any = evaluator.generator
    nature = evaluator.target.summary  # type: ignore[attr-defined]
    with Study(generator, budget=budget, optimizer=optimizer, seed=seed) as study:
        run(study, evaluator)
        values = np.array([record.value for record in study.trials()])
        best = study.best()
        beaten = np.flatnonzero(values > nature["natural_maximum"])
        assert best is not None
        return {
            "unit": unit,
            **nature,
            "best": best.value,
            "code": best.code.tolist(),
            "trial": best.number,
            "first_above_nature": int(beaten[0]) + 1 if len(beaten) else None,
            "percentile": float(percentile(np.array([best.log_prior]), generator.log_prior_quantiles)[0]),
            "evaluations": len(values),
            "responded": bool((values != values[0]).any()),
        }


def uniform_maxima(first: int | None) -> dict[str, NDArray[np.float64]]:
    """Largest rate of every channel over the codes that are the same label everywhere, all or the first, by layer."""
    generator = make_generator(GENERATOR)
    labels = np.arange(generator.space.levels[0])[:first]
    images = generator.decode(np.repeat(labels[:, None], generator.space.dim, axis=1))
    return {layer: SpikingTarget(network(NETWORK), layer).record(images).max(0) for layer in LAYERS}


def _file(out: Path, unit: str) -> Path:
    return out / f"{unit.replace('/', '-')}.json"


if __name__ == "__main__":
    main()
