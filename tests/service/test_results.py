"""What clients may keep of a study, and what holds when it is made anew."""

from __future__ import annotations

import io

import numpy as np
import pytest
from fastapi.testclient import TestClient

from mango.service.app import create_app
from mango.service.hub import Hub

STUDY = {
    "name": "a",
    "generator": "pixels",
    "optimizer": "random",
    "budget": 30,
    "references": {"every": 5, "codes": None},
}


@pytest.fixture
def client(tmp_path):
    with TestClient(create_app(Hub(f"sqlite:///{tmp_path}/mango.db")), base_url="http://localhost") as client:
        yield client


def made(client, seed):
    space = 3 * 32 * 32
    references = {"every": 5, "codes": [[seed / 10] * space]}
    said = client.post("/v1/studies", json=STUDY | {"seed": seed, "references": references})
    assert said.status_code == 201, said.text
    assert client.post("/v1/studies/a/ask", json={"n": 5}).status_code == 200


@pytest.mark.parametrize("path", ["trials/0/stimulus.png", "trials/0/stimulus.npy", "references/0/stimulus.png"])
def test_a_stimulus_may_be_kept_as_long_as_its_study(client, path):
    """The same URL stands for another stimulus once the study was deleted and another made of its name."""
    made(client, 1)
    said = client.get(f"/v1/studies/a/{path}")
    assert (said.status_code, said.headers["cache-control"]) == (200, "no-cache")  # kept, and asked for each time
    known = {"If-None-Match": said.headers["etag"]}
    again = client.get(f"/v1/studies/a/{path}", headers=known)
    assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", said.headers["etag"])
    other = client.get(f"/v1/studies/a/{path.replace('0/', '3/')}", headers=known)
    assert other.status_code in (200, 404)
    client.delete("/v1/studies/a")
    assert client.get(f"/v1/studies/a/{path}", headers=known).status_code == 404
    made(client, 2)
    anew = client.get(f"/v1/studies/a/{path}", headers=known)
    assert anew.status_code == 200
    assert anew.content != said.content


def test_a_zip_bounds_its_pixels_before_it_draws(client):
    image = {"size": [4096, 4096]}
    assert client.post("/v1/studies", json=STUDY | {"references": None, "image": image}).status_code == 201
    client.post("/v1/studies/a/ask", json={"n": 20})
    numbers = ",".join(map(str, range(20)))
    said = client.get(f"/v1/studies/a/stimuli.zip?numbers={numbers}")
    assert (said.status_code, said.json()["error"]["kind"]) == (422, "InputError")
    assert "ask for 16 at a time" in said.json()["error"]["message"]
    codes = np.zeros((17, 3072)).tolist()
    said = client.post("/v1/render", json={"generator": "pixels", "codes": codes, "image": image})
    assert "got 17 images of 4096 x 4096" in said.json()["error"]["message"]
    said = client.post(
        "/v1/render",
        json={"generator": "pixels", "codes": codes, "image": image},
        headers={"Accept": "application/x-npy"},
    )
    assert np.load(io.BytesIO(said.content)).shape == (17, 3, 32, 32)  # as they are made, they are not enlarged


@pytest.mark.parametrize("numbers", ["", "a", "1,", "-1", "1,,2", "0,31", "0,9999999999999999", "\u0663"])
def test_numbers_of_a_zip_are_those_of_trials(client, numbers):
    made(client, 1)
    said = client.get("/v1/studies/a/stimuli.zip", params={"numbers": numbers})
    assert said.status_code in (404, 422)
    assert said.json()["error"]["kind"] in ("InputError", "NotFound")


