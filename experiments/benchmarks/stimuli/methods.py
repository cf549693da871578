"""The methods by name, in classes of information; they are compared only within one.

``labels``: codes are labels of which nothing is known. ``chart``: embedding and layout of the code book are known, and
with them the chart of low frequencies, which needs no data. ``natural``: codes of natural images are known too, for
charts of principal components and first probes. ``latent``: codes of another generator, the SN-GAN, vectors with a
unit-normal prior. A name is ``CLASS/METHOD``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from importlib.util import find_spec
from typing import Any

import numpy as np

from experiments.benchmarks.stimuli.problems import ADVERSARIAL, GENERATOR, Problem, chart, natural
from experiments.benchmarks.stimuli.searchers import Charted, Listed, Make, Mango, Searcher, Setting, Studied

BOOK = ("labels", "chart", "natural")  # classes of the code book; who is in a later one knows what the earlier ones do
LATENT = "latent"
CLASSES = (*BOOK, LATENT)
GENERATORS = {**dict.fromkeys(BOOK, GENERATOR), LATENT: ADVERSARIAL}
CHARTS = {"chart": "frequencies:64", "natural": "principal:64"}
ALL_NATURAL = 5_000  # natural codes that the zoo holds
SLOW = 1_000  # evaluations at most, of methods that take longer than the network
LEADERS, CONFIRM = 0.1, 0.08  # shares of the evaluations that a study under noise spends on codes it knows
NEVERGRAD = (  # our name, theirs, whether it plans by the budget
    ("NGOpt", "NGOpt", True),
    ("Portfolio", "Portfolio", True),
    ("Lengler", "DiscreteLenglerOnePlusOne", True),
    ("DoubleFastGA", "DoubleFastGADiscreteOnePlusOne", False),
    ("NG CMA", "CMA", True),
)
GENERATION = "defaults; a generation is at least a batch"
DISCRETE = ("DiscreteLenglerOnePlusOne", "DoubleFastGADiscreteOnePlusOne")


@dataclass(frozen=True)
class Method:
    """One method.

    Attributes:
        name: ``CLASS/METHOD``.
        package: to be installed; ``mango`` for our own.
        make: from the setting of a run.
        settings: how it is set, in words.
        plans: whether it is told the budget, and so runs once for each.
        arm: whether it is an arm of `auto`, of which the best in hindsight is a line in the figures.
        most: largest budget of a slow method; None: any.
        repeats: whether it measures codes again, and so runs under noise alone.
    """

    name: str
    package: str
    make: Make
    settings: str = "defaults"
    plans: bool = False
    arm: bool = False
    most: int | None = None
    repeats: bool = False

    @property
    def information(self) -> str:
        """Its class."""
        return self.name.partition("/")[0]

    @property
    def generator(self) -> str:
        """Whose codes it searches."""
        return GENERATORS[self.information]

    @property
    def slow(self) -> bool:
        """Whether it runs on the first unit of each layer alone, and at the large batch alone."""
        return self.most is not None

    @property
    def installed(self) -> bool:
        """Whether its package is."""
        return find_spec(self.package) is not None

    def start(self, problem: Problem, *, seed: int, batch: int, budget: int, noisy: bool) -> Searcher:
        """A search, with what its class may know."""
        setting = Setting(
            space=problem.labels if self.information == "labels" else problem.space,
            seed=seed,
            batch=batch,
            budget=budget if self.plans else None,
            noisy=noisy,
            natural=problem.natural if self.information == "natural" else None,
        )
        return self.make(setting)


def _ours(name: str, chart_name: str | None = None, **options: Any) -> Make:
    return lambda setting: Mango(setting, name, None if chart_name is None else chart(chart_name), **options)


def _studied(name: str) -> Make:
    return lambda setting: Studied(setting, name, leaders=LEADERS, confirm=CONFIRM)


def _peer(module: str, cls: str, chart_name: str | None = None, **options: Any) -> Make:
    """A class of `peers`, imported when it is first made; in a chart where one is named."""

    def make(setting: Setting) -> Searcher:
        found = getattr(import_module(f"experiments.benchmarks.stimuli.peers.{module}"), cls)
        searcher: Searcher = found(setting, **options)
        return searcher

    return make if chart_name is None else lambda setting: Charted(make, setting, chart(chart_name))


def _listed(setting: Setting) -> Searcher:
    codes = natural(ALL_NATURAL)
    return Listed(codes[np.random.default_rng(setting.seed).permutation(len(codes))])


def _methods() -> list[Method]:
    published = "published settings of PROTES, in mango's implementation"
    restarts = "defaults, with restarts; a generation is at least a batch"
    found = [
        Method("labels/auto", "mango", _ours("auto"), plans=True),
        Method("labels/evolution", "mango", _ours("evolution"), arm=True),
        Method("labels/genetic", "mango", _ours("genetic"), "Wang and Ponce's settings"),
        Method("labels/random", "mango", _ours("random")),
        Method("labels/CatCMA", "cmaes", _peer("cmaes", "CatCMA"), GENERATION),
        Method("labels/Optuna TPE", "optuna", _peer("optuna", "Optuna", sampler="TPESampler"), most=SLOW),
        Method("chart/auto", "mango", _ours("auto"), plans=True),
        Method("chart/cma-diagonal", "mango", _ours("cma-diagonal"), "on the embedding of all labels", arm=True),
        Method("natural/auto", "mango", _ours("auto"), plans=True),
        Method("natural/evolution", "mango", _ours("evolution"), "begins with natural codes", arm=True),
        Method("natural/genetic", "mango", _ours("genetic"), "Wang and Ponce's settings; begins with natural codes"),
        Method("natural/natural images", "mango", _listed, "the best of so many"),
    ]
    for information in CLASSES:
        words = f"in a study that shows leaders again ({LEADERS:.0%}) and confirms its choice ({CONFIRM:.0%})"
        found.append(Method(f"{information}/auto repeats", "mango", _studied("auto"), words, plans=True, repeats=True))
    for name in ("tt-m", "tt-s", "tt-b", "tt-exp"):
        found.append(Method(f"labels/{name}", "mango", _ours(name), published))
        found.append(Method(f"chart/{name}", "mango", _ours(name, CHARTS["chart"]), published))
    for name, method, plans in NEVERGRAD:
        peer = partial(_peer, "nevergrad", "Nevergrad", method=method)
        found.append(Method(f"labels/{name}", "nevergrad", peer(), plans=plans))
        for information, coordinates in CHARTS.items():
            if method not in DISCRETE:
                found.append(Method(f"{information}/{name}", "nevergrad", peer(coordinates), plans=plans))
            elif information == "natural":
                words = "defaults; 40 natural codes suggested first, on labels"
                found.append(Method(f"natural/{name}", "nevergrad", peer(natural=True), words, plans))
    for information, coordinates in CHARTS.items():
        found += [
            Method(f"{information}/cma", "mango", _ours("cma", coordinates), arm=True),
            Method(f"{information}/tt", "mango", _ours("tt", coordinates), arm=True),
            Method(f"{information}/pycma", "cma", _peer("pycma", "Pycma", coordinates), restarts),
            Method(f"{information}/cmaes", "cmaes", _peer("cmaes", "Cmaes", coordinates), restarts),
            Method(
                f"{information}/TuRBO-1", "botorch", _peer("turbo", "Turbo", coordinates), "of its paper", most=SLOW
            ),
        ]
        for name, sampler in (("Optuna TPE", "TPESampler"), ("Optuna CMA-ES", "CmaEsSampler")):
            peer = partial(_peer, "optuna", "Optuna", sampler=sampler)
            words = GENERATION if sampler == "CmaEsSampler" else "defaults"
            found.append(Method(f"{information}/{name}", "optuna", peer(coordinates), words, most=SLOW))
    found += _latent(published, restarts)
    found.append(Method("chart/genetic", "mango", _ours("genetic", CHARTS["chart"]), "Wang and Ponce's settings"))
    found.append(Method("chart/random", "mango", _ours("random", CHARTS["chart"])))
    return sorted(found, key=lambda m: CLASSES.index(m.information))


def _latent(published: str, restarts: str) -> list[Method]:
    """Of the SN-GAN's vector; the published Tensor-Train settings search its 64 points on every axis."""
    found = [
        Method("latent/auto", "mango", _ours("auto"), plans=True),
        Method("latent/cma", "mango", _ours("cma"), arm=True),
        Method("latent/cma-diagonal", "mango", _ours("cma-diagonal"), arm=True),
        Method("latent/cma-sphere", "mango", _ours("cma-sphere"), "Wang and Ponce's settings", plans=True, arm=True),
        Method("latent/tt", "mango", _ours("tt"), arm=True),
        Method("latent/evolution", "mango", _ours("evolution")),
        Method("latent/genetic", "mango", _ours("genetic"), "Wang and Ponce's settings"),
        Method("latent/random", "mango", _ours("random")),
        Method("latent/pycma", "cma", _peer("pycma", "Pycma"), restarts),
        Method("latent/cmaes", "cmaes", _peer("cmaes", "Cmaes"), restarts),
        Method("latent/TuRBO-1", "botorch", _peer("turbo", "Turbo"), "of its paper", most=SLOW),
        Method("latent/Optuna TPE", "optuna", _peer("optuna", "Optuna", sampler="TPESampler"), most=SLOW),
        Method(
            "latent/Optuna CMA-ES", "optuna", _peer("optuna", "Optuna", sampler="CmaEsSampler"), GENERATION, most=SLOW
        ),
    ]
    found += [Method(f"latent/{name}", "mango", _ours(name, levels=64), published) for name in ("tt-m", "tt-b")]
    for name, method, plans in NEVERGRAD:
        if method not in DISCRETE:
            found.append(
                Method(f"latent/{name}", "nevergrad", _peer("nevergrad", "Nevergrad", method=method), plans=plans)
            )
    return found


TABLE: Mapping[str, Method] = {method.name: method for method in _methods()}
