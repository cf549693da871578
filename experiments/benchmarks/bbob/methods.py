"""What is compared: each method searches one problem, a function to minimise, with a number of evaluations and a seed.

Each is at its defaults. `auto` is asked for one point at a time, as the others ask themselves. pycma restarts as its
authors do on BBOB: BIPOP with up to nine doublings, a first step of 2, from the middle of the box, which is COCO's own
proposal. NGOpt begins at the middle of the box, too. It gets the box as bounds, which it plans by; and, as another
method, no bounds, as Nevergrad's own benchmarks have it: told bounds, its CMA-ES begins with .15 of the usual step.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

LOW, HIGH = -5.0, 5.0
Problem = Callable[[Any], float]
Method = Callable[[Problem, int, int, int], None]  # problem, axes, evaluations, seed


def mango(name: str) -> Method:
    """One of mango's optimizers, on the box or, for PBO, on the binary grid."""

    def search(problem: Problem, dim: int, budget: int, seed: int, *, binary: bool = False) -> None:
        from mango import SearchSpace, make_optimizer

        space = SearchSpace.grid(dim, 2) if binary else SearchSpace.box(dim, LOW, HIGH)
        optimizer = make_optimizer(name, space, seed=seed, budget=budget)
        for _ in range(budget):
            ids, codes, _ = optimizer.ask(1)
            optimizer.tell(ids, [-problem(codes[0])])

    return search


def pycma(problem: Problem, dim: int, budget: int, seed: int) -> None:
    """The reference implementation of CMA-ES, with BIPOP restarts."""
    import cma

    options = {"maxfevals": budget, "seed": seed + 1, "verbose": -9}  # to pycma seed 0 means: by the clock
    cma.fmin2(problem, np.zeros(dim), 2.0, options, restarts=9, bipop=True)


def nevergrad(name: str, *, bounded: bool = True) -> Method:
    """One of nevergrad's optimizers by its own loop, told the bounds of the box or not."""

    def search(problem: Problem, dim: int, budget: int, seed: int, *, binary: bool = False) -> None:
        import nevergrad as ng

        if binary:
            parametrization = ng.p.Array(init=np.full(dim, 0.5)).set_bounds(-0.499, 1.499).set_integer_casting()
        else:
            parametrization = ng.p.Array(init=np.zeros(dim))
            if bounded:
                parametrization.set_bounds(LOW, HIGH)
        parametrization.random_state = np.random.RandomState(seed)
        np.random.seed(seed)  # noqa: NPY002 (some of its methods draw from the global generator)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            ng.optimizers.registry[name](parametrization, budget=budget, num_workers=1).minimize(
                lambda point: float(problem(point))
            )

    return search


CONTINUOUS: dict[str, Method] = {
    "auto": mango("auto"),
    "pycma": pycma,
    "NGOpt": nevergrad("NGOpt"),
    "NGOpt-unbounded": nevergrad("NGOpt", bounded=False),
}
BINARY: dict[str, Any] = {
    "auto": mango("auto"),
    "evolution": mango("evolution"),
    "NGOpt": nevergrad("NGOpt"),
    "DiscreteLenglerOnePlusOne": nevergrad("DiscreteLenglerOnePlusOne"),
    "DoubleFastGADiscreteOnePlusOne": nevergrad("DoubleFastGADiscreteOnePlusOne"),
}
