"""Every path, on a real application over a real database; without a network between."""

from __future__ import annotations

import hashlib
import io
import json
import time
import zipfile
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from fastapi.testclient import TestClient
from PIL import Image

from mango.generators import make_generator
from mango.service.app import create_app
from mango.service.hub import Hub

BOX = {"kind": "box", "dim": 3}
STUDY = {"name": "a", "space": BOX, "optimizer": "random", "budget": 30}


@pytest.fixture
def storage(tmp_path):
    return f"sqlite:///{tmp_path}/mango.db"


@pytest.fixture
def client(storage):
    with client_of(storage) as client:
        yield client


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    """A study over images."""
    with client_of(f"sqlite:///{tmp_path_factory.mktemp('pictures')}/mango.db") as client:
        image = {"size": [96, 128], "background": 0.25, "upsampling": "nearest"}
        said = client.post(
            "/v1/studies",
            json={"name": "p", "generator": "vqvae-cifar10", "budget": 60, "image": image}
            | {"references": {"every": 4, "count": 2}, "natural_maximum": 3.5, "meta": {"animal": "m1"}},
        )
        assert said.status_code == 201, said.text
        yield client


def client_of(storage, generators=None):
    return TestClient(create_app(Hub(storage, generators)), base_url="http://localhost")


def created(client, **changes):
    said = client.post("/v1/studies", json=STUDY | changes)
    assert said.status_code == 201, said.text
    return said.json()


def post(client, path, body=None, status=200, **headers):
    said = client.post(f"/v1/studies/{path}", json=body, headers=headers)
    assert said.status_code == status, said.text
    return said.json()


def get(client, path, status=200):
    said = client.get(f"/v1/studies/{path}")
    assert said.status_code == status, said.text
    return said.json()


def told(trials, value=lambda trial: float(trial["number"])):
    return {"results": [{"number": t["number"], "attempt": t["attempt"], "value": value(t)} for t in trials]}


def message(said):
    error = said["error"]
    assert set(error) == {"kind", "message", "request_id"}
    return error["message"]


def test_a_study_from_its_first_trial_to_its_last(client):
    study = created(client)
    assert (study["state"], study["best"], study["counts"]["asked"]) == ("running", None, 0)
    while (block := post(client, "a/ask", {"n": 8}))["trials"]:
        said = post(client, "a/tell", told(block["trials"]))
        assert said["accepted"] == sorted(t["number"] for t in block["trials"])
    assert (block["state"], block["waiting"]) == ("exhausted", False)
    study = get(client, "a")
    assert study["counts"] == {
        "asked": 30, "told": 30, "open": 0, "lost": 0, "failed": 0, "vetoed": 0, "late": 0,
        "presentations": 30, "references": 0,
    }  # fmt: skip
    assert (study["best"]["number"], study["recommended"]["number"], study["state"]) == (29, 29, "exhausted")
    best = get(client, "a/best?n=3")
    assert [t["number"] for t in best["trials"]] == [29, 28, 27]
    assert len(best["trials"][0]["code"]) == 3
    curve = get(client, "a/curve")
    assert curve["best"] == curve["values"] == [float(n) for n in range(30)]
    arms = get(client, "a/arms")["arms"]
    assert [(arm["asked"], arm["done"], arm["best"], arm["recent"]) for arm in arms] == [(30, 30, 29.0, 1.0)]


def test_blocks_come_in_a_random_order_that_repeats(storage):
    orders = []
    for name in ("one", "two"):
        with client_of(storage) as client:
            created(client, name=name, seed=5)
            orders.append([t["number"] for t in post(client, f"{name}/ask", {"n": 20})["trials"]])
    assert orders[0] == orders[1]
    assert sorted(orders[0]) == list(range(20)) != orders[0]


def test_codes_alone_are_the_same_codes(client):
    created(client, name="floats", seed=1)
    created(client, name="raw", seed=1)
    created(client, name="labels", space={"kind": "codebook", "dim": 4, "levels": 7})
    block = post(client, "floats/ask", {"n": 5})["trials"]
    for kind in ("application/octet-stream", "application/x-npy"):
        said = client.post("/v1/studies/raw/ask", json={"n": 5}, headers={"Accept": kind, "Idempotency-Key": "k"})
        assert said.headers["mango-trials"] == ",".join(str(t["number"]) for t in block)
        assert said.headers["mango-shape"] == "5,3"
        if kind == "application/x-npy":
            codes = np.load(io.BytesIO(said.content), allow_pickle=False)
        else:
            codes = np.frombuffer(said.content, "<f4").reshape(5, 3)
        np.testing.assert_array_equal(codes, np.array([t["code"] for t in block], np.float32))
    said = client.post("/v1/studies/labels/ask", json={"n": 2}, headers={"Accept": "application/octet-stream"})
    assert said.headers["mango-dtype"] == "int32"
    assert np.frombuffer(said.content, "<i4").reshape(2, 4).max() < 7
    said = client.post("/v1/studies/raw/ask", json={"n": 2}, headers={"Accept": "text/html"})
    assert said.status_code == 406


