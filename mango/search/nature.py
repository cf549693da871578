"""What natural stimuli do to the same unit: the user's images where there are any, reconstructed ones otherwise."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mango.analysis.findings import Floats, Nature, Shown, differing
from mango.datasets import CIFAR10_CLASSES, load_cifar10
from mango.errors import InputError
from mango.evaluators import Evaluator, LocalEvaluator
from mango.generators import natural_codes
from mango.halving import entrants, showings, survivors
from mango.optimizers.base import ranking
from mango.search.evaluator import make_evaluator, show
from mango.search.settings import Settings
from mango.trial import Result, Trial, trial_seed

RECONSTRUCTED = 500  # natural codes
SHOWN = 9
FIRST = 10**12  # number of the first reference, beyond any trial
REFERENCE = 1 << 30  # added to the repeat, so that no reference shares its noise with a trial

Report = Callable[[int, int], None]  # stimuli shown so far, in all


class Chosen(NamedTuple):
    """The natural stimulus in a row that fresh presentations chose, and its mean over so many of them."""

    row: int
    mean: float
    presentations: int


class Gallery(NamedTuple):
    """Images ``(n, 3, 32, 32)`` as uint8, and a name for each."""

    images: NDArray[np.uint8]
    names: list[str]

    def decode(self, codes: NDArray[Any]) -> NDArray[np.float32]:
        """The images whose numbers the codes ``(n, 1)`` are, in [0, 1]."""
        chosen: NDArray[np.uint8] = self.images[codes[:, 0]]
        return chosen.astype(np.float32) / np.float32(255)


def compare(
    settings: Settings,
    generator: Any,
    target: Any,
    evaluator: Evaluator | None = None,
    report: Report = lambda done, total: None,  # noqa: ARG005
) -> Nature:
    """Shows natural stimuli to the target and keeps the best: the same stimuli, and the same noise, for every seed.

    The natural maximum is that of the user's images where a data folder is named; else the one that the target knows
    (of the zoo's 10,000 test images); else that of the reconstructions. Under noise the largest of many values is a
    lucky one: a search that keeps presentations for its final choice has as many choose among the natural stimuli too,
    and the maximum is the mean of the last of these; otherwise the source says that luck is included.

    Args:
        settings: of the search.
        generator: of the search.
        target: of the search.
        evaluator: of the search, where it still has one.
        report: is told how many were shown, and of how many.

    Raises:
        DataError: the data folder cannot be read.
        InputError: its images are not what the generator makes.
        TargetError: the target raised.
    """
    known = getattr(target, "summary", None) or {}
    if settings.data is not None:
        gallery = load_gallery(settings.data)
        if gallery.images.shape[1:] != tuple(generator.stimulus_shape):
            raise InputError(
                f"the images in {settings.data} have the shape {gallery.images.shape[1:]}, the generator's stimuli "
                f"{tuple(generator.stimulus_shape)}; leave --data out"
            )
        codes = np.arange(len(gallery.images))[:, None]
        with make_evaluator(settings, gallery, target) as own:
            values, keys, chosen = _shown(settings, own, codes, report, confirm=settings.confirm)
        shown = _best(values, keys, chosen, lambda rows: gallery.decode(codes[rows]), gallery.names.__getitem__)
        some = np.unique(np.linspace(0, len(codes) - 1, min(RECONSTRUCTED, len(codes))).astype(int))
        encode = getattr(generator, "encode", None)
        encoded = None if encode is None else encode(gallery.decode(codes[some]))
        pairs = _pairs(generator, values[some], encoded)
        source = f"{len(codes):,} natural images"
        return _nature(settings, shown, "natural images", values, chosen, source, {}, pairs)
    if not hasattr(generator, "natural"):
        return Nature(maximum=known.get("natural_maximum"), p999=known.get("natural_p999"))
    codes = natural_codes(generator, RECONSTRUCTED, np.random.default_rng(REFERENCE))
    evaluator = evaluator or LocalEvaluator(generator, target, chunk=settings.chunk)
    values, keys, chosen = _shown(settings, evaluator, codes, report, confirm=0 if known else settings.confirm)
    shown = _best(values, keys, chosen, lambda rows: generator.decode(codes[rows]), lambda i: f"natural code {i}")
    kind = f"reconstructed natural {_things(generator.stimulus_shape)}"
    source = getattr(target, "natural_source", "10,000 test images") if known else f"{len(codes):,} {kind}"
    return _nature(settings, shown, kind, values, chosen, source, known, _pairs(generator, values, codes))


@lru_cache(1)
def load_gallery(folder: str) -> Gallery:
    """The test images of a folder, each with its class and number.

    Raises:
        DataError: the folder cannot be read.
    """
    images, labels = load_cifar10(folder, "test")
    classes = Path(folder) / "test"
    found = sorted(p.name for p in classes.iterdir() if p.is_dir()) if classes.is_dir() else []
    names: Sequence[str] = found or CIFAR10_CLASSES
    known = [names[label] if label < len(names) else f"class {label}" for label in labels.tolist()]
    return Gallery(images, [f"{name} {i}" for i, name in enumerate(known)])


def _things(shape: Sequence[int]) -> str:
    """What stimuli of that shape are."""
    return {2: "series", 3: "images"}.get(len(shape), "stimuli")


def _shown(
    settings: Settings, evaluator: Evaluator, codes: NDArray[Any], report: Report, *, confirm: int
) -> tuple[Floats, Floats, Chosen | None]:
    """Values and keys ``(n,)`` of the stimuli at the codes, and the one that fresh presentations choose, if any do."""
    left, repeats = confirm // settings.repeats, settings.repeats
    shown, total = [0] * len(codes), len(codes) + left  # how often each was shown

    def show_now(rows: list[int]) -> list[Result]:
        trials, before = [], sum(shown)
        for at, row in enumerate(rows, before):
            seeds = tuple(trial_seed(0, row, REFERENCE + shown[row] * repeats + r) for r in range(repeats))
            trials.append(Trial(FIRST + at, 1, codes[row], "natural", seeds))
            shown[row] += 1
        return show(evaluator, trials, lambda done, _: report(before + done, total))

    results = show_now(list(range(len(codes))))
    values, keys = np.array([result.value for result in results]), np.array([result.key for result in results])
    order = [row for row in ranking(values, keys).tolist() if not np.isnan(values[row])]
    return values, keys, _chosen(order[: entrants(left)], left, show_now) if left else None


def _chosen(still: list[int], left: int, show_now: Callable[[list[int]], list[Result]]) -> Chosen | None:
    """The winner among rows on so many fresh trials, as `mango.halving` has it; None where its last ones were lost."""
    fresh: dict[int, list[float]] = {row: [] for row in still}
    while still:
        rows = showings(still, left)
        left -= len(rows)
        last: list[float] = []
        for row, result in zip(rows, show_now(rows), strict=True):
            measured = [value for value in result.values if not np.isnan(value)]
            fresh[row] += measured
            last += measured
        if len(still) == 1:
            return Chosen(still[0], float(np.mean(last)), len(last)) if last else None
        still = survivors(still, np.array([np.mean(fresh[row]) if fresh[row] else np.nan for row in still]))
    return None


def _best(
    values: Floats,
    keys: Floats,
    chosen: Chosen | None,
    decode: Callable[[list[int]], NDArray[Any]],
    name: Callable[[int], str],
) -> list[Shown]:
    """The best natural stimuli, best first; a chosen one leads."""
    first = [] if chosen is None else [chosen.row]
    rows = [*first, *(row for row in ranking(values, keys).tolist() if row not in first)][:SHOWN]
    shown = [Shown(stimulus, values[row], name(row)) for stimulus, row in zip(decode(rows), rows, strict=True)]
    if chosen is not None:
        words = f"{shown[0].caption}, mean of {chosen.presentations:,} fresh presentations"
        shown[0] = replace(shown[0], value=chosen.mean, caption=words)
    return shown


def _pairs(generator: Any, values: Floats, codes: NDArray[Any] | None) -> dict[str, Floats]:
    """Values and log priors of natural stimuli beside one another, where the generator has log priors."""
    if codes is None or not hasattr(generator, "log_prior"):
        return {}
    return {"values": values, "log_priors": np.asarray(generator.log_prior(codes), np.float64)}


def _nature(
    settings: Settings,
    shown: list[Shown],
    kind: str,
    values: Floats,
    chosen: Chosen | None,
    source: str,
    known: dict[str, float],
    pairs: dict[str, Floats],
) -> Nature:
    shown = [item for item in shown if not np.isnan(item.value)] if differing(values) else []  # else none is best
    measured = values[~np.isnan(values)]
    if known or not len(measured):
        return Nature(
            shown, kind, known.get("natural_maximum"), known.get("natural_p999"), source if known else "", **pairs
        )
    if chosen is not None:
        source = f"{source}, by {chosen.presentations:,} fresh presentations"
        return Nature(shown, kind, chosen.mean, None, source, **pairs)
    if settings.noisy:
        return Nature(shown, kind, float(measured.max()), None, f"{source}, luck included", **pairs)
    return Nature(shown, kind, float(measured.max()), float(np.quantile(measured, 0.999)), source, **pairs)
