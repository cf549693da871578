"""Every error is answered in one shape, with what was expected, what came and what to do."""

from __future__ import annotations

import logging

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from mango import errors as tree
from mango.errors import MangoError, StorageError, StudyLocked
from mango.service.app import create_app
from mango.service.errors import RESPONSES, install_errors
from mango.service.hub import Hub

STUDY = {"name": "a", "space": {"kind": "box", "dim": 2}, "optimizer": "random", "budget": 30}


@pytest.fixture(scope="module")
def client(tmp_path_factory):
    folder = tmp_path_factory.mktemp("errors")
    with TestClient(create_app(Hub(f"sqlite:///{folder}/mango.db")), base_url="http://localhost") as client:
        assert client.post("/v1/studies", json=STUDY).status_code == 201
        yield client


@pytest.fixture
def raising():
    """A client of an app whose one path raises what it is given."""
    app = FastAPI()
    install_errors(app)
    app.state.error = None

    @app.get("/")
    def path():
        raise app.state.error

    client = TestClient(app)

    def get(error):
        app.state.error = error
        return client.get("/")

    return get


def shaped(said, status, kind):
    assert said.status_code == status, said.text
    assert said.headers["content-type"] == "application/json"
    [(name, error)] = said.json().items()
    assert (name, set(error), error["kind"]) == ("error", {"kind", "message", "request_id"}, kind)
    return error["message"]


def all_of(kind):
    return [kind, *(below for child in kind.__subclasses__() for below in all_of(child))]


@pytest.mark.parametrize("kind", [one for one in all_of(MangoError) if one.__module__ == tree.__name__])
def test_every_error_of_mango_has_a_status_and_keeps_its_message(raising, kind):
    error = kind.__new__(kind)
    Exception.__init__(error, "what to do")
    said = raising(error)
    expected = {
        "StudyLocked": 503, "StorageError": 503, "ReplayError": 409, "StudyExists": 409, "StudyFinished": 409,
        "KeyConflict": 409, "StudyError": 409, "TellConflict": 409, "InputError": 422, "UnknownName": 422,
        "CodeError": 422, "OptionError": 422, "TellError": 422, "DataError": 422, "TargetError": 500,
        "WeightsError": 500, "ServiceError": 500, "MangoError": 500,
    }  # fmt: skip
    assert shaped(said, expected[kind.__name__], kind.__name__) == str(error)
    assert ("retry-after" in said.headers) == (said.status_code == 503)
    assert said.status_code in RESPONSES


def test_the_unforeseen_says_nothing_of_the_inside(raising, caplog):
    message = shaped(raising(RuntimeError("password=hunter2")), 500, "InternalError")
    assert "hunter2" not in message
    assert "hunter2" in caplog.text  # the log has the traceback
    assert "Traceback" in caplog.text


def test_what_is_too_much_for_the_memory_is_refused(raising):
    assert "ask for less" in shaped(raising(MemoryError()), 413, "TooLarge")


def test_only_what_needs_a_person_is_logged_with_its_traceback(raising, caplog):
    raising(StorageError("the disk is full"))
    assert [(record.levelno, bool(record.exc_info)) for record in caplog.records if "disk" in record.message] == [
        (logging.ERROR, True)
    ]
    caplog.clear()
    raising(StudyLocked("another process owns it"))
    assert "another process" not in caplog.text


@pytest.mark.parametrize(
    ("method", "path", "status", "kind", "words"),
    [
        ("GET", "/nothing", 404, "NotFound", 'no such path: "/nothing"; /docs lists'),
        ("GET", "/v1/studies/b", 404, "NotFound", "there is no study 'b'"),
        ("GET", "/v1/studies/", 404, "NotFound", "no such path"),
        ("PUT", "/v1/studies", 405, "MethodNotAllowed", 'PUT is not for "/v1/studies"; use GET, POST'),
        ("HEAD", "/v1/studies/a/ask", 405, None, ""),
        ("OPTIONS", "/v1/studies/a", 405, "MethodNotAllowed", "use DELETE, GET"),
        ("BREW", "/v1/studies/a/trials/0", 405, "MethodNotAllowed", "BREW is not for"),
        ("POST", "/page/style.css", 405, "MethodNotAllowed", "use GET, HEAD"),
        ("POST", "/docs", 405, "MethodNotAllowed", "use GET"),
        ("GET", "/page/nothing.js", 404, "NotFound", "no such path"),
        ("GET", "/v1/studies/a/trials/x", 422, "InputError", 'number in the path: expected a valid integer'),
        ("GET", "/v1/studies/a/trials?limit=0", 422, "InputError", "limit in the query: expected greater than"),
        ("GET", "/v1/studies/a%20b", 422, "InputError", "name in the path"),
    ],
)  # fmt: skip
def test_what_the_framework_refuses_has_the_same_shape(client, method, path, status, kind, words):
    said = client.request(method, path)
    if kind is None:
        assert (said.status_code, said.text) == (status, "")
    else:
        assert words in shaped(said, status, kind)
    if status == 405:
        assert said.headers["allow"]


def test_faults_are_named_by_their_place(client):
    faulty = {"name": "b", "space": {"kind": "box", "dim": 0, "low": "x"}, "budget": 0, "seed": -1, "typo": 1}
    message = shaped(client.post("/v1/studies", json=faulty), 422, "InputError")
    assert message.startswith("space.box.dim in the body: expected greater than or equal to 1; got 0; ")
    assert message.endswith("; and 2 more")
    message = shaped(
        client.post("/v1/studies/a/tell", json={"results": [{"attempt": 1, "value": 1.0}]}), 422, "InputError"
    )
    assert message == "results[0].number in the body is missing"


def test_what_came_is_shown_in_brief(client):
    long = {"name": "b", "space": ["x" * 1_000_000], "budget": 1}
    message = shaped(client.post("/v1/studies", json=long), 422, "InputError")
    assert len(message) < 300


def test_what_accept_does_not_name_is_406(client):
    headers = {"Accept": "text/html, application/json;q=0"}
    message = shaped(client.post("/v1/studies/a/ask", json={}, headers=headers), 406, "NotAcceptable")
    assert "application/json or application/octet-stream or application/x-npy" in message
    assert client.get("/v1/studies/a").json()["counts"]["asked"] == 0