def test_the_same_request_is_answered_the_same(client):
    created(client)
    block = post(client, "a/ask", {"n": 4}, **{"Idempotency-Key": "first"})
    assert post(client, "a/ask", {"n": 4}, **{"Idempotency-Key": "first"}) == block
    assert post(client, "a/ask", {"n": 4}, **{"Idempotency-Key": "second"}) != block
    assert "use a new one" in message(post(client, "a/ask", {"n": 5}, 409, **{"Idempotency-Key": "first"}))
    said = post(client, "a/tell", told(block["trials"]), **{"Idempotency-Key": "first"})
    assert post(client, "a/tell", told(block["trials"]), **{"Idempotency-Key": "first"}) == said
    assert len(post(client, "a/tell", told(block["trials"]))["repeated"]) == 4
    other = told(block["trials"], lambda _: -1.0)
    assert "cannot be told" in message(post(client, "a/tell", other, 409))
    assert get(client, "a")["counts"]["told"] == 4


def test_lost_failed_released_vetoed(client):
    created(client, repeats=2)
    trials = {t["number"]: t for t in post(client, "a/ask", {"n": 6, "lease": 0.05})["trials"]}
    said = post(client, "a/tell", {"results": [
        {"number": 0, "attempt": 1, "values": [1.0, None]}, {"number": 1, "attempt": 1, "value": None},
    ]})  # fmt: skip
    assert said["accepted"] == [0, 1]
    assert post(client, "a/fail", {"trials": [{"number": 2, "attempt": 1, "reason": "shutter"}]})["accepted"] == [2]
    assert post(client, "a/release", {"trials": [{"number": 3, "attempt": 1}]})["numbers"] == [3]
    assert post(client, "a/veto", {"numbers": [4], "reason": "too bright"})["numbers"] == [4]
    time.sleep(0.06)
    again = post(client, "a/ask", {"n": 2})["trials"]
    assert sorted((t["number"], t["attempt"]) for t in again) == [(3, 2), (5, 2)]
    assert {t["number"]: t["code"] for t in again} == {n: trials[n]["code"] for n in (3, 5)}
    values = {"results": [{"number": 5, "attempt": 2, "values": [3.0, 5.0]}]}
    assert post(client, "a/tell", values)["accepted"] == [5]
    late = post(client, "a/tell", {"results": [{"number": 5, "attempt": 1, "values": [9.0, 9.0]}]})
    assert (late["late"], late["counts"]["late"]) == ([5], 1)
    states = {t["number"]: (t["state"], t["value"], t["reason"]) for t in get(client, "a/trials")["trials"]}
    assert states == {
        0: ("done", 1.0, ""), 1: ("lost", None, ""), 2: ("failed", None, "shutter"), 3: ("open", None, ""),
        4: ("vetoed", None, "too bright"), 5: ("done", 4.0, ""),
    }  # fmt: skip
    assert get(client, "a/trials/5")["error"] == 1.0
    assert [t["number"] for t in get(client, "a/trials?state=done")["trials"]] == [0, 5]
    page = get(client, "a/trials?limit=4")
    assert (len(page["trials"]), page["next"]) == (4, 3)
    assert [t["number"] for t in get(client, "a/trials?limit=4&after=3")["trials"]] == [4, 5]
    assert [t["number"] for t in get(client, "a/trials?limit=2&latest=true")["trials"]] == [5, 4]


def test_a_failure_may_be_told_among_values(client):
    created(client)
    post(client, "a/ask", {"n": 2})
    failed = {"number": 0, "attempt": 1, "reason": "shutter", "seconds": 2.5}
    said = post(client, "a/tell", {"results": [failed, {"number": 1, "attempt": 1, "value": 1.0}]})
    assert said["accepted"] == [0, 1]
    trial = get(client, "a/trials/0")
    assert (trial["state"], trial["reason"], trial["seconds"], trial["values"]) == ("failed", "shutter", 2.5, [])
    for wrong in ({"value": 1.0, "reason": "x"}, {"reason": None}, {"reason": "x", "keys": [1.0]}):
        assert "reason" in message(post(client, "a/tell", {"results": [{"number": 1, "attempt": 1, **wrong}]}, 422))


