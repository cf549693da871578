"""What goes past the framework is answered as if it had gone through it."""

from __future__ import annotations

import pytest
from fastapi.testclient import TestClient

from mango.service.app import create_app
from mango.service.hub import Hub
from mango.service.shortcuts import Shortcut

STUDY = {"name": "a", "space": {"kind": "box", "dim": 3}, "optimizer": "random", "budget": 200}
JSON = {"Content-Type": "application/json"}
TOLD = b'{"results": [{"number": 0, "attempt": 1, "value": 1.5}]}'
REQUESTS = {  # path, body, headers
    "ask": ("a/ask", b'{"n": 3}', JSON),
    "raw": ("a/ask", b'{"n": 3}', JSON | {"Accept": "application/octet-stream"}),
    "keyed": ("a/ask", b'{"n": 2}', JSON | {"Idempotency-Key": "k"}),
    "tell": ("a/tell", TOLD, JSON),
    "keyed tell": ("a/tell", TOLD, JSON | {"Idempotency-Key": "k"}),
    "charset": ("a/ask", b'{"n": 3}', {"Content-Type": "application/json; charset=utf-8"}),
    "no body": ("a/ask", b"", {}),
    "no body, typed": ("a/ask", b"", JSON),
    "null": ("a/ask", b"null", JSON),
    "another type": ("a/tell", TOLD, {"Content-Type": "text/plain"}),
    "no type": ("a/tell", TOLD, {}),
    "no JSON": ("a/tell", b'{"results": [', JSON),
    "not UTF-8": ("a/tell", b'{"results": "\xff"}', JSON),
    "a name twice": ("a/ask", b'{"n": 1, "n": 2}', JSON),
    "not valid": ("a/ask", b'{"n": 0, "m": 1}', JSON),
    "never asked": ("a/tell", b'{"results": [{"number": 999, "attempt": 1, "value": 1}]}', JSON),
    "infinite": ("a/tell", b'{"results": [{"number": 0, "attempt": 1, "value": Infinity}]}', JSON),
    "nothing offered": ("a/ask", b'{"n": 3}', JSON | {"Accept": "image/png"}),
    "a long key": ("a/ask", b'{"n": 3}', JSON | {"Idempotency-Key": "k" * 201}),
    "an empty key": ("a/ask", b'{"n": 3}', JSON | {"Idempotency-Key": ""}),
    "no study": ("b/ask", b'{"n": 3}', JSON),
    "no name": ("-/ask", b'{"n": 3}', JSON),
    "no path": ("a/ask/it", b'{"n": 3}', JSON),
}


@pytest.fixture(scope="module")
def clients(tmp_path_factory):
    """Of two services with the same study: one with shortcuts, one without."""
    apps = [create_app(Hub(f"sqlite:///{tmp_path_factory.mktemp('short')}/mango.db")) for _ in range(2)]
    assert sum(isinstance(route, Shortcut) for route in apps[0].router.routes) == 2
    apps[1].router.routes[:] = [route for route in apps[1].router.routes if not isinstance(route, Shortcut)]
    with (
        TestClient(apps[0], base_url="http://localhost") as one,
        TestClient(apps[1], base_url="http://localhost") as two,
    ):
        for client in (one, two):
            assert client.post("/v1/studies", json=STUDY).status_code == 201
            assert client.post("/v1/studies/a/ask", json={"n": 5}).status_code == 200
        yield one, two


@pytest.mark.parametrize("name", REQUESTS)
def test_the_framework_would_answer_the_same(clients, name):
    path, body, headers = REQUESTS[name]
    short, long = (
        client.post(f"/v1/studies/{path}", content=body, headers=headers | {"X-Request-Id": "same"})
        for client in clients
    )
    assert short.status_code == long.status_code
    assert _lasting(short) == _lasting(long)


def test_other_methods_are_refused_as_before(clients):
    short, long = (client.put("/v1/studies/a/ask", json={"n": 1}) for client in clients)
    assert short.status_code == long.status_code == 405
    assert short.headers["allow"] == long.headers["allow"] == "POST"


def test_a_request_is_counted_and_logged_under_the_path_of_its_route(clients):
    said = clients[0].get("/metrics").text
    assert 'route="/v1/studies/{name}/ask",status="200"' in said


def _lasting(answer):
    """All of an answer but the times in it."""
    headers = {name: value for name, value in answer.headers.items() if name != "mango-lease-until"}
    if answer.headers["content-type"] != "application/json":
        return headers, answer.content
    said = answer.json()
    for trial in said.get("trials", ()):
        del trial["lease_until"]
    headers.pop("content-length")
    return headers, said
