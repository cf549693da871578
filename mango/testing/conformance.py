"""What the suites share: the error, the expectations, and running a table of rules."""

from __future__ import annotations

import random
import sys
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from mango.errors import UnknownName

Subject = TypeVar("Subject")
Result = TypeVar("Result")


class ConformanceError(AssertionError):
    """A plug-in breaks a rule.

    Attributes:
        rule: its name in the suite's table.
        expected, got: what the rule demands and what was seen.
    """

    def __init__(self, rule: str, meaning: str, expected: str, got: str) -> None:
        super().__init__(f"rule {rule!r} ({meaning}): expected {expected}; got {got}")
        self.rule = rule
        self.expected = expected
        self.got = got


class Mismatch(Exception):
    """Raised inside a rule; `run_rules` adds the rule's name and meaning."""

    def __init__(self, expected: str, got: object) -> None:
        super().__init__(expected, got)
        self.expected = expected
        self.got = str(got)


def run_rules(
    table: Mapping[str, Callable[[Subject], None]], subject: Subject, rules: Iterable[str] | None = None
) -> None:
    """Runs all rules of a table, or the named ones, in the table's order.

    Raises:
        UnknownName: no such rule.
        ConformanceError: the first rule that is broken, or in which the plug-in raised what it should not.
    """
    chosen = set(table if rules is None else rules)
    for name in chosen - set(table):
        raise UnknownName("rule", name, table)
    for name, rule in table.items():
        if name not in chosen:
            continue
        meaning = (rule.__doc__ or "").partition("\n")[0].rstrip(".")
        try:
            rule(subject)
        except Mismatch as found:
            raise ConformanceError(name, meaning, found.expected, found.got) from found.__cause__
        except Exception as error:
            raise ConformanceError(name, meaning, "no error", f"{type(error).__name__}: {error}") from error


def expect(holds: bool, expected: str, got: object) -> None:
    """Ends the rule where something does not hold."""
    if not holds:
        raise Mismatch(expected, got)


def expect_refusal(kind: type[Exception], what: str, call: Callable[[], object]) -> None:
    """Ends the rule unless the call raises that class of error."""
    try:
        answer = call()
    except kind:
        return
    except Exception as error:
        raise Mismatch(f"{what} to raise {kind.__name__}", f"{type(error).__name__}: {error}") from error
    raise Mismatch(f"{what} to raise {kind.__name__}", f"no error and {answer!r:.80}")


def frozen(array: Any) -> NDArray[Any]:
    """A read-only copy."""
    copy = np.array(array)
    copy.setflags(write=False)
    return copy


def scribble(array: NDArray[Any]) -> None:
    """Overwrites what a plug-in handed out; an array that refuses to be written is safe anyway."""
    if array.flags.writeable and array.dtype.kind in "biuf":
        array.fill(np.array(113).astype(array.dtype))


def same_under_any_global_seed(draw: Callable[[], Result]) -> tuple[Result, Result]:
    """What a call gives under two global seeds; the caller's own global states are given back.

    Ends the rule where the global generators of numpy, Python or (where it is loaded) torch were advanced.
    """
    saved = np.random.get_state(), random.getstate(), _torch_state()  # noqa: NPY002 (given back below)
    try:
        first, second = (_under(global_seed, draw) for global_seed in (1, 2))
    finally:
        np.random.set_state(saved[0])  # noqa: NPY002
        random.setstate(saved[1])
        if saved[2] is not None:
            sys.modules["torch"].set_rng_state(saved[2])
    return first, second


def _under(global_seed: int, draw: Callable[[], Result]) -> Result:
    np.random.seed(global_seed)  # noqa: NPY002 (the very thing that a plug-in must not depend on)
    random.seed(global_seed)
    if "torch" in sys.modules:
        sys.modules["torch"].manual_seed(global_seed)
    before = _global_states()
    drawn = draw()
    for name, state in _global_states().items():
        expect(name not in before or state == before[name], f"{name} left alone", "its state advanced")
    return drawn


def _global_states() -> dict[str, bytes]:
    _, words, position, *_ = np.random.get_state()  # noqa: NPY002 (looked at, not drawn from)
    states = {
        "numpy's global generator": np.asarray(words).tobytes() + str(position).encode(),
        "Python's global generator": repr(random.getstate()).encode(),
    }
    torch_state = _torch_state()
    return states if torch_state is None else states | {"torch's global generator": torch_state.numpy().tobytes()}


def _torch_state() -> Any:
    return sys.modules["torch"].get_rng_state() if "torch" in sys.modules else None
