"""What Prometheus reads: names as it wants them, labels that no client chooses, figures that are right."""

from __future__ import annotations

import re

import pytest
from fastapi.testclient import TestClient
from prometheus_client.parser import text_string_to_metric_families

from mango.service.app import create_app
from mango.service.hub import Hub

STUDY = {"name": "secret-name", "space": {"kind": "box", "dim": 2}, "optimizer": "random", "budget": 30}
UNITS = ("seconds", "bytes")
ROUTE = "/v1/studies/{name}"


@pytest.fixture
def client(tmp_path):
    with TestClient(create_app(Hub(f"sqlite:///{tmp_path}/mango.db")), base_url="http://localhost") as client:
        yield client


def read(client):
    """Family -> metric, and sample -> value, of mango's own."""
    said = client.get("/metrics")
    assert said.headers["content-type"].startswith("text/plain; version=")
    families = {f.name: f for f in text_string_to_metric_families(said.text) if f.name.startswith("mango_")}
    samples = {(s.name, *sorted(s.labels.items())): s.value for f in families.values() for s in f.samples}
    return families, samples


def trials(samples):
    return {key[1][1]: value for key, value in samples.items() if key[0] == "mango_trials_total"}


def test_names_and_texts_follow_the_conventions(client):
    client.post("/v1/studies", json=STUDY)
    families, _ = read(client)
    assert len(families) >= 9
    for name, family in families.items():
        assert re.fullmatch(r"mango_[a-z]+(_[a-z]+)*", name)
        assert family.documentation.endswith(".")
        for sample in family.samples:
            if family.type == "counter":
                assert sample.name == f"{name}_total"
            assert set(sample.labels) <= {"method", "route", "status", "outcome", "le"}
        if family.type == "histogram":
            assert name.endswith(UNITS)
    types = {name: family.type for name, family in families.items()}
    assert types["mango_http_requests"] == types["mango_trials"] == types["mango_tells"] == "counter"
    assert types["mango_event_streams"] == types["mango_studies_loaded"] == "gauge"
    assert types["mango_http_request_seconds"] == "histogram"


def test_what_became_of_trials_is_counted(client):
    client.post("/v1/studies", json=STUDY)
    path = "/v1/studies/secret-name"
    client.post(f"{path}/enqueue", json={"codes": [[0.0, 0.5]]})
    client.post(f"{path}/ask", json={"n": 6})
    told = [{"number": 0, "attempt": 1, "value": 1.0}, {"number": 1, "attempt": 1, "value": None}]
    for _ in range(2):
        client.post(f"{path}/tell", json={"results": told})
    client.post(f"{path}/fail", json={"trials": [{"number": 2, "attempt": 1}]})
    client.post(f"{path}/release", json={"trials": [{"number": 3, "attempt": 1}]})
    client.post(f"{path}/veto", json={"numbers": [4]})
    client.post(f"{path}/tell", json={"results": [{"number": 25, "attempt": 1, "value": 1.0}]})  # refused
    _, samples = read(client)
    assert trials(samples) == {
        "told": 1, "lost": 1, "failed": 1, "released": 1, "vetoed": 1, "enqueued": 1, "repeated": 2, "late": 0
    }  # fmt: skip
    counted = {name: samples[f"mango_{name}",] for name in ("asks_total", "trials_asked_total", "tells_total")}
    assert counted == {"asks_total": 1, "trials_asked_total": 6, "tells_total": 3}
    assert samples["mango_studies_loaded",] == 1


def test_requests_are_counted_by_route_and_status(client):
    client.post("/v1/studies", json=STUDY)
    for _ in range(3):
        client.get("/v1/studies/secret-name")
    client.get("/v1/studies/nothing")
    client.get("/nothing/at/all")
    client.request("BREW", "/v1/studies/secret-name")
    client.get("/v1/studies/secret-name", headers={"Host": "evil.org"})
    _, samples = read(client)

    def requests(method, route, status):
        return samples["mango_http_requests_total", ("method", method), ("route", route), ("status", status)]

    assert requests("GET", ROUTE, "200") == 3
    assert requests("GET", ROUTE, "404") == requests("GET", "unmatched", "404") == 1
    assert requests("GET", "unmatched", "403") == 1  # refused before it was routed
    assert requests("other", ROUTE, "405") == 1
    count = samples["mango_http_request_seconds_count", ("method", "GET"), ("route", ROUTE)]
    assert (
        count == samples["mango_http_request_seconds_bucket", ("le", "+Inf"), ("method", "GET"), ("route", ROUTE)] == 4
    )
    assert samples["mango_http_requests_running",] == 1  # this one


def test_nothing_that_a_client_chooses_is_a_label(client):
    client.post("/v1/studies", json=STUDY)
    client.get("/metrics")
    lines = []
    for start in (0, 10):
        for number in range(start, start + 10):
            client.get(f"/v1/studies/secret-name/trials/{number}")
            client.get(f"/v1/studies/x{number}")
            client.get(f"/x{number}?a={number}")
            client.request(f"M{number}", "/v1/studies")
            client.get("/page/" + "y" * (number + 1))
        lines.append(client.get("/metrics").text.count("\n"))
    assert "secret-name" not in client.get("/metrics").text
    assert lines[0] == lines[1]
