"""Evaluation in this process, a chunk at a time."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Self

from mango.evaluators.base import Chunks, Traits, build, evaluate
from mango.trial import Result, Trial

if TYPE_CHECKING:
    from mango.generators import Generator
    from mango.targets import Target


class LocalEvaluator:
    """Evaluates when collected, here and now, one call after the other whatever the target's ``concurrency``.

    Args:
        generator: a `Generator`, or the name of one.
        target: a `Target`, or the specification of one.
        chunk: trials that share one call of the target, cut by trial number, as every evaluator does; by default the
            target's ``batch_size``, or 10 where it has none.

    Attributes:
        generator, target: the objects in use.
        seconds_target: sum over all calls of what decoding and the target took.

    Raises:
        MangoError: a name that cannot be made; a bad chunk or ``batch_size``.
    """

    def __init__(self, generator: Generator | str, target: Target | str, *, chunk: int | None = None) -> None:
        self.generator, self.target = build(generator, target)
        self._size = Traits.of(self.target).overruled(chunk).batch_size
        self._chunks = Chunks(self._size)
        self._waiting: deque[list[Trial]] = deque()
        self.seconds_target = 0.0

    def free(self) -> int:
        """Trials until one chunk is complete."""
        return max(0, self._size - self._chunks.taken)

    def submit(self, trials: Sequence[Trial]) -> None:
        """Takes trials; they are evaluated by `collect`."""
        self._waiting.extend(self._chunks.add(trials))

    def collect(self, timeout: float | None = None) -> list[Result]:  # noqa: ARG002 (the target is not interrupted)
        """Evaluates the next chunk, however long that takes; none where nothing waits.

        Raises:
            TargetError: the target raised, or answered with the wrong shape. The chunk is given up.
            InputError: the generator raised, or gave another number of stimuli.
        """
        if not self._waiting:
            self._waiting.extend(self._chunks.rest())
        if not self._waiting:
            return []
        trials = self._waiting.popleft()
        self._chunks.done(len(trials))
        results = evaluate(self.generator, self.target, trials)
        self.seconds_target += sum(result.seconds for result in results)
        return results

    def close(self) -> None:
        """Forgets what waits."""
        self._waiting.clear()
        self._chunks = Chunks(self._size)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
