"""An optimizer that learns later what it was told: at the latest when something is asked of it.

To learn may take tens of milliseconds, for which nobody who tells an answer need wait. What the optimizer becomes does
not depend on when it learns: it hears every word in the order in which the words were said.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial

from mango.errors import TellError
from mango.evaluators.threads import one_thread
from mango.optimizers import Optimizer
from mango.optimizers.base import Floats, Proposals, State
from mango.space import Codes, SearchSpace
from mango.trial import EXPECTED, too_large


class Learner:
    """An optimizer and the words that it has not heard yet. Thread-safe; one thread at a time works with it.

    Args:
        optimizer: that nobody else uses.
        seconds: that were spent in it before.

    Attributes:
        seconds: spent in the optimizer.
        failure: what the optimizer raised while it learned. It is then as no log says, and must be built anew from the
            log, which raises the same once it learns again.
    """

    def __init__(self, optimizer: Optimizer, seconds: float = 0.0) -> None:
        self.seconds = seconds
        self.failure: BaseException | None = None
        self._optimizer = optimizer
        self._said: list[Callable[[], None]] = []  # by a step that is not committed
        self._words: deque[Callable[[], None]] = deque()
        self._lock = threading.RLock()

    @property
    def space(self) -> SearchSpace:
        """Of the codes."""
        return self._optimizer.space

    @property
    def behind(self) -> bool:
        """Whether there is something to learn."""
        return bool(self._words) and self.failure is None

    # -- what it is told -------------------------------------------------------------------------------------------

    def tell(self, ids: Sequence[int], values: Floats, keys: Floats, errors: Floats | None) -> None:
        """Answers to the optimizer's own trials, see `Optimizer.tell`; to be heard once the step is settled.

        Raises:
            TellError: a number that no optimizer takes, see `mango.trial.LARGEST`.
        """
        _check(values, keys, errors)
        self._said.append(partial(self._optimizer.tell, ids, values, keys=keys, errors=errors))

    def observe(self, codes: Codes, values: Floats, keys: Floats, errors: Floats | None) -> None:
        """Points that the optimizer did not ask, see `Optimizer.observe`; to be heard once the step is settled.

        Raises:
            TellError: as `tell`.
        """
        _check(values, keys, errors)
        self._said.append(partial(self._optimizer.observe, codes, values, keys=keys, errors=errors))

    def settle(self) -> None:
        """The step is in the log: what it said may be learned."""
        self._words.extend(self._said)
        self._said = []

    def learn(self) -> None:
        """Has the optimizer learn all that is settled; whatever it raises, it raises here."""
        with self._lock:
            if self._words or self.failure is not None:
                with self.alone():
                    self._learn()

    # -- what is asked of it ---------------------------------------------------------------------------------------

    def ask(self, n: int) -> Proposals:
        """See `Optimizer.ask`; what the same step has said is heard first."""
        self.settle()
        with self.alone():
            self._learn()
            start = time.perf_counter()
            proposals = self._optimizer.ask(n)
            self.seconds += time.perf_counter() - start
        return proposals

    def recommend(self) -> Codes:
        """See `Optimizer.recommend`."""
        with self.alone():
            self._learn()
            return self._optimizer.recommend()

    def state_dict(self) -> State:
        """See `Optimizer.state_dict`."""
        with self._lock:
            self.learn()
            return self._optimizer.state_dict()

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Within it no other thread works with the optimizer, and libraries use one thread."""
        with self._lock, one_thread():
            yield

    # -- private ---------------------------------------------------------------------------------------------------

    def _learn(self) -> None:
        if self.failure is not None:
            raise self.failure
        start = time.perf_counter()
        try:
            while self._words:
                self._words.popleft()()
        except BaseException as failure:
            self.failure = failure
            raise
        finally:
            self.seconds += time.perf_counter() - start


def _check(values: Floats, keys: Floats, errors: Floats | None) -> None:
    for name, column in (("value", values), ("key", keys), ("error", errors)):
        if column is not None and (large := too_large(column.tolist())) is not None:
            raise TellError(f"the {name} of a trial, as the optimizer hears it, is {large!r}; expected {EXPECTED}")