def test_a_space_is_told_axis_by_axis(client):
    book = {"kind": "codebook", "dim": 4, "levels": 2, "embedding": [[0.1], [1 / 3]], "layout": [2, 2]}
    created(client, space=book)
    assert get(client, "a/space") == {
        "dim": 4, "lower": [0.0] * 4, "upper": [1.0] * 4, "levels": [2] * 4, "ordered": [False] * 4,
        "prior": "uniform", "embedding": [[0.1], [1 / 3]], "layout": [2, 2],
    }  # fmt: skip


def test_ordered_studies_hand_out_two_batches(client):
    assert created(client, ordered=True, batch=4)["ordered"]
    block = post(client, "a/ask", {"n": 20})["trials"]
    assert sorted(t["number"] for t in block) == list(range(8))
    assert post(client, "a/ask", {"n": 1})["waiting"]
    post(client, "a/tell", told([t for t in block if t["number"] < 4]))
    assert sorted(t["number"] for t in post(client, "a/ask", {"n": 20})["trials"]) == [8, 9, 10, 11]


def test_paused_and_finished_studies_say_so(client):
    created(client)
    assert post(client, "a/pause")["state"] == "paused"
    block = post(client, "a/ask", {"n": 3})
    assert block == {"trials": [], "references": [], "state": "paused", "waiting": False, "sequence": 0}
    assert post(client, "a/resume")["state"] == "running"
    trials = post(client, "a/ask", {"n": 3})["trials"]
    assert post(client, "a/finish")["state"] == "finished"
    assert post(client, "a/ask", {"n": 3})["state"] == "finished"
    assert len(post(client, "a/tell", told(trials))["accepted"]) == 3
    assert "was finished" in message(post(client, "a/resume", None, 409))


@pytest.mark.parametrize("said", [{"budget": None}, {}], ids=["null", "left out"])
def test_a_study_without_a_budget_asks_until_it_is_finished(storage, said):
    new = {name: value for name, value in STUDY.items() if name != "budget"} | said
    with client_of(storage) as client:
        study = client.post("/v1/studies", json=new).json()
        assert (study["budget"], study["state"]) == (None, "running")
        for _ in range(4):
            trials = post(client, "a/ask", {"n": 50})["trials"]
            assert len(trials) == 50
            post(client, "a/veto", {"numbers": [trials.pop()["number"]]})
            assert post(client, "a/tell", told(trials))["state"] == "running"
        assert post(client, "a/enqueue", {"codes": [[0.0, 0.0, 0.0]] * 60}) == {"enqueued": 60}
        assert post(client, "a/pause")["state"] == "paused"
        assert post(client, "a/resume")["state"] == "running"
    with client_of(storage) as client:  # the list reads a study that is not open
        [listed] = client.get("/v1/studies").json()["studies"]
        assert (listed["budget"], listed["state"], listed["counts"]["told"]) == (None, "running", 196)
        assert {t["origin"] for t in post(client, "a/ask", {"n": 60})["trials"]} == {"enqueued"}
        assert post(client, "a/finish")["state"] == "finished"
        assert get(client, "a")["counts"]["asked"] == 260
    with client_of(storage) as client:
        assert client.get("/v1/studies").json()["studies"][0]["state"] == "finished"
        assert post(client, "a/ask", {"n": 1})["trials"] == []


def test_everything_outlives_the_process(storage):
    with client_of(storage) as client:
        created(client)
        block = post(client, "a/ask", {"n": 4}, **{"Idempotency-Key": "k"})
        post(client, "a/tell", told(block["trials"][:2]))
    with client_of(storage) as client:
        assert post(client, "a/ask", {"n": 4}, **{"Idempotency-Key": "k"}) == block
        study = get(client, "a")
        assert (study["counts"]["told"], study["counts"]["open"]) == (2, 2)
        assert len(post(client, "a/tell", told(block["trials"]))["accepted"]) == 2
        assert client.delete("/v1/studies/a").status_code == 204
        assert "there is no study" in message(get(client, "a", 404))
        assert client.get("/v1/studies").json() == {"studies": []}
        created(client)


