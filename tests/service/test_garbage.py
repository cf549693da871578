"""Passes of the garbage collector look at what is new, and now and then at everything."""

from __future__ import annotations

import gc
import weakref

import pytest

from mango.service.garbage import set_aside


class Node:
    """Holds itself, so that only the collector can end it."""

    def __init__(self):
        self.me = self


@pytest.fixture(autouse=True)
def _thawed():
    yield
    assert gc.get_freeze_count() == 0


def test_what_survives_a_pass_is_not_looked_at_again():
    kept = [Node() for _ in range(1000)]
    with set_aside():
        assert gc.get_freeze_count() > 1000
        node, gone = Node(), weakref.ref(kept[0])
        assert not any(one is kept[0] for one in gc.get_objects())
        assert any(one is node for one in gc.get_objects())
        kept.clear()
        gc.collect()
        assert gone() is not None
    gc.collect()
    assert gone() is None


def test_young_garbage_is_still_found():
    with set_aside():
        gone = weakref.ref(Node())
        gc.collect()
        assert gone() is None


def test_everything_is_looked_at_once_it_is_due():
    kept = [Node()]
    gone = weakref.ref(kept[0])
    with set_aside(seconds=0.0):
        kept.clear()
        gc.collect()
        gc.collect()
        assert gone() is None
