"""`check_generator`: the rules on whatever turns codes into stimuli."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mango.errors import CodeError, InputError
from mango.generators import Generator
from mango.naturalness import log_prior_quantiles, natural_band, percentile
from mango.space import Codes, SearchSpace
from mango.testing.conformance import (
    Mismatch,
    expect,
    expect_refusal,
    frozen,
    run_rules,
    same_under_any_global_seed,
    scribble,
)

ROWS = 6
ROUNDING = 1.01 / 255  # what another batch size may change in a pixel


def check_generator(generator: Generator, *, rules: Iterable[str] | None = None) -> None:
    """Checks that a generator keeps every rule of `GENERATOR_RULES`; optional methods where it has them.

    Args:
        generator: with ``space``, ``stimulus_shape`` and ``decode``; optional ``encode``, ``natural``, ``log_prior``,
            ``log_prior_quantiles``, ``sample_prior``.
        rules: names of the rules to check; all of them unless given.

    Raises:
        ConformanceError: a rule is broken; the text says which, what was expected and what came.
    """
    run_rules(GENERATOR_RULES, generator, rules)


def attributes(generator: Any) -> None:
    """A generator has a space and a stimulus shape, and its name is a text."""
    expect(isinstance(generator.space, SearchSpace), "space to be a SearchSpace", type(generator.space).__name__)
    shape = generator.stimulus_shape
    whole = isinstance(shape, tuple) and all(isinstance(side, int) and side >= 1 for side in shape)
    expect(whole and len(shape) >= 1, "stimulus_shape to be a tuple of whole numbers >= 1", repr(shape))
    name = getattr(generator, "name", "")
    expect(isinstance(name, str), "name to be a text", repr(name))


def decode(generator: Any) -> None:
    """Decode gives stimuli (n, *stimulus_shape) for any n; images are float32 in [0, 1], in steps of 1/255."""
    for rows in (1, ROWS):
        stimuli = generator.decode(_codes(generator, rows))
        expect(isinstance(stimuli, np.ndarray), "stimuli as an array", type(stimuli).__name__)
        shape = (rows, *generator.stimulus_shape)
        expect(stimuli.shape == shape, f"stimuli of shape {shape}", stimuli.shape)
        expect(stimuli.dtype.kind in "iuf", "stimuli that are numbers", stimuli.dtype)
        expect(bool(np.isfinite(stimuli).all()), "finite stimuli", "NaN or infinity")
        if len(generator.stimulus_shape) == 3:
            expect(stimuli.dtype == np.float32, "float32 images", stimuli.dtype)
            low, high = float(stimuli.min()), float(stimuli.max())
            expect(low >= 0 and high <= 1, "images in [0, 1]", f"{low:.4g} to {high:.4g}")
            off = float(np.abs(stimuli * 255 - np.rint(stimuli * 255)).max())
            expect(off < 1e-3, "images in whole steps of 1/255, so that a PNG is the stimulus", f"{off:.3g} steps off")


def repeatable(generator: Any) -> None:
    """The same codes give the same stimuli, whatever else is in the batch and in global random states."""
    codes = _codes(generator)
    first, second = same_under_any_global_seed(lambda: np.array(generator.decode(codes)))
    expect(np.array_equal(first, second), "the same stimuli for the same codes", "others")
    alone = np.concatenate([generator.decode(codes[row : row + 1]) for row in range(len(codes))])
    expect_close(alone, first, ROUNDING, "each code's stimulus to be the same alone and in a batch")


def arguments(generator: Any) -> None:
    """Codes may be read-only, are never changed, and never shared with the stimuli."""
    codes = _codes(generator)
    kept = codes.copy()
    first = np.array(generator.decode(frozen(codes)))
    stimuli = generator.decode(codes)
    scribble(stimuli)
    expect(np.array_equal(codes, kept), "codes left as they were", "changed")
    expect(
        np.array_equal(first, generator.decode(codes)),
        "stimuli that overwriting earlier ones does not change",
        "others",
    )


def refusals(generator: Any) -> None:
    """Codes of a wrong shape or out of range are refused."""
    codes = _codes(generator)
    outside = codes.astype(np.float64)
    outside[0] = generator.space.upper + 1
    expect_refusal(InputError, "decode of codes out of range", lambda: generator.decode(outside))
    expect_refusal(InputError, "decode of one code without its batch axis", lambda: generator.decode(codes[0]))
    wide = np.concatenate([codes, codes], 1)
    expect_refusal(InputError, "decode of codes of twice the width", lambda: generator.decode(wide))


def encode(generator: Any) -> None:
    """Encode gives one code of the space for each stimulus."""
    if hasattr(generator, "encode"):
        codes = generator.encode(generator.decode(_codes(generator)))
        _expect_codes(generator, codes, ROWS)
        _expect_codes(generator, generator.encode(frozen(generator.decode(codes))), ROWS)


def natural(generator: Any) -> None:
    """Natural gives n codes of the space, drawn with the generator it is handed."""
    if hasattr(generator, "natural"):
        one, two = same_under_any_global_seed(lambda: generator.natural(ROWS, np.random.default_rng(3)))
        _expect_codes(generator, one, ROWS)
        expect(np.array_equal(one, two), "the same natural codes from equal generators", "others")


def log_prior(generator: Any) -> None:
    """The log prior is one finite number for each code."""
    if hasattr(generator, "log_prior"):
        codes = _codes(generator)
        nats = np.asarray(generator.log_prior(frozen(codes)))
        expect(nats.shape == (ROWS,), f"log_prior of shape ({ROWS},)", nats.shape)
        expect(nats.dtype.kind == "f" and bool(np.isfinite(nats).all()), "finite numbers from log_prior", nats)
        alone = np.concatenate([generator.log_prior(codes[row : row + 1]) for row in range(ROWS)])
        expect_close(alone, nats, 1e-6 * float(np.abs(nats).max() + 1), "each code's log_prior to be its own")


def sample_prior(generator: Any) -> None:
    """Samples of the prior are n codes of the space, drawn with the generator they are handed, beside a log prior."""
    if hasattr(generator, "sample_prior"):
        expect(hasattr(generator, "log_prior"), "a log_prior beside sample_prior", "none")
        one, two = same_under_any_global_seed(lambda: generator.sample_prior(ROWS, np.random.default_rng(3)))
        _expect_codes(generator, one, ROWS)
        expect(np.array_equal(one, two), "the same samples of the prior from equal generators", "others")


def quantiles(generator: Any) -> None:
    """Quantiles of the log prior are ascending and not all the same, and natural codes lie among them."""
    if hasattr(generator, "log_prior_quantiles"):
        expect(hasattr(generator, "log_prior"), "a log_prior beside log_prior_quantiles", "none")
        try:
            known = log_prior_quantiles(generator, None)
            natural_band(known)  # type: ignore[arg-type]
        except InputError as error:
            raise Mismatch("quantiles with a natural band", error) from error
        if hasattr(generator, "natural"):
            codes = generator.natural(ROWS, np.random.default_rng(3))
            places = percentile(np.asarray(generator.log_prior(codes), np.float64), known)  # type: ignore[arg-type]
            expect(bool(((places > 0) & (places < 100)).any()), "natural codes among the quantiles", places)


GENERATOR_RULES: Mapping[str, Callable[[Any], None]] = {
    "attributes": attributes,
    "decode": decode,
    "repeatable": repeatable,
    "arguments": arguments,
    "refusals": refusals,
    "encode": encode,
    "natural": natural,
    "log prior": log_prior,
    "sample prior": sample_prior,
    "quantiles": quantiles,
}


def expect_close(one: NDArray[Any], other: NDArray[Any], tolerance: float, expected: str) -> None:
    """Ends the rule where two arrays differ by more than the tolerance; NaN equals NaN."""
    both = np.isnan(one) & np.isnan(other)
    distance = np.where(both, 0.0, np.abs(np.where(both, 0, one) - np.where(both, 0, other)))
    worst = float(distance.max(initial=0))
    expect(worst <= tolerance, f"{expected} (to {tolerance:.3g})", f"a difference of {worst:.3g}")


def _codes(generator: Any, rows: int = ROWS) -> Codes:
    space: SearchSpace = generator.space
    return space.sample(rows, np.random.default_rng(11))


def _expect_codes(generator: Any, codes: Any, rows: int) -> None:
    space: SearchSpace = generator.space
    expect(isinstance(codes, np.ndarray), "codes as an array", type(codes).__name__)
    expect(codes.shape == (rows, space.dim), f"codes of shape ({rows}, {space.dim})", codes.shape)
    expect(codes.dtype == space.dtype, f"codes of dtype {space.dtype}", codes.dtype)
    try:
        space.validate(codes)
    except CodeError as error:
        raise Mismatch("codes of the space", error) from error