def test_enqueued_codes_are_asked_first(client):
    created(client)
    codes = [[0.5, 0.25, -0.5], [0.0, 0.0, 1.0]]
    assert post(client, "a/enqueue", {"codes": codes, "origin": "yesterday"}) == {"enqueued": 2}
    trials = post(client, "a/ask", {"n": 3})["trials"]
    first = {t["number"]: (t["code"], t["origin"]) for t in trials}
    assert [first[n] for n in (0, 1)] == [(code, "yesterday") for code in codes]
    assert "expected -1 to 1" in message(post(client, "a/enqueue", {"codes": [[5.0, 0.0, 0.0]]}, 422))
    assert "as many numbers" in message(post(client, "a/enqueue", {"codes": [[0.0], [0.0, 0.0]]}, 422))
    assert "room for" in message(post(client, "a/enqueue", {"codes": [[0.0] * 3] * 31}, 409))


def test_responses_of_all_channels_are_kept(client):
    created(client)
    trials = post(client, "a/ask", {"n": 2})["trials"]
    body = told(trials)
    body["results"][0]["response"] = [[1.0, None, 3.0], [4.0, 5.0, 6.0]]
    post(client, "a/tell", body)
    said = client.get(f"/v1/studies/a/trials/{trials[0]['number']}/response.npy")
    np.testing.assert_array_equal(np.load(io.BytesIO(said.content)), [[1.0, np.nan, 3.0], [4.0, 5.0, 6.0]])
    assert "no response" in message(get(client, f"a/trials/{trials[1]['number']}/response.npy", 404))


def test_stimuli_are_drawn_as_they_are_set(pictures):
    generator = make_generator("vqvae-cifar10")
    block = post(pictures, "p/ask", {"n": 8})
    assert [(r["image"], r["after"]) for r in block["references"]] == [(0, 4), (1, 8)]
    trial = block["trials"][0]
    image = Image.open(io.BytesIO(pictures.get(trial["stimulus_url"]).content))
    assert image.size == (128, 96)
    pixels = np.asarray(image)
    assert (pixels[:, :16] == 64).all()
    assert (pixels[:, -16:] == 64).all()
    stimulus = generator.decode(np.array([trial["code"]], np.int64))[0]
    np.testing.assert_array_equal(pixels[::3, 16:-16:3], np.rint(stimulus * 255).astype(np.uint8).transpose(1, 2, 0))
    said = pictures.get(f"/v1/studies/p/trials/{trial['number']}/stimulus.npy")
    np.testing.assert_array_equal(np.load(io.BytesIO(said.content)), stimulus)
    numbers = [t["number"] for t in block["trials"]]
    archive = pictures.get("/v1/studies/p/stimuli.zip", params={"numbers": ",".join(map(str, numbers))}).content
    with zipfile.ZipFile(io.BytesIO(archive)) as files:
        listed = json.loads(files.read("manifest.json"))["files"]
        assert [(f["name"], f["number"]) for f in listed] == [(f"p_{n:06d}.png", n) for n in numbers]
        assert all(hashlib.sha256(files.read(f["name"])).hexdigest() == f["sha256"] for f in listed)
        assert files.read(listed[0]["name"]) == pictures.get(trial["stimulus_url"]).content
    reference = pictures.get(block["references"][1]["stimulus_url"])
    assert Image.open(io.BytesIO(reference.content)).size == (128, 96)
    assert "from 0; there is no 2" in message(pictures.get("/v1/studies/p/references/2/stimulus.png").json())
    answer = {"results": [], "references": [{"presentation": 0, "value": 2.5}, {"presentation": 1, "value": None}]}
    assert post(pictures, "p/tell", answer)["counts"]["references"] == 2
    shown = get(pictures, "p/curve")["references"]
    assert [(r["presentation"], r["image"], r["value"]) for r in shown] == [(0, 0, 2.5), (1, 1, None)]
    study = get(pictures, "p")
    assert (study["natural_maximum"], study["meta"]) == (3.5, {"animal": "m1"})


