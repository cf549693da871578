"""One process owns a study on PostgreSQL, and one that was taken for dead changes nothing when it comes back."""

from __future__ import annotations

import select
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from mango.errors import InputError, StorageError, StudyLocked
from mango.storage import Database, Event, Store, ownership
from mango.storage.ownership import Claim, Claims
from tests.storage.examples import ask, create

TTL = 1.2  # seconds, renewed every 0.4: a busy machine may keep a process waiting
SOON = 20.0  # seconds within which anything must have happened, on a busy machine


class Fighter:
    """The other process."""

    def __init__(self, url: str) -> None:
        path = Path(__file__).with_name("fighter.py")
        self.process = subprocess.Popen(
            [sys.executable, str(path), url, str(TTL)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def send(self, step: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(step + "\n")
        self.process.stdin.flush()

    def said(self) -> str:
        assert self.process.stdout is not None
        ready, _, _ = select.select([self.process.stdout], [], [], SOON)
        assert ready, "the other process says nothing"
        return self.process.stdout.readline().strip()

    def __call__(self, step: str) -> str:
        self.send(step)
        return self.said()


@pytest.fixture
def fighter(postgresql: str) -> Iterator[Callable[[], Fighter]]:
    started: list[Fighter] = []

    def start() -> Fighter:
        started.append(Fighter(postgresql))
        return started[-1]

    yield start
    for one in started:
        one.process.kill()
        one.process.communicate()


def _taken_over(database: Database) -> Store:
    """The study, as soon as it may be had."""
    end = time.monotonic() + SOON
    while True:
        owner = database.owner("study")
        try:
            return Store.open(database, "study")
        except StudyLocked:
            assert time.monotonic() < end
            assert owner is not None
            time.sleep(min(max(owner.remaining, 0.02), TTL))


def _waiting(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + SOON
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGSTOP], ids=["killed", "stopped"])
def test_a_dead_owner_is_followed_and_one_that_comes_back_is_fenced(
    postgresql: str, fighter: Callable[[], Fighter], end: signal.Signals
) -> None:
    create(postgresql).close()
    other, database = fighter(), Database(postgresql, ttl=TTL, owner="me")
    assert other("open") == "opened"
    assert other("append") == "appended 0"
    owner = database.owner("study")
    assert owner is not None
    assert (owner.owner, owner.address) == ("fighter", "http://fighter:8700")
    assert 0 < owner.remaining <= TTL
    with pytest.raises(StudyLocked, match=r"process fighter http://fighter:8700 owns the study 'study'"):
        Store.open(database, "study")
    other.process.send_signal(end)
    start = time.monotonic()
    store = _taken_over(database)
    assert time.monotonic() - start < TTL + 5
    ask(store, 1, range(1))
    if end is signal.SIGSTOP:
        other.process.send_signal(signal.SIGCONT)
        said = other("append")
        assert "StudyLocked: another process has taken over the study 'study'" in said
        assert "nothing of this step was stored" in said
        assert other("open").startswith("StudyLocked: the process me owns")
    ask(store, 2, range(1, 2))
    assert [(e.kind, e.sequence) for e in store.events()] == [("tell", 0), ("ask", 1), ("ask", 2)]
    owner = database.owner("study")
    assert owner is not None
    assert (owner.owner, owner.epoch) == ("me", 3)  # this test had created it, then the fighter
    database.close()


@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGSTOP], ids=["killed", "stopped"])
def test_a_dead_owner_is_followed_sooner_than_a_silent_one(
    postgresql: str, fighter: Callable[[], Fighter], end: signal.Signals, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.modules[__name__], "TTL", 8.0)
    create(postgresql).close()
    other, database = fighter(), Database(postgresql, ttl=TTL)
    assert other("open") == "opened"
    other.process.send_signal(end)
    while (owner := database.owner("study")) is not None and owner.remaining > TTL / 2 - 0.5:
        time.sleep(0.05)
    assert owner is not None
    assert owner.remaining > 0  # else the machine stood still, and this says nothing
    if end is signal.SIGKILL:
        Store.open(database, "study").close()
    else:
        with pytest.raises(StudyLocked, match="the process fighter"):
            Store.open(database, "study")
    database.close()


def test_an_owner_that_stands_still_in_a_step_does_not_keep_its_locks(
    postgresql: str, fighter: Callable[[], Fighter]
) -> None:
    create(postgresql).close()
    other, database = fighter(), Database(postgresql, ttl=TTL)
    assert other("open") == "opened"
    assert other("stand") == "standing"
    other.process.send_signal(signal.SIGSTOP)
    start = time.monotonic()
    store = _taken_over(database)
    assert time.monotonic() - start < TTL + 6
    ask(store, 0, range(1))
    other.process.send_signal(signal.SIGCONT)
    other.send("go on")
    assert other.said().startswith("StorageError: the connection to")
    assert "StudyLocked: another process has taken over" in other("append")
    assert [e.kind for e in store.events()] == ["ask"]
    database.close()


