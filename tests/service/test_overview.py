"""What the live page reads: the list of studies, the latest trials, the curve."""

from __future__ import annotations

import pytest
from fastapi.testclient import TestClient

from mango.service.app import create_app
from mango.service.hub import Hub

STUDY = {"name": "a", "space": {"kind": "box", "dim": 3}, "optimizer": "random", "budget": 6}


@pytest.fixture
def client(tmp_path):
    hub = Hub(f"sqlite:///{tmp_path}/mango.db", {"tiles": "tests.fakes:Tiles"})
    with TestClient(create_app(hub), base_url="http://localhost") as client:
        yield client


def call(client, method, path, body=None):
    said = client.request(method, f"/v1/studies{path}", json=body)
    assert said.is_success, said.text
    return said.json()


def answer(client, name, values):
    trials = call(client, "POST", f"/{name}/ask", {"n": len(values)})["trials"]
    results = [{"number": t["number"], "attempt": 1, "value": values[t["number"]]} for t in trials]
    call(client, "POST", f"/{name}/tell", {"results": results})
    return {t["number"]: t["code"] for t in trials}


def test_the_list_says_what_a_card_shows(client):
    call(client, "POST", "", STUDY)
    image = {"size": [64, 64], "background": 0.0, "upsampling": "nearest"}
    call(client, "POST", "", STUDY | {"name": "b", "space": None, "generator": "tiles", "image": image})
    for name in "ab":
        answer(client, name, [1.0, 3.0, 2.0])
    newest, oldest = call(client, "GET", "")["studies"]
    assert (newest["stimulus_shape"], newest["image"]) == ([3, 8, 8], image)
    assert client.get(newest["best"]["stimulus_url"]).headers["content-type"] == "image/png"
    assert newest["improvements"] == [[0, 1.0], [1, 3.0]]
    assert (oldest["stimulus_shape"], oldest["best"]) == (None, {"number": 1, "value": 3.0, "stimulus_url": None})


def test_the_list_reads_only_what_has_changed(client, monkeypatch):
    read = []
    listed = Hub._listed
    monkeypatch.setattr(
        Hub, "_listed", lambda hub, study, reader: read.append(study.name) or listed(hub, study, reader)
    )
    for name in "ab":
        call(client, "POST", "", STUDY | {"name": name})
    for _ in range(2):
        assert [study["name"] for study in call(client, "GET", "")["studies"]] == ["b", "a"]
    assert read == ["b", "a"]
    answer(client, "a", [1.0])
    assert call(client, "GET", "")["studies"][1]["best"]["value"] == 1.0
    call(client, "POST", "/b/pause")
    assert call(client, "GET", "")["studies"][0]["state"] == "paused"
    assert read == ["b", "a", "a", "b"]
    client.delete("/v1/studies/b")
    call(client, "POST", "", STUDY | {"name": "b"})
    assert call(client, "GET", "")["studies"][0]["state"] == "running"


def test_the_list_says_that_a_budget_is_used_up(client):
    call(client, "POST", "", STUDY)
    assert call(client, "GET", "")["studies"][0]["state"] == "running"
    call(client, "POST", "/a/ask", {"n": 6})
    call(client, "POST", "/a/veto", {"numbers": [0]})
    call(client, "POST", "/a/fail", {"trials": [{"number": n, "attempt": 1} for n in range(1, 6)]})
    assert call(client, "GET", "")["studies"][0]["state"] == call(client, "GET", "/a")["state"] == "running"
    answer(client, "a", [0.0] * 6 + [1.0])
    assert call(client, "GET", "")["studies"][0]["state"] == call(client, "GET", "/a")["state"] == "exhausted"


