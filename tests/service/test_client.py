"""`mango.Client` against a real service at a real port."""

from __future__ import annotations

import math
import signal
import socket
import subprocess
import sys
import threading
import time

import httpx
import numpy as np
import pytest

from mango import Client, LocalEvaluator, Result, SearchSpace, Study, TrialState, make_generator, run
from mango.configuration import same_space
from mango.errors import (
    InputError,
    ServiceError,
)
from tests.service.between import LOSE, between
from tests.service.serving import serving
from tests.studies import answer, content

GENERATOR = "identity:box:4"
PATIENCE = 60  # seconds; a machine may be busy


class Noisy:
    """Has noise that follows from the seeds, keys, and now and then no value."""

    batch_size = 5

    def respond(self, stimuli, seeds):
        noise = np.array([np.random.default_rng(int(seed)).normal() for seed in seeds])
        values = -np.square(stimuli).sum(1) + 0.1 * noise
        return np.where(noise > 1.8, np.nan, values), noise


@pytest.fixture(scope="module")
def url(tmp_path_factory):
    with serving(f"sqlite:///{tmp_path_factory.mktemp('client')}/mango.db") as url:
        yield url


@pytest.fixture
def name(request):
    return request.node.name.translate({ord("["): "-", ord("]"): None})[:90]


@pytest.fixture
def study(url, name):
    """A client of a fresh study of this test."""
    with Client.create(url, name, space=SearchSpace.box(3), budget=30, optimizer="random") as client:
        yield client


@pytest.fixture
def broken(url):
    with between(url) as one:
        yield one


def told(trials):
    return [answer(trial) for trial in trials]


# -- as a study here ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("optimizer", ["random", "cma"])
def test_a_run_elsewhere_is_the_run_here_trial_by_trial(url, name, optimizer):
    settings = {"budget": 60, "optimizer": optimizer, "seed": 7, "batch": 8, "repeats": 2}
    generator, target = make_generator(GENERATOR), Noisy()
    with Client.create(url, name, generator=GENERATOR, ordered=True, **settings) as client:
        told = []
        run(client, LocalEvaluator(generator, target), callbacks=[lambda _, results: told.extend(results)])
        here = Study(generator, **settings)
        run(here, LocalEvaluator(generator, target))
        assert content(client) == content(here)
        assert [record.key for record in client.trials()] == pytest.approx([r.key for r in here.trials()], nan_ok=True)
        assert sorted(result.number for result in told) == list(range(30))
        assert (client.finished, client.state, client.held) == (True, "exhausted", {})
        assert client.counts() == here.counts()
        assert client.best().number == here.best().number
        assert client.recommended().number == here.best().number
        assert client.ask(3) == []


def test_a_study_without_a_budget_is_answered_until_it_is_finished(url, name):
    def enough(study, _):
        if study.counts()["done"] + study.counts()["lost"] >= 60:
            study.finish()

    settings = {"budget": None, "optimizer": "cma", "seed": 7, "batch": 8}
    generator = make_generator(GENERATOR)
    here = Study(generator, **settings)
    run(here, LocalEvaluator(generator, Noisy()), callbacks=[enough])
    with Client.create(url, name, generator=GENERATOR, ordered=True, **settings) as client:
        run(client, LocalEvaluator(generator, Noisy()), callbacks=[enough])
        assert content(client) == content(here)
        assert (client.budget, client.state) == (None, "finished")
        assert client.counts() == here.counts()


def test_the_final_choice_elsewhere_is_the_one_here(url, name):
    settings = {"budget": 80, "optimizer": "random", "seed": 7, "batch": 8, "leaders": 0.2, "confirm": 30}
    generator = make_generator(GENERATOR)
    here = Study(generator, **settings)
    run(here, LocalEvaluator(generator, Noisy()))
    with Client.create(url, name, generator=GENERATOR, ordered=True, **settings) as client:
        assert client.confirmed() is None
        run(client, LocalEvaluator(generator, Noisy()))
        assert content(client) == content(here)
        there, chosen = client.confirmed(), here.confirmed()
        assert (there.number, there.presentations) == (chosen.number, chosen.presentations)
        assert (there.value, there.error) == (chosen.value, chosen.error)
        assert np.array_equal(there.code, chosen.code)
        assert client.recommended().number == chosen.number


def test_trials_are_those_of_a_study(study):
    trials = study.ask(4)
    assert [trial.code.dtype for trial in trials] == [np.float64] * 4
    assert all(time.time() < trial.until <= time.time() + 600 for trial in trials)
    assert study.held == {trial.number: 1 for trial in trials}
    study.tell(told(trials))
    record, trial = study.record(2), next(trial for trial in trials if trial.number == 2)
    assert (record.state, record.code.tolist(), record.origin) == ("done", trial.code.tolist(), trial.origin)
    assert study.held == {}


