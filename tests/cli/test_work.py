"""`mango work` against a real service at a real port."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from mango import Client, LocalEvaluator, Study, make_generator, make_target, run
from mango.cli import app
from mango.cli.work import Away, Shift, giving_back
from mango.service.security import SecuritySettings, Tokens
from tests.service.serving import serving
from tests.studies import answer, content

ROOT = Path(__file__).parents[2]
GENERATOR = "identity:box:4"
PATIENCE = 60  # seconds; a machine may be busy


class Gated:
    """Answers two calls, then waits until the file that GATE names is there."""

    batch_size = 5
    calls = 0

    def respond(self, stimuli):
        self.calls += 1
        while self.calls > 2 and not os.path.exists(os.environ["GATE"]):
            time.sleep(0.02)
        return -np.square(stimuli).sum(1)


@pytest.fixture(scope="module")
def url(tmp_path_factory):
    with serving(f"sqlite:///{tmp_path_factory.mktemp('work')}/mango.db") as url:
        yield url


@pytest.fixture
def study(url, request):
    name = request.node.name.translate({ord("["): "-", ord("]"): None})
    settings = {"budget": 40, "batch": 10, "optimizer": "cma", "seed": 2, "ordered": True}
    with Client.create(url, name, generator=GENERATOR, **settings) as client:
        yield client


@pytest.fixture
def gate(tmp_path):
    return tmp_path / "gate"


def mango(*words):
    return CliRunner().invoke(app, [str(word) for word in words])


def process(url, study, gate, workers=0):
    """One that evaluates with a `Gated` target."""
    command = [sys.executable, "-c", "from mango.cli import app; app()", "work", url, "--study", study]
    command += ["--target", "tests.cli.test_work:Gated", "--workers", str(workers)]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen(command, cwd=ROOT, env=os.environ | {"GATE": str(gate)}, **pipes)


def wait_until(true):
    deadline = time.monotonic() + PATIENCE
    while not true():
        assert time.monotonic() < deadline, "it never came"
        time.sleep(0.02)


def test_a_study_is_evaluated_to_its_end(url, study):
    ran = mango("work", url, "--study", study.name, "--target", "sphere", "--workers", 0)
    assert ran.exit_code == 0, ran.output
    best = study.best()
    assert ran.stdout.startswith(f"{study.name}: exhausted, 40 of 40 presentations answered; 40 trials here; best ")
    assert ran.stdout.endswith(f", trial {best.number}\n")
    assert f"{study.name}: starting 0/40" in ran.stderr
    assert f"{study.name}: evaluating 40/40, best " in ran.stderr
    configuration = {"budget": 40, "batch": 10, "optimizer": "cma", "seed": 2}
    here = Study(make_generator(GENERATOR), **configuration)
    run(here, LocalEvaluator(GENERATOR, "sphere"))
    assert content(study) == content(here)
    ran = mango("work", url, "--study", study.name, "--target", "sphere", "--workers", 0, "--json")
    found = json.loads(ran.stdout)
    assert (found["state"], found["answered_here"], found["counts"]["done"]) == ("exhausted", 0, 40)
    assert found["best"] == {"number": best.number, "value": best.value}


def test_a_study_without_a_budget_is_evaluated_until_it_is_finished(url):
    with Client.create(url, "endless", generator=GENERATOR, budget=None, optimizer="random") as study:
        ended = []

        def end():
            wait_until(lambda: study.counts()["done"] >= 60)
            study.finish()
            ended.append(study.counts()["presentations"])

        person = threading.Thread(target=end)
        person.start()
        ran = mango("work", url, "--study", "endless", "--target", "sphere", "--workers", 0)
        person.join(PATIENCE)
        assert ran.exit_code == 0, ran.output
        count = study.counts()["presentations"]
        assert count >= ended[0] >= 60
        assert ran.stdout.startswith(f"endless: finished, {count:,} presentations answered; {count:,} trials here; ")
        assert "endless: evaluating" in ran.stderr
        assert not {"/", "left"} & set(ran.stderr.replace("/s", "").replace("/", " / ").split())
        ran = mango("work", url, "--study", "endless", "--target", "sphere", "--workers", 0, "--json")
        assert "budget" not in json.loads(ran.stdout)["counts"]


@pytest.mark.slow
@pytest.mark.usefixtures("ray_here")
def test_ray_workers_evaluate_it(url, study):
    ran = mango("work", url, "--study", study.name, "--target", "sphere", "--workers", 2, "--chunk", 5)
    assert ran.exit_code == 0, ran.output
    assert (study.state, study.counts()["done"]) == ("exhausted", 40)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"--generator": "identity:box:5"}, "than that of the generator identity:box:5 (5 axes from -5 to 5): it was"),
        ({"--generator": "identity:bx:4"}, "identity"),
        ({"--target": "spere"}, "did you mean sphere?"),
        ({"--study": "nobody"}, "there is no study 'nobody'"),
        ({"--time-limit": "3"}, "a time limit needs workers"),
    ],
    ids=["space", "generator", "target", "study", "options"],
)
def test_what_does_not_fit_is_said_and_takes_no_trial(url, study, changed, message):
    words = {"--study": study.name, "--target": "sphere", "--workers": "0"} | changed
    ran = mango("work", url, *(word for pair in words.items() for word in pair))
    assert (ran.exit_code, ran.stdout) == (2, "")
    assert message in ran.stderr
    assert study.counts()["asked"] == 0


def test_a_study_without_a_generator_needs_one_here(url):
    with Client.create(url, "bare", space=make_generator(GENERATOR).space, budget=20, optimizer="random") as bare:
        words = ["work", url, "--study", "bare", "--target", "sphere", "--workers", 0]
        ran = mango(*words)
        assert (ran.exit_code, "no generator; give --generator" in ran.stderr) == (2, True)
        assert mango(*words, "--generator", GENERATOR).exit_code == 0
        assert bare.counts()["done"] == 20


def test_a_token_comes_from_a_file(tmp_path, monkeypatch):
    monkeypatch.delenv("MANGO_TOKEN", raising=False)
    token, file = "w" * 20, tmp_path / "token"
    file.write_text(f"{token}\n")
    with serving(f"sqlite:///{tmp_path}/mango.db", security=SecuritySettings(tokens=Tokens.of(write=[token]))) as url:
        Client.create(url, "a", generator=GENERATOR, budget=10, optimizer="random", token=token).close()
        words = ["work", url, "--study", "a", "--target", "sphere", "--workers", 0]
        ran = mango(*words)
        assert (ran.exit_code, "needs a token" in ran.stderr) == (2, True)
        assert mango(*words, "--token-file", file).exit_code == 0


def test_a_target_that_fails_gives_back_what_was_out(url, study, monkeypatch):
    def respond(self, stimuli):  # noqa: ARG001
        raise RuntimeError("the electrode fell out")

    monkeypatch.setattr(Gated, "respond", respond)
    ran = mango("work", url, "--study", study.name, "--target", "tests.cli.test_work:Gated", "--workers", 0)
    assert ran.exit_code == 2
    assert "failed: 5 trials were given back" in ran.stderr
    assert "the electrode fell out" in ran.stderr
    assert [trial.attempt for trial in study.ask(5)] == [2] * 5


@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_and_sigterm_give_back_what_was_out(url, study, gate, stop):
    worker = process(url, study.name, gate)
    try:
        wait_until(lambda: study.counts()["done"] == 10 and study.counts()["open"] == 10)
        worker.send_signal(stop)
        _, said = worker.communicate(timeout=PATIENCE)
    finally:
        worker.kill()
        worker.communicate()
    assert worker.returncode == 128 + stop, said
    assert "stopped: 5 trials were given back" in said
    again = {trial.number: trial.attempt for trial in study.ask(10)}
    assert sorted(again) == list(range(10, 20))
    assert sorted(again.values()) == [1] * 5 + [2] * 5


@pytest.mark.slow
def test_sigterm_gives_back_what_ray_workers_have(url, study, gate):
    """Ray has a handler of its own, which only exits."""
    worker = process(url, study.name, gate, workers=1)
    try:
        wait_until(lambda: study.counts()["done"] == 10 and study.counts()["open"] == 10)
        worker.send_signal(signal.SIGTERM)
        _, said = worker.communicate(timeout=PATIENCE)
    finally:
        worker.kill()
        worker.communicate()
    assert worker.returncode == 128 + signal.SIGTERM, said
    assert "stopped: 10 trials were given back" in said


def test_a_restart_of_the_service_is_survived(tmp_path, gate):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    storage = f"sqlite:///{tmp_path}/mango.db"
    with serving(storage, port=port) as url:
        study = Client.create(url, "a", generator=GENERATOR, budget=40, optimizer="random")
        worker = process(url, "a", gate)
        wait_until(lambda: study.counts()["done"] == 10 and study.counts()["open"] == 5)
    said = []
    reader = threading.Thread(target=lambda: said.extend(worker.stderr))
    reader.start()
    try:
        gate.touch()
        wait_until(lambda: any("does not answer" in line for line in said))
        with serving(storage, port=port):
            assert worker.wait(PATIENCE) == 0
            reader.join(PATIENCE)
            assert any("the service answers again" in line for line in said)
            assert [record.attempt for record in study.trials()] == [1] * 40
            assert study.counts()["done"] == 40
    finally:
        worker.kill()
        worker.wait(PATIENCE)
        reader.join(PATIENCE)
        worker.stdout.close()
        worker.stderr.close()
        study.close()


def test_what_cannot_be_given_back_is_said(tmp_path, capsys):
    with serving(f"sqlite:///{tmp_path}/mango.db") as url:
        Client.create(url, "a", generator=GENERATOR, budget=10, optimizer="random").close()
        client = Client(url, "a", retry_for=0)
        assert len(client.ask(3)) == 3
    with client, pytest.raises(KeyboardInterrupt), giving_back(client):
        raise KeyboardInterrupt
    said = capsys.readouterr().err
    assert said.startswith(f"stopped: {url} does not answer: ")
    assert said.endswith("; 3 trials are handed out again when their lease ends\n")


def test_it_says_what_it_waits_for(url, study):
    stages = []
    with Client(url, study.name) as other:
        out = study.ask(40)
        shift = Shift(other, lambda progress: stages.append((progress.stage, progress.done, progress.total)), Away())
        assert shift.ask(5) == []
        study.pause()
        assert shift.ask(5) == []
        study.unpause()
        study.tell([answer(trial) for trial in out])
        trials = shift.ask(5)
        shift.tell([answer(trial) for trial in trials])
        assert (len(trials), shift.answered) == (5, 5)
    told = study.counts()["presentations"]
    assert stages == [
        ("starting", 0, 40), ("waiting for answers of others", 0, 40), ("paused", 0, 40), ("evaluating", 0, 40),
        ("evaluating", told, 40),
    ]  # fmt: skip


def test_targets_named_here_exist():
    assert make_target("tests.cli.test_work:Gated").batch_size == 5
