"""The error tree: what catches what, and that its docstring draws it."""

from __future__ import annotations

import inspect
import re

import pytest

from mango import errors
from mango.errors import InputError, MangoError, UnknownName

CLASSES = [c for _, c in inspect.getmembers(errors, inspect.isclass) if issubclass(c, MangoError)]


@pytest.mark.parametrize("error", CLASSES)
def test_every_error_is_a_mango_error_with_a_meaning(error: type[MangoError]) -> None:
    assert issubclass(error, MangoError)
    assert error.__doc__


def test_user_input_is_a_value_error_too() -> None:
    assert issubclass(InputError, ValueError)
    for error in (errors.CodeError, errors.OptionError, errors.TellError, UnknownName):
        assert issubclass(error, InputError)
    for error in (errors.StudyError, errors.StorageError, errors.TargetError):
        assert not issubclass(error, InputError)


def test_the_docstring_draws_the_whole_tree() -> None:
    assert errors.__doc__
    parents: list[str] = []
    drawn = {}
    for line in errors.__doc__.split("::", 1)[1].splitlines():
        found = re.match(r"    ((?:\|   |    )*)(?:[|`]-- )?([A-Z]\w+)", line)
        if not found:
            continue
        depth = len(found[1]) // 4 + ("-- " in line)
        parents[depth:] = [found[2]]
        drawn[found[2]] = parents[depth - 1] if depth else "Exception"
    assert drawn == {c.__name__: c.__bases__[0].__name__ for c in CLASSES}


def test_an_unknown_name_suggests_the_nearest() -> None:
    message = str(UnknownName("optimizer", "cma-dagonal", ["cma", "cma-diagonal", "random"]))
    assert message == "unknown optimizer 'cma-dagonal'; did you mean cma-diagonal?"
    several = str(UnknownName("layer", "lif", ["lif1", "lif2", "output"]))
    assert re.fullmatch(r"unknown layer 'lif'; did you mean lif\d or lif\d\?", several)


def test_an_unknown_name_unlike_any_lists_them_all() -> None:
    message = str(UnknownName("layer", "zzz", ["output", "lif1"], "Layers count from 1."))
    assert message == "unknown layer 'zzz'; known: lif1, output. Layers count from 1."