def test_uploaded_images_go_through_the_encoder(pictures):
    octets = np.random.default_rng(0).integers(0, 256, (32, 32, 3), np.uint8)
    files = []
    for size in (32, 40):
        out = io.BytesIO()
        Image.fromarray(np.resize(octets, (size, size, 3))).save(out, "PNG")
        files.append(("files", (f"{size}.png", out.getvalue(), "image/png")))
    said = pictures.post("/v1/studies/p/enqueue/images", files=files[:1])
    assert said.json() == {"enqueued": 1}
    trial = post(pictures, "p/ask", {"n": 1})["trials"][0]
    assert trial["origin"] == "uploaded"
    generator = make_generator("vqvae-cifar10")
    stimulus = octets.transpose(2, 0, 1)[None].astype(np.float32) / np.float32(255)
    np.testing.assert_array_equal(trial["code"], generator.encode(stimulus)[0])
    refused = pictures.post("/v1/studies/p/enqueue/images", files=files)
    assert refused.status_code == 422
    assert "40.png: expected an image of 32 x 32 pixels" in message(refused.json())
    refused = pictures.post("/v1/studies/p/enqueue/images", files=[("files", ("x.png", b"GIF89a", "image/png"))])
    assert "x.png: expected a PNG file" in message(refused.json())


def test_codes_are_rendered_without_a_study(pictures):
    codes = [[3] * 64, [7] * 64]
    said = pictures.post(
        "/v1/render", json={"generator": "vqvae-cifar10", "codes": codes}, headers={"Accept": "application/x-npy"}
    )
    expected = make_generator("vqvae-cifar10").decode(np.array(codes, np.int64))
    np.testing.assert_array_equal(np.load(io.BytesIO(said.content)), expected)
    said = pictures.post("/v1/render", json={"generator": "vqvae-cifar10", "codes": codes})
    with zipfile.ZipFile(io.BytesIO(said.content)) as files:
        assert files.namelist() == ["000000.png", "000001.png", "manifest.json"]


@pytest.mark.parametrize(
    ("changes", "status", "words"),
    [
        ({"name": "../x"}, 422, "name"),
        ({"space": None}, 422, "a generator or a space"),
        ({"generator": "pixels"}, 422, "a generator or a space"),
        ({"space": None, "generator": "os:getcwd"}, 422, "unknown generator"),
        ({"space": None, "generator": "vqvae-cifra10"}, 422, "vqvae-cifar10"),
        ({"optimizer": "atuo"}, 422, "auto"),
        ({"budget": 0}, 422, "budget"),
        ({"budget": None, "confirm": 10}, 422, "give a budget, or set confirm to 0"),
        ({"budget": "30"}, 422, "budget"),
        ({"options": {"population": 3}}, 422, "no option population"),
        ({"typo": 1}, 422, "typo"),
        ({"weight": 1.0}, 422, "log_prior"),
        ({"references": {"every": 3}}, 422, "references need codes"),
        ({"references": {"every": 3, "codes": [[9.0, 0.0, 0.0]]}}, 422, "expected -1 to 1"),
    ],
)
def test_studies_that_cannot_be_made_leave_nothing(client, changes, status, words):
    body = {name: value for name, value in (STUDY | changes).items() if value is not None}
    said = client.post("/v1/studies", json=body)
    assert said.status_code == status, said.text
    assert words in message(said.json())
    assert client.get("/v1/studies").json() == {"studies": []}


@pytest.mark.parametrize(
    ("result", "words"),
    [
        ({"number": 0, "attempt": 2, "value": 1.0}, "there is no attempt 2"),
        ({"number": 7, "attempt": 1, "value": 1.0}, "never asked"),
        ({"number": 0, "attempt": 1, "values": [1.0, 2.0]}, "expected 1 values"),
        ({"number": 0, "attempt": 1}, "value"),
        ({"number": 0, "attempt": 1, "value": 1.0, "values": [1.0]}, "one of them"),
        ({"number": 0, "attempt": 1, "value": "1"}, "number"),
        ({"number": 0, "attempt": 1, "value": True}, "number"),
        ({"number": 0.5, "attempt": 1, "value": 1.0}, "number"),
        ({"number": 0, "attempt": 1, "value": 1.0, "response": [[1.0], [1.0, 2.0]]}, "equal lengths"),
    ],
)
def test_answers_that_do_not_fit_change_nothing(client, result, words):
    created(client)
    post(client, "a/ask", {"n": 2})
    good = {"number": 1, "attempt": 1, "value": 1.0}
    assert words in message(post(client, "a/tell", {"results": [good, result]}, 422))
    assert get(client, "a")["counts"]["told"] == 0


def test_infinity_is_refused_and_nan_is_lost(client):
    created(client)
    post(client, "a/ask", {"n": 2})
    head = {"Content-Type": "application/json"}
    for value in ("Infinity", "-1.797e308", "NaN"):
        body = f'{{"results": [{{"number": 1, "attempt": 1, "value": {value}}}]}}'
        said = client.post("/v1/studies/a/tell", content=body, headers=head)
        assert said.status_code == (200 if value == "NaN" else 422), said.text
        assert value == "NaN" or "expected numbers from -1e+100 to 1e+100" in message(said.json())
    assert get(client, "a")["counts"]["lost"] == 1


