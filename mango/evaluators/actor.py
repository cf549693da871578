"""What lives in a Ray worker's process, and what travels there and back."""

from __future__ import annotations

import os
import sys
import traceback
from typing import Any, NamedTuple

import ray

from mango import errors
from mango.errors import InputError, MangoError
from mango.evaluators.base import build, evaluate
from mango.trial import Result, Trial


class Evaluation:
    """The actor: makes generator and target once and evaluates chunks.

    Args:
        recipe: what to make, and where to find it.
    """

    def __init__(self, recipe: Recipe) -> None:
        self._recipe = recipe
        self._made: tuple[Any, Any] | None = None

    def ready(self) -> Failure | None:
        """Makes generator and target where that was not done; its answer shows that the worker lives."""
        if self._made is None:
            recipe = self._recipe
            if os.path.isdir(recipe.folder):  # another machine may not have it
                os.chdir(recipe.folder)
            sys.path.extend(entry for entry in recipe.path if entry not in sys.path)
            try:
                self._made = build(_received("generator", recipe.generator), _received("target", recipe.target))
            except MangoError as error:
                return Failure.of(error)
        return None

    def evaluate(self, trials: list[Trial]) -> list[Result] | Failure:
        """Results of one chunk; to be called once `ready` has answered None."""
        if self._made is None:
            raise RuntimeError("evaluate() before ready()")
        try:
            return evaluate(*self._made, trials)
        except MangoError as error:
            return Failure.of(error)


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
