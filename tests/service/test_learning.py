"""A tell is answered before it is learned: what the optimizer takes, or raises, keeps nobody who tells waiting."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from mango.service import hosted
from mango.study import Study, verify
from tests.learner import Learner
from tests.service.serving import serving, until
from tests.service.wire import client_of

STUDY = {"name": "a", "space": {"kind": "box", "dim": 3}, "budget": 60}
ANSWERED = 'mango_http_requests_total{method="POST",route="/v1/studies/{name}/tell",status="200"}'


@pytest.fixture
def service(learner, url):
    """A client of a service with a study of the learner, and the URL of its database."""
    with serving(url) as at, client_of(f"{at}/v1") as client:
        assert client.post("/studies", json=STUDY | {"optimizer": learner}).status_code == 201
        yield client, url


@pytest.fixture
def held(monkeypatch):
    """Two events: the optimizer has begun to learn; it may go on."""
    began, go_on = threading.Event(), threading.Event()
    learn = Learner._learn

    def slowly(self, batch):
        began.set()
        assert go_on.wait(60)
        learn(self, batch)

    monkeypatch.setattr(Learner, "_learn", slowly)
    yield began, go_on
    go_on.set()


def ask(client, n=3):
    return client.post("/studies/a/ask", json={"n": n})


def tell(client, trials):
    results = [{"number": t["number"], "attempt": t["attempt"], "value": sum(t["code"])} for t in trials]
    return client.post("/studies/a/tell", json={"results": results})


def counted(client):
    text = client.get(str(client.base_url).removesuffix("/v1/") + "/metrics").text
    return sum(float(line.split()[-1]) for line in text.splitlines() if line.startswith(ANSWERED))


def test_answers_are_taken_and_counted_while_the_optimizer_learns(service, held):
    client, url = service
    began, go_on = held
    trials = ask(client, 6).json()["trials"]
    assert tell(client, trials[:2]).json()["accepted"] == sorted(t["number"] for t in trials[:2])
    assert began.wait(60)  # though nobody asks
    assert tell(client, trials[2:]).status_code == 200
    assert counted(client) == 2
    assert client.get("/studies/a/trials").json()["trials"][0]["state"] == "done"
    with ThreadPoolExecutor(1) as pool:
        asking = pool.submit(ask, client)
        assert not asking.done()
        go_on.set()
        assert tell(client, asking.result(60).json()["trials"]).status_code == 200
    assert client.delete("/studies/none").status_code == 404
    assert verify(None, storage=url, name="a") is None


def test_who_asks_at_once_finds_nothing_left_to_learn(service, monkeypatch):
    client, _ = service
    monkeypatch.setattr(hosted, "SOON", 2.0)
    learned = []
    learn = Learner._learn
    monkeypatch.setattr(Learner, "_learn", lambda self, batch: learned.append(len(batch.ids)) or learn(self, batch))
    trials = ask(client).json()["trials"]
    assert tell(client, trials).status_code == 200
    assert learned == []
    assert ask(client).status_code == 200
    assert learned == [3]


def test_what_the_optimizer_raises_is_logged_and_only_asks_fail(service, monkeypatch, caplog):
    client, url = service
    trials = ask(client, 6).json()["trials"]
    with monkeypatch.context() as patched:
        patched.setattr(Learner, "_learn", lambda *_: 1 / 0)
        assert tell(client, trials[:3]).status_code == 200
        assert until(lambda: [r for r in caplog.records if r.exc_info and r.exc_info[0] is ZeroDivisionError])
        assert tell(client, trials[3:]).status_code == 200
        for _ in range(2):
            assert ask(client).status_code == 500
        assert client.get("/studies/a/trials", params={"state": "done"}).json()["trials"][-1]["number"] == 5
        seen = client.get("/studies/a").json()
        assert seen["recommended"]["number"] == seen["best"]["number"]
    assert len(ask(client).json()["trials"]) == 3
    assert verify(None, storage=url, name="a") is None


def test_it_stops_while_the_optimizer_learns(learner, url, held):
    began, go_on = held
    with serving(url) as at, client_of(f"{at}/v1") as client:
        client.post("/studies", json=STUDY | {"optimizer": learner})
        assert tell(client, ask(client).json()["trials"]).status_code == 200
        assert began.wait(60)
        threading.Timer(0.5, go_on.set).start()
    with Study.resume(None, storage=url, name="a") as study:
        assert study.counts()["done"] == 3
        assert [trial.number for trial in study.ask(2)] == [3, 4]
    assert verify(None, storage=url, name="a") is None