def test_an_answer_bounds_its_codes(client):
    """Ten thousand codes of 65,536 numbers would be thirteen gigabytes of JSON."""
    new = {"name": "a", "space": {"kind": "box", "dim": 65_536}, "optimizer": "random", "budget": 200}
    assert client.post("/v1/studies", json=new).status_code == 201
    said = client.post("/v1/studies/a/ask", json={"n": 10_000})
    assert said.status_code == 422
    assert "got 200 codes of 65,536; ask for 64 at a time" in said.json()["error"]["message"]
    assert client.get("/v1/studies/a").json()["counts"]["asked"] == 0
    raw = {"Accept": "application/octet-stream"}
    for _ in range(2):
        assert len(client.post("/v1/studies/a/ask", json={"n": 40}, headers=raw).content) == 40 * 65_536 * 4
    for path in ("trials?codes=true", "best?n=100"):
        assert "ask for 64 at a time" in client.get(f"/v1/studies/a/{path}").json()["error"]["message"]
    assert len(client.get("/v1/studies/a/trials").json()["trials"]) == 80


def test_under_noise_the_final_choice_is_told_beside_the_luckiest_trial(client):
    """Each showing of a code has another value, so that the highest is luck."""
    noise, fresh = np.random.default_rng(0), []
    study = {"space": {"kind": "box", "dim": 3}, "budget": 60, "confirm": 40, "optimizer": "random"}
    new = client.post("/v1/studies", json={"name": "a", **study}).json()
    assert (new["noisy"], new["leaders"], new["confirm"], new["confirmed"]) == (True, 0.0, 40, None)
    while trials := client.post("/v1/studies/a/ask", json={"n": 10}).json()["trials"]:
        for path in ("", "/best"):
            assert client.get(f"/v1/studies/a{path}").json()["confirmed"] is None
        values = [t["code"][0] + noise.normal() for t in trials]
        fresh += [(t["code"], v) for t, v in zip(trials, values, strict=True) if t["origin"] == "confirm"]
        results = [{"number": t["number"], "attempt": 1, "value": v} for t, v in zip(trials, values, strict=True)]
        assert client.post("/v1/studies/a/tell", json={"results": results}).is_success
    study, best = (client.get(f"/v1/studies/a{path}").json() for path in ("", "/best"))
    chosen = study["confirmed"]
    assert study["state"] == "exhausted"
    assert best["confirmed"] == chosen
    assert study["recommended"]["number"] == best["recommended"]["number"] == chosen["number"] < 20
    last = [v for code, v in fresh if code == best["recommended"]["code"]][-chosen["presentations"] :]
    assert chosen["presentations"] == len(last) > 2
    assert chosen["value"] == pytest.approx(np.mean(last))
    assert chosen["error"] == pytest.approx(np.std(last, ddof=1) / len(last) ** 0.5)
    assert chosen["value"] < best["trials"][0]["value"]


@pytest.mark.parametrize("changes", [{"repeats": 2}, {"leaders": 0.2}, {"confirm": 10}, {}])
def test_a_study_says_whether_its_highest_trial_is_partly_luck(client, changes):
    study = {"name": "a", "space": {"kind": "box", "dim": 3}, "budget": 100}
    assert client.post("/v1/studies", json=study | changes).json()["noisy"] == bool(changes)
    assert client.get("/v1/studies").json()["studies"][0]["noisy"] == bool(changes)


def test_the_showings_of_references_are_listed_the_latest_first(client):
    made(client, 1)
    for _ in range(2):
        client.post("/v1/studies/a/ask", json={"n": 5})
    assert client.post("/v1/studies/a/tell", json={"references": [{"presentation": 1, "value": 2.5}]}).is_success

    def listed(query):
        said = client.get(f"/v1/studies/a/references{query}")
        assert said.is_success, said.text
        return [(r["presentation"], r["value"]) for r in said.json()["references"]]

    assert listed("") == [(2, None), (1, 2.5), (0, None)]
    assert listed("?told=true") == [(1, 2.5)]
    assert listed("?told=false&limit=1") == [(2, None)]
    assert client.get("/v1/studies/a/references?limit=0").status_code == 422