@pytest.mark.parametrize("design", [3, 4])
def test_the_list_says_that_a_design_has_ended_before_its_budget(client, learner, design):
    call(client, "POST", "", STUDY | {"optimizer": learner, "options": {"design": design}, "budget": 50})
    answer(client, "a", [1.0, 2.0])
    assert call(client, "GET", "")["studies"][0]["state"] == "running"
    trials = call(client, "POST", "/a/ask", {"n": 3})["trials"]
    assert len(trials) == design - 2
    assert call(client, "GET", "")["studies"][0]["state"] == "running"
    results = [{"number": t["number"], "attempt": 1, "value": 3.0} for t in trials]
    assert call(client, "POST", "/a/tell", {"results": results})["state"] == "exhausted"
    assert call(client, "GET", "")["studies"][0]["state"] == call(client, "GET", "/a")["state"] == "exhausted"
    call(client, "POST", "/a/enqueue", {"codes": [[0.0] * 3]})
    assert call(client, "GET", "")["studies"][0]["state"] == call(client, "GET", "/a")["state"] == "running"


def test_the_latest_trials_come_page_by_page(client):
    call(client, "POST", "", STUDY)
    answer(client, "a", [0.0, 1.0, None, 3.0, None])
    pages, before = [], ""
    while before is not None:
        page = call(client, "GET", f"/a/trials?latest=true&limit=2{before}")
        pages.append([t["number"] for t in page["trials"]])
        before = page["next"] if page["next"] is None else f"&before={page['next']}"
    assert pages == [[4, 3], [2, 1], [0]]
    lost = call(client, "GET", "/a/trials?latest=true&limit=1&state=lost")
    assert ([t["number"] for t in lost["trials"]], lost["next"]) == ([4], 4)


def test_the_best_of_the_curve_is_a_value_also_where_another_objective_decides(client):
    call(client, "POST", "", STUDY | {"space": None, "generator": "tiles", "weight": 1.0, "budget": 20})
    answer(client, "a", [float(n) for n in range(20)])
    curve, study = call(client, "GET", "/a/curve"), call(client, "GET", "/a")
    assert curve["values"] == [float(n) for n in range(20)]
    assert set(curve["best"]) <= set(curve["values"])
    assert curve["best"][-1] == study["best"]["value"]


def test_the_page_s_files_are_asked_for_each_time_and_sent_when_they_are_others(client):
    for path in ("/", "/page/main.js", "/page/style.css"):
        said = client.get(path)
        assert (said.status_code, said.headers["cache-control"]) == (200, "no-cache")
    again = client.get("/page/main.js", headers={"If-None-Match": client.get("/page/main.js").headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")


def test_the_list_and_the_study_name_the_same_best_whatever_decides(client):
    call(client, "POST", "", STUDY | {"space": None, "generator": "tiles", "weight": 10.0})
    for name, code in (("likely", [1] * 16), ("unlikely", [7] * 16)):
        call(client, "POST", "/a/enqueue", {"codes": [code], "origin": name})
    answer(client, "a", [1.0, 3.0])
    study, best = call(client, "GET", "/a"), call(client, "GET", "/a/best")
    (listed,) = call(client, "GET", "")["studies"]
    assert (study["weight"], study["chart"], study["options"]) == (10.0, None, {})
    assert [one["number"] for one in (study["best"], listed["best"], *best["trials"])] == [0, 0, 0]
    assert listed["improvements"] == [[0, 1.0]]
    one, other = (call(client, "GET", f"/a/trials/{number}") for number in (0, 1))
    assert (one["objective"], one["value"], other["value"]) == (1.0, 1.0, 3.0)
    assert other["objective"] < 1.0


def test_of_equal_values_the_lowest_number_is_best_whichever_was_told_first(client):
    call(client, "POST", "", STUDY)
    call(client, "POST", "/a/ask", {"n": 3})
    for number in (2, 0, 1):
        call(client, "POST", "/a/tell", {"results": [{"number": number, "attempt": 1, "value": 0.5}]})
    best = [call(client, "GET", f"/a/best?n={n}")["trials"][0]["number"] for n in (1, 2)]
    assert [*best, call(client, "GET", "/a")["best"]["number"]] == [0, 0, 0]
    assert call(client, "GET", "")["studies"][0]["best"]["number"] == 0