def test_a_name_is_taken(client):
    created(client)
    said = client.post("/v1/studies", json=STUDY)
    assert (said.status_code, message(said.json())[:25]) == (409, "there is a study 'a' alre")
    for path in ("b", "b/trials", "a/trials/0", "a/trials/0/stimulus.png", "a/nothing"):
        message(get(client, path, 404))


def test_what_there_is(client):
    methods = {row["name"]: row["summary"] for row in client.get("/v1/optimizers").json()["optimizers"]}
    assert {"auto", "tt", "cma"} <= set(methods)
    assert methods["cma"] != methods["cma-diagonal"]
    assert {"name": "pixels", "summary": "the 3 x 32 x 32 pixels themselves"} in client.get("/v1/generators").json()[
        "generators"
    ]
    assert client.get("/healthz").json() == {"status": "ok"}
    assert "<html" in client.get("/").text
    paths = client.get("/openapi.json").json()["paths"]
    assert {"/v1/studies", "/v1/studies/{name}/ask", "/v1/studies/{name}/events"} <= set(paths)


def test_one_s_own_generators_are_named_on_the_command_line_only(storage):
    with client_of(storage, {"mine": "mango.generators.pixels:Pixels"}) as client:
        study = client.post("/v1/studies", json={"name": "m", "generator": "mine", "budget": 5, "optimizer": "random"})
        assert study.status_code == 201, study.text
        assert client.post("/v1/studies/m/ask", json={}).json()["trials"][0]["stimulus_url"]
    with client_of(storage) as client:
        said = client.get("/v1/studies/m")
        assert (said.status_code, said.json()["error"]["kind"]) == (409, "StudyError")
        assert "start it with --generator mine=MODULE:FACTORY" in message(said.json())
        assert client.delete("/v1/studies/m").status_code == 204
        get(client, "m", 404)


def test_only_ask_and_tell_take_a_key(client):
    created(client)
    bodies = {
        "enqueue": {"codes": [[0.0, 0.0, 0.0]]},
        "veto": {"numbers": [0]},
        "fail": {"trials": [{"number": 0, "attempt": 1}]},
        "release": {"trials": [{"number": 0, "attempt": 1}]},
    }
    post(client, "a/ask", {"n": 1})
    for path, body in bodies.items():
        said = post(client, f"a/{path}", body, 422, **{"Idempotency-Key": "k"})
        assert "only ask and tell take an Idempotency-Key" in message(said)
    assert get(client, "a")["counts"]["open"] == 1


def test_nothing_is_enqueued_once_a_study_was_finished(client):
    created(client)
    post(client, "a/finish")
    said = post(client, "a/enqueue", {"codes": [[0.0, 0.0, 0.0]]}, 409)
    assert "was finished; nothing that is enqueued would be shown" in message(said)


@pytest.mark.parametrize(
    "references",
    [
        [{"presentation": 0}],
        [{"presentation": 0, "values": None}],
        [{"presentation": 0, "value": 1.0, "values": [3.0]}],
        [{"presentation": 0, "value": 1.0}, {"presentation": 0, "value": 2.0}],
    ],
)
def test_a_reference_is_told_once_and_with_a_value(client, references):
    created(client, references={"every": 1, "codes": [[0.0, 0.0, 0.0]]})
    post(client, "a/ask", {"n": 1})
    post(client, "a/tell", {"references": references}, 422)
    post(client, "a/tell", {"references": [{"presentation": 0, "value": None}]})


def test_counts_hold_while_many_ask_tell_and_steer(client):
    created(client, budget=300)

    def work(number):
        turn = 0
        while True:
            turn += 1
            key = f"{number}-{turn}"
            block = post(client, "a/ask", {"n": 5}, **{"Idempotency-Key": key})
            if not block["trials"] and block["state"] == "exhausted":
                return
            for _ in range(2):
                post(client, "a/tell", told(block["trials"]), **{"Idempotency-Key": key})
            if turn % 3 == 0:
                post(client, "a/pause")
                post(client, "a/resume")

    with ThreadPoolExecutor(4) as pool:
        for done in [pool.submit(work, number) for number in range(4)]:
            done.result(60)
    counts = get(client, "a")["counts"]
    assert (counts["asked"], counts["told"], counts["open"], counts["presentations"]) == (300, 300, 0, 300)
