"""Conformance suites: what any optimizer, generator or target must do, to be run in a plug-in's own tests.

A suite is a table of named rules. Each check runs every rule, or those named in ``rules``, and raises
`ConformanceError` at the first one broken, saying which, what was expected and what came::

    from mango import SearchSpace
    from mango.testing import check_optimizer

    def test_my_search() -> None:
        check_optimizer(MySearch, SearchSpace.box(4))

The suites need neither pytest nor hypothesis.
"""

from mango.testing.conformance import ConformanceError
from mango.testing.generators import GENERATOR_RULES, check_generator
from mango.testing.optimizers import OPTIMIZER_RULES, check_optimizer
from mango.testing.targets import TARGET_RULES, check_target

__all__ = [
    "GENERATOR_RULES",
    "OPTIMIZER_RULES",
    "TARGET_RULES",
    "ConformanceError",
    "check_generator",
    "check_optimizer",
    "check_target",
]
