"""Tasks side by side on Ray, one thread each; or one after the other in this process."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import Any, TypeVar

Task = TypeVar("Task")
AHEAD = 2  # tasks that Ray is given for each worker


def finished(function: Callable[[Task], Any], tasks: Iterable[Task], workers: int) -> Iterator[Any]:
    """Results as they are done, in any order.

    Args:
        function: at the top level of a module.
        tasks: that can be pickled.
        workers: Ray's processes; 0 does without Ray.
    """
    if not workers:
        yield from map(function, tasks)
        return
    from mango.evaluators.cluster import connected

    with connected(workers=workers):
        import ray

        remote: Any = ray.remote(num_cpus=1)(function)
        left, waiting = iter(tasks), list[Any]()
        while True:
            waiting += [remote.remote(task) for task in islice(left, AHEAD * workers - len(waiting))]
            if not waiting:
                return
            ready, waiting = ray.wait(waiting)
            yield from map(ray.get, ready)
