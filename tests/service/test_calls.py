"""Requests of `mango.Client` that go wrong: what is sent again, what is not, and what is raised in the end."""

from __future__ import annotations

import socket

import numpy as np
import pytest

from mango import Client, Result, SearchSpace
from mango.errors import (
    CodeError,
    InputError,
    OptionError,
    ServiceError,
    StudyExists,
    StudyFinished,
    TellConflict,
    TellError,
    UnknownName,
)
from mango.service.security import SecuritySettings, Tokens
from tests.service.between import DROP, LOSE, between
from tests.service.serving import serving
from tests.studies import answer


@pytest.fixture(scope="module")
def url(tmp_path_factory):
    with serving(f"sqlite:///{tmp_path_factory.mktemp('calls')}/mango.db") as url:
        yield url


@pytest.fixture
def study(url, request):
    """A client of a fresh study of this test."""
    with Client.create(url, request.node.name, space=SearchSpace.box(3), budget=30, optimizer="random") as client:
        yield client


@pytest.fixture
def broken(url):
    with between(url) as one:
        yield one


def test_lost_answers_double_nothing(study, broken):
    tried = []
    with Client(broken.url, study.name, on_retry=lambda message, seconds: tried.append((message, seconds))) as client:
        client.space  # noqa: B018
        broken.plans.extend([LOSE, DROP, LOSE])
        trials = client.ask(5)
        broken.plans.extend([LOSE, LOSE, DROP])
        client.tell([answer(trial) for trial in trials])
    asks, tells = (
        {key for _, path, key in broken.came if path.endswith(verb)} for verb in (f"{study.name}/ask", "/tell")
    )
    assert len(broken.came) == 2 + 4 + 4
    assert len(asks) == len(tells) == 1
    assert None not in asks | tells
    assert len(tried) == 6
    assert all("does not answer" in message for message, _ in tried)
    assert sorted(trial.number for trial in trials) == list(range(5))
    counts = study.counts()
    assert (counts["asked"], counts["open"], counts["done"]) == (5, 0, 5)
    assert all(record.attempt == 1 for record in study.trials())


def test_a_busy_service_is_given_the_time_it_wants(study, broken):
    body = b'{"error": {"kind": "StudyLocked", "message": "another process owns it", "request_id": "r"}}'
    broken.plans.append((503, {"Retry-After": "0.4"}, body))
    broken.plans.append((502, {}, b"<html>"))
    waited = []
    with Client(broken.url, study.name, on_retry=lambda *told: waited.append(told)) as client:
        assert client.state == "running"
    assert waited[0] == ("another process owns it", 0.4)
    assert "answered 502" in waited[1][0]
    assert waited[1][1] < 0.4


def test_in_the_end_the_last_error_is_raised(study, broken):
    body = b'{"error": {"kind": "InternalError", "message": "unforeseen", "request_id": "abc"}}'
    broken.plans.extend([(500, {}, body)] * 50)
    with pytest.raises(ServiceError, match=r"unforeseen \(request abc\)"):
        Client(broken.url, study.name, retry_for=0.2)
    assert 2 <= len(broken.came) < 50


def test_what_the_service_refuses_is_raised_as_here_and_not_tried_again(url, study, broken):
    with Client(broken.url, study.name) as client:
        trials = client.ask(1)
        client.tell([answer(trials[0], 1.0)])
        before = len(broken.came)
        with pytest.raises(TellConflict, match="was told"):
            client.tell([answer(trials[0], 2.0)])
        with pytest.raises(TellError, match="trial 99 was never asked"):
            client.tell([Result(99, 1, (1.0,))])
        with pytest.raises(UnknownName, match="has no trial 7"):
            client.record(7)
        with pytest.raises(InputError, match="expected"):
            client.ask(1_000_000)
        client.finish()
        with pytest.raises(StudyFinished, match="was finished"):
            client.unpause()
        assert len(broken.came) == before + 6
    with pytest.raises(StudyExists, match="already"):
        Client.create(url, study.name, space=SearchSpace.box(2), budget=3)
    with pytest.raises(UnknownName, match="did you mean vqvae-cifar10"):
        Client.create(url, "x", generator="vqvea-cifar10", budget=3)
    with pytest.raises(UnknownName, match="there is no study 'y'"):
        Client(url, "y")


def test_what_cannot_be_used_is_said_before_anything_is_sent(study):
    with pytest.raises(InputError, match="n >= 1"):
        study.ask(0)
    with pytest.raises(CodeError, match=r"expected -1 to 1"):
        study.enqueue([[5.0, 0.0, 0.0]])
    with pytest.raises(TellError, match=r"mango\.Result"):
        study.tell([(0, 1.0)])
    with pytest.raises(TellError, match="need a result"):
        study.take_in([], responses={3: np.zeros(2)})
    for wrong in ("127.0.0.1:8700", "ftp://x", "http://"):
        with pytest.raises(OptionError, match="such as http://"):
            Client(wrong, "a")
    with pytest.raises(OptionError, match="timeout"):
        Client("http://127.0.0.1:1", "a", timeout=0)
    with pytest.raises(OptionError, match="retry_for"):
        Client("http://127.0.0.1:1", "a", retry_for=-1)


def test_what_may_not_be_done_twice_is_not_sent_twice(study, broken):
    with Client(broken.url, study.name) as client:
        client.space  # noqa: B018
        broken.plans.append(LOSE)
        with pytest.raises(ServiceError, match="may have been done or not"):
            client.enqueue([[0.0, 0.0, 0.0]])
        broken.plans.append((429, {"Retry-After": "0"}, b"{}"))
        client.enqueue([[0.0, 0.0, 0.5]])
    assert [trial.code[2] for trial in sorted(study.ask(3), key=lambda t: t.number)][:2] == [0.0, 0.5]


def test_a_url_of_something_else_is_named(study, broken):
    broken.plans.append((404, {}, b"<html>not found</html>"))
    with pytest.raises(ServiceError, match=r"answered 404 Not Found, and not as a mango service does"):
        Client(broken.url, study.name)
    broken.plans.append((200, {}, b"<html>welcome</html>"))
    with pytest.raises(ServiceError, match="does not answer as a mango service does"):
        Client(broken.url, study.name)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with pytest.raises(ServiceError, match=f"127.0.0.1:{port} does not answer"):
        Client(f"http://127.0.0.1:{port}", "a", retry_for=0)


def test_a_token_is_needed_where_one_is_set(tmp_path, monkeypatch):
    monkeypatch.delenv("MANGO_TOKEN", raising=False)
    write, read = "w" * 20, "r" * 20
    security = SecuritySettings(tokens=Tokens.of(read=[read], write=[write]))
    with serving(f"sqlite:///{tmp_path}/mango.db", security=security) as url:
        with Client.create(url, "a", space=SearchSpace.box(2), budget=5, token=write) as client:
            assert len(client.ask(1)) == 1
        for wrong, words in ((None, "needs a token"), ("x" * 20, "does not know this token")):
            with pytest.raises(ServiceError, match=words):
                Client(url, "a", token=wrong)
        with Client(url, "a", token=read) as reader:
            assert reader.counts()["asked"] == 1
            with pytest.raises(ServiceError, match="only reads"):
                reader.ask(1)
        monkeypatch.setenv("MANGO_TOKEN", f"{write} {read}")
        with Client(url, "a") as client:
            client.finish()
