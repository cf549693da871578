"""The studies of a process, and of several processes on one PostgreSQL: two applications stand for them here."""

from __future__ import annotations

import io
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import Any

import httpx
import numpy as np
import pytest
from fastapi.testclient import TestClient

from mango.errors import StorageError, StudyExists, StudyLocked
from mango.service.app import create_app
from mango.service.hub import Hub, NoStudy
from mango.service.schemas import StudyNew
from mango.study import Study, verify

TTL = 600.0  # seconds: no claim runs out by itself, however busy the machine
SOON = 30.0  # seconds within which anything must have happened

Make = Callable[..., TestClient]


@pytest.fixture
def make() -> Iterator[Make]:
    """Applications, each as if it were a process of its own."""
    with ExitStack() as stack:

        def make(storage: str, address: str = "") -> TestClient:
            hub = Hub(storage, owner=address or "me", address=address, ttl=TTL)
            client = stack.enter_context(TestClient(create_app(hub), base_url="http://localhost"))
            assert client.get("/v1/studies").status_code == 200  # routes are built now, not by two threads at once
            return client

        yield make


@pytest.fixture
def both(make: Make, postgresql: str) -> tuple[TestClient, TestClient]:
    """Two on one PostgreSQL; the first owns the study ``a``, of which three trials are out."""
    one, other = make(postgresql, "http://one:8700"), make(postgresql, "http://other:8700")
    created(one, "a")
    assert len(one.post("/v1/studies/a/ask", json={"n": 3}).json()["trials"]) == 3
    return one, other


def created(client: TestClient, name: str, **changes: Any) -> None:
    new = {"name": name, "space": {"kind": "box", "dim": 3}, "optimizer": "random", "budget": 30} | changes
    said = client.post("/v1/studies", json=new)
    assert said.status_code == 201, said.text


def hub_of(client: TestClient) -> Hub:
    hub: Hub = client.app.state.hub  # type: ignore[attr-defined]
    return hub


def told(*numbers: int, value: float = 1.0) -> dict[str, Any]:
    return {"results": [{"number": number, "attempt": 1, "value": value} for number in numbers]}


def run_out(client: TestClient) -> None:
    """The claims of everybody, as if their owners had stood still."""
    with hub_of(client).database.writing() as connection:
        connection.exec_driver_sql("UPDATE owners SET until = 0")


# -- several processes -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "a/ask", {"n": 1}),
        ("POST", "a/tell", told(0)),
        ("GET", "a", None),
        ("GET", "a/trials/0", None),
        ("POST", "a/pause", None),
        ("DELETE", "a", None),
    ],
)
def test_who_does_not_own_a_study_says_who_does_and_when_to_try_again(
    both: tuple[TestClient, TestClient], method: str, path: str, body: Any
) -> None:
    one, other = both
    said = other.request(method, f"/v1/studies/{path}", json=body)
    assert said.status_code == 503
    assert int(said.headers["Retry-After"]) > 0
    error = said.json()["error"]
    assert error["kind"] == "StudyLocked"
    assert "http://one:8700 owns the study 'a'" in error["message"]
    counts = one.get("/v1/studies/a").json()["counts"]
    assert (counts["asked"], counts["open"]) == (3, 3), "nothing has changed"


def test_everybody_lists_what_others_own(both: tuple[TestClient, TestClient]) -> None:
    one, other = both
    created(other, "b")
    for client in both:
        assert [study["name"] for study in client.get("/v1/studies").json()["studies"]] == ["b", "a"]
    assert one.delete("/v1/studies/a").status_code == 204
    assert [study["name"] for study in other.get("/v1/studies").json()["studies"]] == ["b"]
    assert other.post("/v1/studies/a/ask").status_code == 404


def test_a_study_without_a_budget_is_listed_and_taken_over(both: tuple[TestClient, TestClient]) -> None:
    one, other = both
    created(one, "endless", budget=None)
    assert len(one.post("/v1/studies/endless/ask", json={"n": 40}).json()["trials"]) == 40
    assert one.post("/v1/studies/endless/tell", json=told(*range(40))).json()["state"] == "running"
    listed = other.get("/v1/studies").json()["studies"][0]
    assert (listed["name"], listed["budget"], listed["state"]) == ("endless", None, "running")
    hub_of(one).close()
    assert len(other.post("/v1/studies/endless/ask", json={"n": 40}).json()["trials"]) == 40
    assert other.post("/v1/studies/endless/finish").json()["state"] == "finished"


def test_an_owner_that_ends_hands_over_at_once(both: tuple[TestClient, TestClient]) -> None:
    one, other = both
    assert one.post("/v1/studies/a/tell", json=told(0)).json()["accepted"] == [0]
    hub_of(one).close()
    assert other.post("/v1/studies/a/tell", json=told(0, 1)).json() | {"counts": 0} == {
        "accepted": [1],
        "late": [],
        "repeated": [0],
        "state": "running",
        "counts": 0,
    }
    numbers = [trial["number"] for trial in other.post("/v1/studies/a/ask", json={"n": 2}).json()["trials"]]
    assert sorted(numbers) == [3, 4], "trial 2 is still out"


