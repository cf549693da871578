"""What lives in a Ray worker's process, and what travels there and back."""

from __future__ import annotations

import os
import pickle
import sys
import threading
import traceback
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import Any, NamedTuple

import ray

from mango import errors
from mango.errors import InputError, MangoError
from mango.evaluators.base import Traits, build, evaluate
from mango.evaluators.threads import pin_one_thread
from mango.trial import Result, Trial

TAKING = "taking"  # the group that `ThreadedEvaluation.take` is to be called in, since it waits


class Evaluation:
    """The actor: makes generator and target once and evaluates chunks.

    Args:
        recipe: what to make, and where to find it.
    """

    def __init__(self, recipe: Recipe) -> None:
        self._recipe = recipe
        self._made: tuple[Any, Any] | None = None
        self._decoding = threading.Lock()  # generators know nothing of threads

    def ready(self) -> Ready | Failure:
        """Makes generator and target where that was not done; its answer shows that the worker lives."""
        try:
            if self._made is None:
                self._made = self._make()
            return Ready(os.getpid(), Traits.of(self._made[1]))
        except MangoError as error:
            return Failure.of(error)

    def evaluate(self, chunk: bytes) -> bytes:
        """`packed` results of one chunk of packed trials, or a `Failure`; to be called once `ready` has answered."""
        if self._made is None:
            raise RuntimeError("evaluate() before ready()")
        try:
            return packed(evaluate(*self._made, unpacked(chunk), decoding=self._decoding))
        except MangoError as error:
            return packed(Failure.of(error))

    def _make(self) -> tuple[Any, Any]:
        recipe = self._recipe
        pin_one_thread()  # Ray has asked OpenMP for as many threads as the worker counts CPUs, and numba for nothing
        if os.path.isdir(recipe.folder):  # another machine may not have it
            os.chdir(recipe.folder)
        sys.path.extend(entry for entry in recipe.path if entry not in sys.path)
        return build(_received("generator", recipe.generator), _received("target", recipe.target))


class ThreadedEvaluation(Evaluation):
    """An actor for targets that wait: its threads evaluate what `put` brings, and `take` gives back what is done.

    Two calls that carry whatever has gathered cost less than one call of Ray's for each chunk.

    Args:
        recipe: what to make, and where to find it.
        concurrency: threads.
    """

    def __init__(self, recipe: Recipe, concurrency: int) -> None:
        super().__init__(recipe)
        self._brought: SimpleQueue[tuple[int, bytes]] = SimpleQueue()
        self._done: SimpleQueue[tuple[int, bytes | Exception]] = SimpleQueue()
        for _ in range(concurrency):
            threading.Thread(target=self._work, daemon=True).start()

    def put(self, chunks: list[tuple[int, bytes]]) -> None:
        """Packed chunks, each with a number of its own, to be begun in this order; once `ready` has answered."""
        for chunk in chunks:
            self._brought.put(chunk)

    def take(self) -> list[tuple[int, bytes]]:
        """Waits until something is done, and gives all that is, packed."""
        done = [self._done.get()]
        with suppress(Empty):
            while True:
                done.append(self._done.get_nowait())
        answers = []
        for number, answer in done:
            if isinstance(answer, Exception):
                raise answer
            answers.append((number, answer))
        return answers

    def _work(self) -> None:
        while True:
            number, chunk = self._brought.get()
            try:
                self._done.put((number, self.evaluate(chunk)))
            except Exception as error:  # not the target's, which `evaluate` has caught
                self._done.put((number, error))


class Ready(NamedTuple):
    """A worker's first answer."""

    pid: int
    traits: Traits


class Recipe(NamedTuple):
    """What a worker needs to start.

    Attributes:
        generator, target: a name, or in a list of one (Ray resolves bare ones) the reference of a pickled object.
        folder: the working directory.
        path: where modules are found, so that ``module:factory`` and the classes of objects are found there too.
    """

    generator: str | list[Any]
    target: str | list[Any]
    folder: str
    path: list[str]

    @classmethod
    def of(cls, generator: Any, target: Any) -> Recipe:
        """As things are in this process.

        Raises:
            InputError: an object that cannot be pickled.
        """
        path = [os.path.abspath(entry) for entry in sys.path]
        return cls(_sent("generator", generator), _sent("target", target), os.getcwd(), path)


class Failure(NamedTuple):
    """An error of mango as data: not every exception survives a pickle."""

    kind: str
    message: str
    trace: str

    @classmethod
    def of(cls, error: MangoError) -> Failure:
        """To be called while the error is handled; a class that is not ours becomes the nearest that is."""
        kind = next(c.__name__ for c in type(error).__mro__ if c.__module__ == errors.__name__)
        return cls(kind, str(error), traceback.format_exc())

    def error(self) -> MangoError:
        """The error as itself, with the worker's traceback as a note."""
        kind: type[MangoError] = getattr(errors, self.kind)
        error = kind.__new__(kind, self.message)  # not __init__, whose arguments differ from class to class
        error.add_note(f"In a Ray worker:\n{self.trace}")
        return error


def packed(thing: list[Trial] | list[Result] | Failure) -> bytes:
    """What goes to a worker or comes back. Ray would pickle it too, but, for the sake of other classes, in Python."""
    return pickle.dumps(thing)


def unpacked(sent: bytes) -> Any:
    """The inverse of `packed`."""
    return pickle.loads(sent)


def _sent(kind: str, thing: Any) -> str | list[Any]:
    if isinstance(thing, str):
        return thing
    try:  # pickled here, since the arrays of objects that Ray unpickles are read-only
        return [ray.put(ray.cloudpickle.dumps(thing))]
    except Exception as error:  # whatever the object's pickling raises
        raise InputError(
            f"the {kind} ({type(thing).__name__}) cannot be sent to Ray workers: {error}; "
            "name a factory instead, as 'module:factory', and each worker makes its own"
        ) from error


def _received(kind: str, sent: str | list[Any]) -> Any:
    if isinstance(sent, str):
        return sent
    pickled = ray.get(sent[0])  # what Ray raises here is a death, not the user's mistake
    try:
        return ray.cloudpickle.loads(pickled)
    except Exception as error:  # whatever the object's unpickling raises
        raise InputError(
            f"the {kind} cannot be used in a Ray worker: {type(error).__name__}: {error}; "
            "install the module that defines it on every node, or name a factory as 'module:factory'"
        ) from error