@pytest.mark.parametrize(
    "space",
    [
        SearchSpace.box(3, -0.1, 1 / 3, prior="normal"),
        SearchSpace.grid(2, 5),
        SearchSpace.codebook(4, 3, embedding=np.arange(6).reshape(3, 2) / 7, layout=(2, 2)),
    ],
    ids=["box", "grid", "codebook"],
)
def test_a_space_comes_back_as_it_was_given(url, name, space):
    with Client.create(url, name, space=space, budget=5, optimizer="random") as client:
        assert same_space(client.space, space)
        [trial] = client.ask(1)
        assert trial.code.dtype == space.dtype
        space.validate(trial.code[None])
        assert client.stimulus_shape is None


def test_a_space_whose_axes_differ_needs_a_generator(url):
    with pytest.raises(InputError, match="axes are all alike"):
        Client.create(url, "mixed", space=SearchSpace.box(2, [-1, 0], [1, 1]), budget=5)


def test_trials_come_in_pages_that_are_not_too_large(url, name, monkeypatch):
    monkeypatch.setattr("mango.service.client.NUMBERS", 12)
    with Client.create(url, name, space=SearchSpace.box(3), budget=30, optimizer="random") as client:
        client.ask(30)
        limits, content = [], client._calls.content

        def noting(*words, query=None, **more):
            limits.append((query or {}).get("limit"))
            return content(*words, query=query, **more)

        monkeypatch.setattr(client._calls, "content", noting)
        assert [record.number for record in client.trials()] == list(range(30))
        assert limits == [4] * 8


def test_what_can_be_told_besides_values(url, name):
    codes = [[0.0] * 3, [0.5] * 3]
    references = {"every": 2, "codes": codes}
    settings = {"budget": 30, "optimizer": "random", "repeats": 2, "references": references}
    with Client.create(url, name, space=SearchSpace.box(3), **settings) as client:
        block = client.hand_out(4, lease=60)
        assert [(r.presentation, r.image, r.after) for r in block.references] == [(0, 0, 2), (1, 1, 4)]
        assert max(trial.until for trial in block.trials) <= time.time() + 60
        attempts = {trial.number: trial.attempt for trial in block.trials}
        results = [
            Result(0, attempts[0], (1.0, math.nan), keys=(0.5, math.nan), seconds=0.25),
            Result(1, attempts[1], (math.nan, math.nan)),
            Result(2, attempts[2], (), status=TrialState.FAILED, seconds=3.0, reason="the shutter stuck"),
        ]
        receipt = client.take_in(results, references={0: [4.0, 5.0]}, responses={0: np.array([[1.0, math.nan]] * 2)})
        assert (receipt.accepted, receipt.late, receipt.repeated) == ([0, 1, 2], [], [])
        assert client.take_in(results).repeated == [0, 1, 2]
        first, second, third, fourth = client.trials()
        assert (first.value, first.key, first.seconds) == (1.0, 0.5, 0.25)
        assert (second.state, third.state, fourth.state) == ("lost", "failed", "open")
        assert (third.reason, third.seconds, third.values) == ("the shutter stuck", 3.0, ())
        assert client.held == {3: 1}
        response = httpx.get(f"{url}/v1/studies/{name}/trials/0/response.npy").content
        assert response.endswith(np.array([[1.0, math.nan]] * 2).tobytes())


def test_a_study_is_steered(study):
    study.pause()
    assert (study.state, study.ask(2), study.finished) == ("paused", [], False)
    study.unpause()
    study.enqueue([[0.5, 0.25, -0.5]], origin="yesterday")
    trials = {trial.number: trial for trial in study.ask(4)}
    assert (trials[0].code.tolist(), trials[0].origin) == ([0.5, 0.25, -0.5], "yesterday")
    assert study.veto([0, 1], "too bright") == [0, 1]
    assert study.record(1).reason == "too bright"
    assert sorted(study.held) == [2, 3]
    assert study.release({2: 1}) == [2]
    again = study.ask(1)[0]
    assert (again.number, again.attempt) == (2, 2)
    study.finish()
    assert (study.finished, study.state) == (True, "finished")
    study.tell([answer(trials[3])])
    assert study.counts()["done"] == 1


def test_stimuli_come_as_arrays_and_as_pictures(url, name):
    with Client.create(url, name, generator="pixels", budget=5, optimizer="random") as client:
        [trial] = client.ask(1)
        expected = make_generator("pixels").decode(trial.code[None])[0]
        np.testing.assert_array_equal(client.stimulus(trial.number), expected)
        assert client.png(trial.number).startswith(b"\x89PNG")
        assert client.stimulus_shape == (3, 32, 32)


# -- several clients, and services that come and go -------------------------------------------------------------------


def test_an_empty_ask_is_followed_by_another_ever_more_slowly(study, url):
    study.ask(30)
    with Client(url, study.name) as other:
        waits = []
        for _ in range(8):
            assert other.ask(1) == []
            waits.append(other.patience)
    assert waits == [0.05, 0.1, 0.2, 0.4, 0.8, 1.6, 2.0, 2.0]
    assert (study.patience, study.finished) == (2.0, False)