def test_an_owner_that_was_taken_for_dead_changes_nothing(both: tuple[TestClient, TestClient], postgresql: str) -> None:
    one, other = both
    created(one, "b")
    run_out(one)
    assert other.post("/v1/studies/a/tell", json=told(0, value=2.0)).json()["accepted"] == [0]
    stale = hub_of(one).get("a")
    said = one.post("/v1/studies/a/tell", json=told(0, 1, value=3.0))
    assert said.status_code == 503
    assert "has taken over the study 'a'" in said.json()["error"]["message"]
    again = one.post("/v1/studies/a/ask")
    assert (again.status_code, "http://other:8700 owns" in again.json()["error"]["message"]) == (503, True)
    assert stale.gone, "its event streams end"
    assert len(one.post("/v1/studies/b/ask", json={"n": 2}).json()["trials"]) == 2, "it serves other studies on"
    trials = other.get("/v1/studies/a/trials").json()["trials"]
    assert [(trial["state"], trial["value"]) for trial in trials] == [("done", 2.0), ("open", None), ("open", None)]
    assert [event.kind for event in hub_of(other).get("a").study.store.events()] == ["ask", "tell"]
    assert verify(None, storage=postgresql, name="a") is None


def test_idempotency_keys_hold_for_whoever_takes_over(both: tuple[TestClient, TestClient]) -> None:
    one, other = both
    asked, said = ({"Idempotency-Key": key} for key in ("ask", "tell"))
    block = one.post("/v1/studies/a/ask", json={"n": 2}, headers=asked).json()
    receipt = one.post("/v1/studies/a/tell", json=told(0), headers=said).json()
    run_out(one)
    assert other.post("/v1/studies/a/ask", json={"n": 2}, headers=asked).json()["trials"] == block["trials"]
    assert other.post("/v1/studies/a/tell", json=told(0), headers=said).json() == receipt
    assert other.post("/v1/studies/a/tell", json=told(1), headers=said).status_code == 409


# -- one name ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("several", [False, True], ids=["one process", "two processes"])
def test_of_those_who_make_a_name_at_once_one_does(make: Make, several: bool, request: pytest.FixtureRequest) -> None:
    storage = request.getfixturevalue("postgresql" if several else "url")
    clients = [make(storage, "http://one:8700"), make(storage, "http://other:8700")] if several else [make(storage)]
    gate = threading.Barrier(8)
    new = {"name": "a", "space": {"kind": "box", "dim": 2}, "optimizer": "random", "budget": 4}

    def attempt(i: int) -> httpx.Response:
        gate.wait(SOON)
        return clients[i % len(clients)].post("/v1/studies", json=new | {"seed": i})

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(attempt, range(8)))
    assert sorted(answer.status_code for answer in answers) == [201] + [409] * 7
    seeds = [study["seed"] for client in clients if "seed" in (study := client.get("/v1/studies/a").json())]
    assert seeds == [answer.json()["seed"] for answer in answers if answer.status_code == 201]


def test_a_study_half_made_is_unmade(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    hub = Hub(url)
    new = StudyNew.model_validate(
        {"name": "a", "space": {"kind": "box", "dim": 1}, "budget": 9, "references": {"every": 3, "codes": [[0.5]]}}
    )

    def full(*_: object) -> None:
        raise StorageError("the disk is full")

    with monkeypatch.context() as patched:
        patched.setattr(Study, "interleave", full)
        with pytest.raises(StorageError, match="full"):
            hub.create(new)
    with pytest.raises(NoStudy):
        hub.get("a")
    hub.create(new)
    with pytest.raises(StudyExists):
        hub.create(new)
    hub.close()


def test_a_study_deleted_while_it_is_listed_is_left_out(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    hub = Hub(url)
    for name in ("a", "b"):
        hub.create(StudyNew.model_validate({"name": name, "space": {"kind": "box", "dim": 1}, "budget": 9}))
    known = hub.database.studies()
    hub.delete("a")
    monkeypatch.setattr(hub.database, "studies", lambda: known)
    assert [study["name"] for study in hub.studies()] == ["b"]
    hub.close()


def test_a_study_that_takes_long_to_open_keeps_no_other_waiting(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    first = Hub(url)
    names = ["a", next(name for name in map(str, range(99)) if first._locked(name) is not first._locked("a"))]
    for name in names:
        first.create(StudyNew.model_validate({"name": name, "space": {"kind": "box", "dim": 1}, "budget": 9}))
    first.close()
    hub, opening, go_on, resume = Hub(url), threading.Event(), threading.Event(), Study.resume

    def slowly(source: Any, *, storage: Any, name: str) -> Study:
        if name == "a":
            opening.set()
            assert go_on.wait(SOON)
        return resume(source, storage=storage, name=name)

    monkeypatch.setattr(Study, "resume", slowly)
    with ThreadPoolExecutor(2) as pool:
        slow = pool.submit(hub.get, "a")
        assert opening.wait(SOON)
        assert pool.submit(hub.get, names[1]).result(SOON).name == names[1]
        assert hub.here("a") is None
        go_on.set()
        assert slow.result(SOON) is hub.here("a") is hub.get("a")
    hub.close()


def test_an_sqlite_file_has_one_service(url: str) -> None:
    one, other = Hub(url), Hub(url)
    one.create(StudyNew.model_validate({"name": "a", "space": {"kind": "box", "dim": 1}, "budget": 9}))
    with pytest.raises(StudyLocked, match="another process owns the study 'a'"):
        other.get("a")
    one.close()
    assert other.get("a").name == "a"
    other.close()


def test_series_are_served_as_arrays(make: Make, url: str) -> None:
    client = make(url)
    created(client, "a", space=None, generator="series:bandlimited:trace:8")
    assert client.post("/v1/studies/a/ask", json={"n": 1}).status_code == 200
    answer = client.get("/v1/studies/a/trials/0/stimulus.npy")
    assert np.load(io.BytesIO(answer.content)).shape == (1, 275)
    said = client.get("/v1/studies/a/trials/0/stimulus.png")
    assert said.status_code == 422
    assert "ask for them as .npy" in said.text
