"""Fixtures that several modules share."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

import mango.configuration
from mango.optimizers import Optimizer, make_optimizer
from tests.learner import Learner

settings.register_profile("busy", settings.default, deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("busy")  # how long an example takes says how busy the machine is


def pytest_configure() -> None:
    """Lets Ctrl-C reach what tests start: a shell that runs the tests in the background leaves SIGINT ignored."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture
def url(tmp_path: Path) -> str:
    """Of a database that does not exist yet."""
    return f"sqlite:///{tmp_path}/study.db"


@pytest.fixture
def learner(monkeypatch: pytest.MonkeyPatch) -> str:
    """The name under which a study finds the `Learner`."""

    def make(name: str, space: Any, **arguments: Any) -> Optimizer:
        return Learner(space, **arguments) if name == "learner" else make_optimizer(name, space, **arguments)

    monkeypatch.setattr(mango.configuration, "make_optimizer", make)
    return "learner"


@pytest.fixture(scope="session")
def ray_here() -> Iterator[None]:
    """A Ray of two CPUs in this process, which every evaluator of the session uses: it takes seconds to start."""
    from mango.evaluators.cluster import connected

    with connected():
        yield