def test_a_claim_is_renewed_as_long_as_its_owner_lives(postgresql: str) -> None:
    mine, yours = Database(postgresql, ttl=TTL, owner="me"), Database(postgresql, ttl=TTL)
    store = create(mine)
    assert (first := yours.owner("study")) is not None
    end = time.monotonic() + 2 * TTL
    while time.monotonic() < end:
        with pytest.raises(StudyLocked, match="the process me owns"):
            Store.open(yours, "study")
        time.sleep(TTL / 4)
    again = yours.owner("study")
    assert again is not None
    assert (again.epoch, again.remaining > 0) == (first.epoch, True)
    assert not store.lost
    store.close()
    Store.open(yours, "study").close()  # at once: it was given back
    mine.close()
    yours.close()


def test_an_owner_notices_by_itself_that_it_was_followed(postgresql: str) -> None:
    mine = Database(postgresql, ttl=TTL)
    store = create(mine)
    with mine.writing() as connection:
        connection.exec_driver_sql("UPDATE owners SET epoch = epoch + 1, until = until + 1000")
    _waiting(lambda: store.lost)
    for write in (lambda: ask(store, 0, range(1)), lambda: store.save_snapshot(0, {}), store.delete):
        with pytest.raises(StudyLocked, match="has taken over"):
            write()
    store.close()
    owner = mine.owner("study")
    assert owner is not None
    assert owner.remaining > 900  # what is another's is not given back
    mine.close()


def test_lost_connections_are_made_again_and_the_claim_is_kept(postgresql: str, server: sa.Engine) -> None:
    me = f"me-{uuid.uuid4().hex}"
    mine, yours = Database(f"{postgresql}&application_name={me}", ttl=TTL), Database(postgresql, ttl=TTL)
    store = create(mine)

    def until() -> float:
        with yours.reading() as connection:
            return float(connection.exec_driver_sql("SELECT until FROM owners").scalar_one())

    first = until()
    _waiting(lambda: until() > first)  # the renewals have their connection
    with server.connect() as connection:
        ended = sa.text("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = :me")
        assert len(connection.execute(ended, {"me": me}).all()) >= 2
    second = until()
    _waiting(lambda: until() > second)
    _waiting(lambda: until() > second + TTL / 2)  # one renewal more: by now the lock is held anew
    with yours.writing() as connection:
        free = sa.text("SELECT pg_try_advisory_xact_lock(study_id, epoch) FROM owners")
        assert not connection.execute(free).scalar_one()
    assert not store.lost
    ask(store, 0, range(1))
    mine.close()
    yours.close()


def test_a_claim_that_takes_long_to_commit_is_not_taken_for_lost(
    postgresql: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine = Database(postgresql, ttl=0.1)
    other = create(mine, "other")  # the thread that renews runs
    take = Claims.take

    def slow(claims: Claims, connection: sa.Connection, study: int, name: str) -> Claim:
        claim = take(claims, connection, study, name)
        time.sleep(0.3)  # several renewals
        return claim

    monkeypatch.setattr(Claims, "take", slow)
    stores = [create(mine)]
    stores[0].close()
    stores.append(Store.open(mine, "study"))
    time.sleep(0.1)
    assert not stores[1].lost
    ask(stores[1], 0, range(1))
    assert not other.lost
    mine.close()


def test_a_study_deleted_under_its_owner_is_lost(postgresql: str) -> None:
    mine, yours = Database(postgresql, ttl=TTL), Database(postgresql, ttl=TTL)
    store = create(mine)
    with mine.writing() as connection:
        connection.exec_driver_sql("UPDATE owners SET until = 0")
    Store.open(yours, "study").delete()
    with pytest.raises(StudyLocked, match="or deleted it"):
        ask(store, 0, range(1))
    assert yours.owner("study") is None
    mine.close()
    yours.close()


def test_one_process_cannot_own_a_study_twice(storage: str) -> None:
    store = create(storage)
    with pytest.raises(StudyLocked):
        Store.open(storage, "study")
    store.close()
    Store.open(storage, "study").close()


def test_commits_are_durable_and_sequences_unique_without_a_claim(postgresql: str) -> None:
    store = create(postgresql)
    ask(store, 0, range(1))
    with store.database.reading() as connection:
        assert connection.exec_driver_sql("SHOW synchronous_commit").scalar() == "on"
    with pytest.raises(StorageError, match="another process wrote"):
        store.append(Event(0, "tell", 1.0, {}))
    store.close()


@pytest.mark.usefixtures("server")
def test_a_server_that_is_not_there_is_named_without_its_password() -> None:
    url = "postgresql+psycopg://me:secret@127.0.0.1:9/nothing?connect_timeout=2"
    with pytest.raises(StorageError, match="could not be read or written") as caught:
        create(url)
    assert "secret" not in str(caught.value)
    with pytest.raises(InputError, match=r"PostgreSQL \('postgresql\+psycopg://"):
        create("postgresql+psycopg2://here/database")


def test_a_driver_that_is_not_installed_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(StorageError, match=r"pip install 'mango-neuro\[postgresql\]'"):
        Database("postgresql+psycopg://here/database")


def test_a_long_name_has_a_lock_too(tmp_path: Path) -> None:
    url, name = f"sqlite:///{tmp_path}/study.db", "ü" * 150
    store = create(url, name)
    with pytest.raises(StudyLocked):
        Store.open(url, name)
    create(url, name + "2").close()
    store.close()
    assert all(len(path.name) < 255 for path in tmp_path.iterdir())
    assert ownership.LONGEST_NAME < 200
