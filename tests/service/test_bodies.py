"""Bodies are read strictly: what two programs could read differently is refused with the reason."""

from __future__ import annotations

import gzip
import json
import math

import pytest
from fastapi import HTTPException
from fastapi.testclient import TestClient

from mango.service.app import create_app
from mango.service.bodies import read_json
from mango.service.hub import Hub

STUDY = {"name": "a", "space": {"kind": "box", "dim": 2}, "optimizer": "random", "budget": 30}


@pytest.fixture(scope="module")
def client(tmp_path_factory):
    app = create_app(Hub(f"sqlite:///{tmp_path_factory.mktemp('bodies')}/mango.db"))
    with TestClient(app, base_url="http://localhost") as client:
        assert client.post("/v1/studies", json=STUDY).status_code == 201
        yield client


def post(client, path, content, kind="application/json", **headers):
    return client.post(f"/v1/{path}", content=content, headers={"Content-Type": kind} | headers)


def error(said):
    return said.status_code, said.json()["error"]["kind"], said.json()["error"]["message"]


def test_good_json_is_read():
    assert read_json(b'{"a": [1, 2.5, null, true, "\\u00fc \\ud83d\\ude00"], "b": {"a": {}}}') == {
        "a": [1, 2.5, None, True, "ü \U0001f600"],
        "b": {"a": {}},
    }
    nan, infinity = read_json(b"[NaN, -Infinity]")
    assert math.isnan(nan)
    assert infinity == -math.inf


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b'{"n": 1, "n": 2}', '"n" stands twice'),
        (b'{"a": {"x": 1, "y": 2, "x": 1}}', '"x" stands twice'),
        (b'{"n": "\xff"}', "JSON in UTF-8; byte 7 is not"),
        ('{"n": 1}'.encode("utf-16"), "JSON in UTF-8"),
        (b"[" * 100_000 + b"]" * 100_000, "nested too deep"),
        (b'{"n": ' + b"9" * 5000 + b"}", "too many digits"),
        (b'{"name": "\\ud800"}', "half a surrogate pair"),
        (b'{"\\uDC00\\ud83d": 1}', "half a surrogate pair"),
    ],
)
def test_what_could_be_read_in_two_ways_is_refused(client, body, words):
    with pytest.raises(HTTPException) as raised:
        read_json(body)
    assert words in raised.value.detail
    for path in ("studies/a/ask", "session"):
        status, kind, message = error(post(client, path, body))
        assert (status, kind) == (400, "BadRequest")
        assert words in message


def test_what_is_not_json_is_told_its_place(client):
    status, kind, message = error(post(client, "studies/a/ask", b'{"n": 1'))
    assert (status, kind) == (422, "InputError")
    assert message == "the body is not JSON: Expecting ',' delimiter, at character 7"
    assert "UTF-8 BOM" in error(post(client, "studies/a/ask", b"\xef\xbb\xbf{}"))[2]


@pytest.mark.parametrize(
    "kind", ["text/plain", "application/x-www-form-urlencoded", "application/xml", "multipart/form-data", "json", ""]
)
def test_another_type_is_refused(client, kind):
    status, name, message = error(post(client, "studies/a/ask", b'{"n": 1}', kind))
    assert (status, name) == (415, "UnsupportedMediaType")
    assert message.startswith("a body needs Content-Type: application/json; ")


def test_the_type_may_say_more_and_may_be_left_out_without_a_body(client):
    assert post(client, "studies/a/ask", b'{"n": 1}', "Application/JSON; charset=utf-8").status_code == 200
    for content in (None, b""):
        assert len(client.post("/v1/studies/a/ask", content=content).json()["trials"]) == 1


@pytest.mark.parametrize("encoding", ["gzip", "br", "deflate, gzip"])
def test_a_packed_body_is_refused(client, encoding):
    said = post(client, "studies/a/ask", gzip.compress(b'{"n": 1}'), **{"Content-Encoding": encoding})
    assert error(said)[:2] == (415, "UnsupportedMediaType")
    assert f"Content-Encoding: {encoding}" in error(said)[2]
    assert post(client, "studies/a/ask", b'{"n": 1}', **{"Content-Encoding": "identity"}).status_code == 200


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ({"x": float("nan")}, "NaN and infinity are not kept"),
        ({"x": [1, {"y": float("inf")}]}, "NaN and infinity are not kept"),
        ({"x": 2**63}, "at most 64 bits"),
        ({"x": "y" * 70_000}, "at most 65,536 characters"),
        ({"x": json.loads("[" * 400 + "]" * 400)}, "at most 20 levels"),
    ],
)
@pytest.mark.parametrize("field", ["meta", "options"])
def test_what_would_not_come_back_as_it_came_is_not_kept(client, field, said, words):
    new = {"name": "b", "space": STUDY["space"], "budget": 30, "optimizer": "random", field: said}
    status, _, message = error(post(client, "studies", json.dumps(new)))
    assert status == 422
    assert words in message
    assert len(message) < 300
    assert "b" not in {study["name"] for study in client.get("/v1/studies").json()["studies"]}


def test_what_is_said_of_a_study_comes_back_as_it_came(client):
    meta = {"animal": "m1", "größe": [1, 2.5, None, -(2**63), "\x00\U0001f600"], "a": {"b": {"c": []}}}
    said = post(client, "studies", json.dumps(STUDY | {"name": "c", "meta": meta}))
    assert said.status_code == 201, said.text
    assert said.json()["meta"] == client.get("/v1/studies/c").json()["meta"] == meta


def test_a_million_faults_are_not_all_reported(client):
    """One report for each would take gigabytes and half a minute."""
    many = '["a"' + ', "a"' * 60_000 + "]"
    for body, path in (
        (f'{{"codes": [{many}]}}', "enqueue"),
        (f'{{"results": [{{"number": 0, "attempt": 1, "value": 1.0, "response": {many}}}]}}', "tell"),
        (f'{{"results": [{{"number": 0, "attempt": 1, "value": 1.0, "response": [{many}]}}]}}', "tell"),
        (f'{{"numbers": {many.replace(", " + chr(34) + "a" + chr(34), "", 55_000)}}}', "veto"),
    ):
        status, _, message = error(post(client, f"studies/a/{path}", body))
        assert status == 422
        assert message.count("expected a valid") == 1, message


def test_an_option_that_a_study_says_itself_is_refused(client):
    for name in ("self", "space", "seed", "chart", "natural", "budget", "name"):
        said = post(client, "studies", json.dumps(STUDY | {"name": "b", "options": {name: 1}}))
        assert error(said) == (
            422,
            "OptionError",
            f"{name}: said of the study itself, never among the optimizer's options",
        )
