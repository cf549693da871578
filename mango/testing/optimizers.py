"""`check_optimizer`: the rules that a study, its storage and its service rely on."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from mango.optimizers import Optimizer, make_optimizer
from mango.space import SearchSpace
from mango.testing import asking, reproducing, telling
from mango.testing.conformance import run_rules
from mango.testing.session import Case

OPTIMIZER_RULES: Mapping[str, Callable[[Case], None]] = {
    "numbering": asking.numbering,
    "codes": asking.codes,
    "ask size": asking.ask_size,
    "patience": asking.patience,
    "recommend": asking.recommend,
    "arguments": asking.arguments,
    "any order": telling.any_order,
    "lost": telling.lost,
    "equal values": telling.equal_values,
    "keys and errors": telling.keys_and_errors,
    "largest": telling.largest,
    "infinity": telling.infinity,
    "negative error": telling.negative_error,
    "never asked": telling.never_asked,
    "told twice": telling.told_twice,
    "lengths": telling.lengths,
    "observe": telling.observe,
    "observe refusals": telling.observe_refusals,
    "seed": reproducing.seed,
    "global randomness": reproducing.global_randomness,
    "independence": reproducing.independence,
    "read-only": reproducing.read_only,
    "aliasing": reproducing.aliasing,
    "state types": reproducing.state_types,
    "state round trip": reproducing.state_round_trip,
}


def check_optimizer(
    factory: Callable[..., Optimizer] | str,
    space: SearchSpace | None = None,
    *,
    rules: Iterable[str] | None = None,
    finite: bool = False,
    **options: Any,
) -> None:
    """Checks that an optimizer keeps every rule of `OPTIMIZER_RULES` in one space.

    Args:
        factory: called as ``factory(space, seed=..., **options)``, such as the class itself; or a name that
            `mango.make_optimizer` knows.
        space: where to search; a box of four axes unless given.
        rules: names of the rules to check; all of them unless given.
        finite: whether the design may end, so that `ask` may return fewer rows; it needs at least 12.
        options: passed on: ``chart``, ``natural``, ``budget`` and the method's own.

    Raises:
        ConformanceError: a rule is broken; the text says which, what was expected and what came.
        InputError: the optimizer refuses the space or the options.
    """
    case = Case(_factory(factory), SearchSpace.box(4) if space is None else space, options, finite)
    case.make()  # a refusal of the space is the caller's to see as it is
    run_rules(OPTIMIZER_RULES, case, rules)


def _factory(factory: Callable[..., Optimizer] | str) -> Callable[..., Optimizer]:
    if not isinstance(factory, str):
        return factory
    name = factory
    return lambda space, **options: make_optimizer(name, space, **options)