def test_several_clients_answer_one_study_to_its_end(url, name):
    """The batches are so small that there is often nothing for one of them."""
    generator, together, answered = make_generator(GENERATOR), threading.Barrier(2), {}
    settings = {"budget": 42, "batch": 3, "optimizer": "cma", "ordered": True}
    with Client.create(url, name, generator=GENERATOR, **settings) as first:

        class Target:
            met = False

            def respond(self, stimuli):
                if not self.met:
                    together.wait(PATIENCE)  # each has had a trial
                    self.met = True
                return -np.square(stimuli).sum(1)

        def work(who):
            with Client(url, name) as client, LocalEvaluator(generator, Target(), chunk=3) as evaluator:
                numbers = answered[who] = []
                run(client, evaluator, callbacks=[lambda _, results: numbers.extend(r.number for r in results)])

        threads = [threading.Thread(target=work, args=(who,)) for who in "ab"]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(PATIENCE)
            assert not thread.is_alive()
        assert min(map(len, answered.values())) > 0
        assert sorted(answered["a"] + answered["b"]) == list(range(42))
        assert first.counts()["done"] == 42
        assert first.finished
        assert all(record.attempt == 1 for record in first.trials())


def test_what_a_client_gives_back_others_have_at_once(study, broken):
    with Client(broken.url, study.name, retry_for=0) as client:
        client.space  # noqa: B018
        kept = client.ask(2)
        broken.plans.append(LOSE)
        with pytest.raises(ServiceError, match="does not answer"):
            client.ask(3)
        assert client.give_back() == [0, 1, 2, 3, 4]  # those that it never heard of, too
        assert (client.held, client.give_back()) == ({}, [])
    again = study.ask(5)
    assert sorted((trial.number, trial.attempt) for trial in again) == [(n, 2) for n in range(5)]
    study.tell([answer(kept[0])])  # it was shown all the same, and nobody else has answered yet
    assert study.counts()["done"] == 1


def test_a_lease_that_ends_passes_a_trial_on(study, url):
    with Client(url, study.name, lease=0.05) as slow:
        [trial] = slow.ask(1)
        time.sleep(0.06)
        [again] = study.ask(1)
        assert (again.number, again.attempt) == (trial.number, 2)
        study.tell([answer(again, 1.0)])
        receipt = slow.take_in([answer(trial, 3.0)])
        assert (receipt.accepted, receipt.late) == ([], [0])
        assert slow.record(0).value == 1.0


def test_run_sees_that_somebody_ended_the_study(study, url):
    """The only trials are with a client that never answers; a person ends the study meanwhile."""
    study.ask(30)
    asked = threading.Event()

    class Waiting(Client):
        def ask(self, n):
            trials = super().ask(n)
            asked.set()
            return trials

    with Waiting(url, study.name) as client:
        thread = threading.Thread(target=run, args=(client, LocalEvaluator(make_generator("identity:box:3"), Noisy())))
        thread.start()
        assert asked.wait(PATIENCE)
        study.finish()
        thread.join(PATIENCE)
        assert not thread.is_alive()
        assert client.state == "finished"


@pytest.mark.slow
@pytest.mark.usefixtures("ray_here")
def test_ray_workers_answer_a_study_elsewhere(url, name):
    from mango import RayEvaluator

    settings = {"budget": 40, "batch": 10, "optimizer": "cma", "seed": 1}
    with (
        Client.create(url, name, generator=GENERATOR, ordered=True, **settings) as client,
        RayEvaluator(GENERATOR, "sphere", workers=2, chunk=5) as evaluator,
    ):
        run(client, evaluator)
        here = Study(make_generator(GENERATOR), **settings)
        run(here, LocalEvaluator(GENERATOR, "sphere", chunk=5))
        assert content(client) == content(here)


@pytest.mark.slow
def test_a_service_that_is_killed_and_started_again_in_the_middle(tmp_path):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    url, storage = f"http://127.0.0.1:{port}", f"sqlite:///{tmp_path}/mango.db"
    command = [sys.executable, "-c", "from mango.cli import app; app()", "serve", "--port", port, "--storage", storage]

    def serve():
        with (tmp_path / "log").open("ab") as log:
            return subprocess.Popen([str(word) for word in command], stdout=log, stderr=log)

    settings = {"budget": 60, "batch": 6, "optimizer": "cma", "seed": 4}
    generator, kills, services = make_generator(GENERATOR), [12, 30], [serve()]
    try:

        def kill(_, results):
            if kills and max(result.number for result in results) >= kills[0]:
                kills.pop(0)
                services[-1].send_signal(signal.SIGKILL)
                services[-1].wait(PATIENCE)
                services.append(serve())

        tried = []
        with Client.create(url, "a", generator=GENERATOR, ordered=True, **settings):
            pass
        with Client(url, "a", retry_for=PATIENCE, on_retry=lambda *said: tried.append(said)) as client:
            run(client, LocalEvaluator(generator, Noisy()), callbacks=[kill])
            here = Study(generator, **settings)
            run(here, LocalEvaluator(generator, Noisy()))
            assert kills == []
            assert len(tried) >= 2
            assert content(client) == content(here)
    finally:
        for service in services:
            service.kill()
            service.wait(PATIENCE)
