"""The interface's own page needs no other host, and its document says all of every operation."""

from __future__ import annotations

import re

import pytest
from fastapi.testclient import TestClient

from mango.service.app import create_app
from mango.service.hub import Hub
from mango.service.security import SecuritySettings, Tokens

ELSEWHERE = re.compile(r"""(?:src|href|action|url|import|from)\s*[=(:]?\s*["'(]?\s*(?:https?:)?//""", re.IGNORECASE)


@pytest.fixture(scope="module")
def client(tmp_path_factory):
    app = create_app(Hub(f"sqlite:///{tmp_path_factory.mktemp('docs')}/mango.db"))
    with TestClient(app, base_url="http://localhost") as client:
        yield client


@pytest.fixture(scope="module")
def document(client):
    return client.get("/openapi.json").json()


def operations(document):
    return [
        (method.upper(), path, operation)
        for path, item in document["paths"].items()
        for method, operation in item.items()
    ]


def test_the_page_loads_its_own_files_only(client):
    page = client.get("/docs")
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    loaded = re.findall(r'(?:src|href)="([^"]+)"', page.text)
    assert {"/docs/swagger-ui.css", "/docs/swagger-ui-bundle.js", "/docs/start.js"} <= set(loaded)
    for path in loaded:
        assert path.startswith("data:") or client.get(path).status_code == 200, path
    kinds = {path: client.get(f"/docs/{path}").headers["content-type"] for path in ("start.js", "swagger-ui.css")}
    assert kinds == {"start.js": "text/javascript; charset=utf-8", "swagger-ui.css": "text/css; charset=utf-8"}
    for path in ("/docs", "/docs/start.js", "/docs/swagger-ui.css", "/"):
        assert not ELSEWHERE.search(client.get(path).text), path
    assert "<script>" not in page.text  # the policy admits no inline script
    assert "style=" not in page.text
    policy = page.headers["content-security-policy"]
    assert policy.startswith("default-src 'self'; ")  # and the browser would load nothing else
    assert "unsafe" not in policy


def test_the_validator_of_swagger_asks_nobody(client):
    assert "validatorUrl: null" in client.get("/docs/start.js").text


def test_every_operation_says_what_it_does(document):
    assert len(operations(document)) >= 30
    for method, path, operation in operations(document):
        assert operation["summary"], (method, path)
        description = operation["description"]
        assert description[0].isupper(), (method, path)
        assert description.rstrip().endswith("."), (method, path)
        assert operation["operationId"]
    names = [operation["operationId"] for _, _, operation in operations(document)]
    assert len(set(names)) == len(names)


def test_every_operation_says_its_errors_in_the_one_shape(document):
    for method, path, operation in operations(document):
        answers = operation["responses"]
        assert {"401", "403", "404", "409", "413", "415", "422", "429", "500", "503"} <= set(answers), (method, path)
        for status, answer in answers.items():
            assert answer["description"]
            if int(status) >= 400:
                schema = answer["content"]["application/json"]["schema"]
                assert schema == {"$ref": "#/components/schemas/ErrorBody"}, (method, path, status)
        assert any(int(status) < 300 for status in answers)
    assert document["components"]["schemas"]["ErrorDetail"]["required"] == ["kind", "message", "request_id"]


def test_every_json_answer_has_a_schema(document):
    for method, path, operation in operations(document):
        for status in ("200", "201"):
            for kind, content in operation["responses"].get(status, {}).get("content", {}).items():
                if kind == "application/json":
                    assert "$ref" in content["schema"], (method, path)


def test_whatever_takes_a_body_says_its_type(document):
    for method, path, operation in operations(document):
        if method == "POST" and "requestBody" in operation:
            [kind] = operation["requestBody"]["content"]
            assert kind == ("multipart/form-data" if path.endswith("/images") else "application/json")


def test_the_document_says_where_a_token_is_needed(document, tmp_path):
    assert "securitySchemes" not in document["components"]
    settings = SecuritySettings(tokens=Tokens.of(write=["write-token-0123456789"]))
    app = create_app(Hub(f"sqlite:///{tmp_path}/mango.db"), settings)
    with TestClient(app, base_url="http://localhost") as client:
        guarded = client.get("/openapi.json", headers={"Authorization": "Bearer write-token-0123456789"}).json()
        assert guarded["components"]["securitySchemes"]["token"]["scheme"] == "bearer"
        for method, path, operation in operations(guarded):
            needed = client.request(method, path.format(name="a", number=0, image=0)).status_code == 401
            assert operation.get("security", []) == ([{"token": []}] if needed else []), (method, path)
        assert "write-token" not in str(guarded)
