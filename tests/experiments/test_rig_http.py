"""The rigs of experiments/rig_http against a real service: lost answers, kills, damaged images, refusals."""

from __future__ import annotations

import io
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import zipfile
from contextlib import contextmanager
from pathlib import Path

import httpx
import numpy as np
import pytest

from experiments.rig_http.neuron import Neuron, serve
from mango import Client
from mango.service.images import png
from mango.service.schemas import ImageSettings
from mango.service.security import SecuritySettings, Tokens
from tests.fakes import Tiles, Unit
from tests.service.between import LOSE, between
from tests.service.serving import serving

ROOT = Path(__file__).parents[2]
RIG = ROOT / "experiments" / "rig_http"
TILES = {"tiles": "tests.fakes:Tiles"}
NEW = '{"name": "a", "generator": "tiles", "budget": 22, "optimizer": "random", "references": {"every": 4, "count": 2}}'
NOISE = 5  # spikes, of about 100: five standard deviations of the quietest neuron that answers whole numbers
PATIENCE = 60  # seconds; a machine may be busy

pytestmark = pytest.mark.skipif(
    any(shutil.which(tool) is None for tool in ("curl", "unzip", "sha256sum")), reason="curl, unzip, sha256sum"
)


@pytest.fixture
def neuron():
    """A neuron without more noise than whole numbers make, and its URL."""
    one = Neuron("simulated:maximum=0.5,spikes=100,fano=0:tests.fakes:Unit")
    with serve(one) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        try:
            one.url = f"http://127.0.0.1:{server.server_port}"
            yield one
        finally:
            server.shutdown()
            thread.join(PATIENCE)


@pytest.fixture
def rig(tmp_path, neuron):
    """Starts the curl rig at a service; it keeps its things in one folder."""
    folder = tmp_path / "rig"

    def start(service, **told):
        given = {"SERVICE": service, "STUDY": "a", "NEW": NEW, "BLOCK": "6", "FOLDER": str(folder)}
        given |= {"MEASURE": str(RIG / "measure.sh"), "NEURON": neuron.url} | told
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True, "start_new_session": True}
        return subprocess.Popen(["sh", RIG / "rig.sh"], env=os.environ | given, cwd=tmp_path, **pipes)

    start.folder = folder
    return start


def ended(rig):
    """What a rig printed, once it has ended; it is killed where it does not."""
    try:
        return rig.communicate(timeout=PATIENCE)[0]
    finally:
        if rig.poll() is None:
            os.killpg(rig.pid, signal.SIGKILL)
            rig.communicate()


def answers_fit(study):
    """Whether every response is what the neuron says to the image of that trial, up to its noise."""
    trials = study.trials()
    expected = Unit().respond(Tiles().decode(np.stack([trial.code for trial in trials])))[0] / 0.5 * 100
    return all(abs(trial.value - value) < NOISE for trial, value in zip(trials, expected, strict=True))


def test_a_study_is_made_shown_and_told_to_its_end(rig, neuron, tmp_path):
    with serving(f"sqlite:///{tmp_path}/mango.db", generators=TILES) as url:
        said = ended(rig(url))
        with Client(url, "a") as study:
            assert study.state == "exhausted", said
            assert study.counts()["done"] == 22
            assert answers_fit(study)
            best = study.best()
        assert f"a has ended; best: trial {best.number}, {best.value}" in said
        shown = httpx.get(f"{url}/v1/studies/a/curve").json()["references"]
        assert [reference["presentation"] for reference in shown] == list(range(5))
        assert all(reference["value"] > 0 for reference in shown)
        assert neuron.presentations == 22 + 5
        assert "has ended" in ended(rig(url))  # again, with nothing to do
        assert neuron.presentations == 22 + 5


def test_any_number_that_is_printed_is_told(rig, tmp_path):
    """As a number of JSON, whatever the way in which a program prints it; what is none is not written down."""
    measure = tmp_path / "measure.sh"
    printing = 'printf "%s\\n" .25 5. +3 007 -1e-3 | sed -n "$(($(wc -l <seen) + 1))p"'
    measure.write_text(f"#!/bin/sh\n{printing}\necho x >>seen\n")
    measure.chmod(0o755)
    (tmp_path / "seen").touch()
    new = '{"name": "a", "generator": "tiles", "budget": 6, "optimizer": "random"}'
    with serving(f"sqlite:///{tmp_path}/mango.db", generators=TILES) as url:
        said = ended(rig(url, MEASURE=str(measure), NEW=new, BLOCK="5"))
        assert f"{measure} must print a number or 'lost'; it printed ''" in said
        with Client(url, "a") as study:
            assert sorted(trial.value for trial in study.trials()[:5]) == [-1e-3, 0.25, 3.0, 5.0, 7.0]


def test_lost_answers_double_nothing(rig, neuron, tmp_path):
    with serving(f"sqlite:///{tmp_path}/mango.db", generators=TILES) as url, between(url) as broken:
        # is there a study, make it, ask, images, a reference, tell
        busy = (503, {"Retry-After": "0"}, b"{}")
        broken.plans.extend([None, LOSE, None, LOSE, None, busy, None, None, LOSE])
        said = ended(rig(broken.url))
        assert said.count("no answer (000)") == 3
        assert f"no answer (503) from {broken.url}; again in 0 s" in said
        with Client(url, "a") as study:
            assert study.counts() == {
                "asked": 22, "open": 0, "done": 22, "lost": 0, "failed": 0, "vetoed": 0, "presentations": 22,
                "budget": 22,
            }  # fmt: skip
            assert all(trial.attempt == 1 for trial in study.trials())
            assert answers_fit(study)
        assert neuron.presentations == 22 + 5
        asks = [key for _, path, key in broken.came if path.endswith("/ask")]
        tells = [key for _, path, key in broken.came if path.endswith("/tell")]
        assert (len(asks), len(set(asks))) == (6, 5)  # the last one gets nothing
        assert (len(tells), len(set(tells))) == (5, 4)
        assert set(tells) < set(asks)


@contextmanager
def service(port, storage, log):
    """`mango serve` in a process of its own, which is killed at the end."""
    command = [sys.executable, "-c", "from mango.cli import app; app()", "serve", "--port", str(port)]
    command += ["--storage", storage, "--generator", "tiles=tests.fakes:Tiles"]
    with log.open("ab") as out:
        process = subprocess.Popen(command, cwd=ROOT, stdout=out, stderr=out)
        try:
            yield
        finally:
            process.kill()
            process.wait(PATIENCE)


@pytest.mark.slow
def test_rig_and_service_are_killed_in_the_middle_of_a_block(rig, neuron, tmp_path):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    url, storage, log = f"http://127.0.0.1:{port}", f"sqlite:///{tmp_path}/mango.db", tmp_path / "log"
    stuck = tmp_path / "measure.sh"  # never answers the tenth image
    stuck.write_text(f'#!/bin/sh\necho >>calls; [ "$(grep -c "" calls)" -lt 10 ] || sleep 600\n{RIG}/measure.sh "$1"\n')
    stuck.chmod(0o700)
    with service(port, storage, log):
        first = rig(url, MEASURE=str(stuck))
        calls, deadline = tmp_path / "calls", time.monotonic() + PATIENCE
        while not calls.exists() or len(calls.read_text()) < 10:
            assert time.monotonic() < deadline, "the rig never came to the tenth image"
            time.sleep(0.05)
        os.killpg(first.pid, signal.SIGKILL)
        first.communicate()
        assert neuron.presentations == 9
    second = rig(url)  # the service is away
    with service(port, storage, log):
        said = ended(second)
        assert "again in" in said
        assert said.count("shown a second time, for the first was interrupted: ") == 1
        with Client(url, "a") as study:
            assert study.counts()["done"] == 22
            assert all(trial.attempt == 1 for trial in study.trials())
            assert answers_fit(study)
        assert neuron.presentations == 22 + 5


def test_what_goes_wrong_at_the_rig_is_said(rig, tmp_path):
    def measuring(command):
        script = tmp_path / "measure.sh"
        script.write_text(f"#!/bin/sh\n{command}\n")
        script.chmod(0o700)
        return {"MANGO_TOKEN": token, "MEASURE": str(script)}

    token = "w" * 20
    security = SecuritySettings(tokens=Tokens.of(write=[token]))
    with serving(f"sqlite:///{tmp_path}/mango.db", generators=TILES, security=security) as url:
        said = ended(rig(url, MANGO_TOKEN=""))
        assert "a: this service needs a token" in said
        assert "there is no study 'a'" in ended(rig(url, NEW="", MANGO_TOKEN=token))
        assert "the measurement failed" in ended(rig(url, **measuring("exit 1")))
        assert "must print a number or 'lost'; it printed 'abc'" in ended(rig(url, **measuring("echo abc")))
        assert "told 6 responses, 6 of them lost" in ended(rig(url, **measuring("echo lost")))
        assert oct((rig.folder / "curlrc").stat().st_mode)[-3:] == "600"
        with Client(url, "a", token=token) as study:
            assert (study.state, study.counts()["lost"], study.best()) == ("exhausted", 22, None)


def test_damaged_images_are_not_shown(rig, neuron, tmp_path):
    def damaged(block):
        """The same zip, one pixel of whose first image is another."""
        with zipfile.ZipFile(io.BytesIO(block)) as archive:
            files = {name: archive.read(name) for name in archive.namelist()}
        first = min(files)
        files[first] = files[first][:-20] + bytes([files[first][-20] ^ 1]) + files[first][-19:]
        out = io.BytesIO()
        with zipfile.ZipFile(out, "w") as archive:
            for name, content in files.items():
                archive.writestr(name, content)
        return out.getvalue()

    with serving(f"sqlite:///{tmp_path}/mango.db", generators=TILES) as url, between(url) as broken:
        broken.plans.extend([None, None, None, damaged])  # is there a study, make it, ask, images
        said = ended(rig(broken.url))
        assert "the images of this block are damaged; start again to fetch them anew" in said
        assert neuron.presentations == 0
        assert "has ended" in ended(rig(broken.url))
        with Client(url, "a") as study:
            assert all(trial.attempt == 1 for trial in study.trials())


def test_the_neuron_sees_pixels_alone(neuron):
    stimuli = Tiles().decode(Tiles().natural(4, np.random.default_rng(0)))
    for stimulus, value in zip(stimuli, Unit().respond(stimuli)[0] / 0.5 * 100, strict=True):
        said = httpx.post(neuron.url, content=png(stimulus, ImageSettings()))
        assert abs(float(said.text) - value) < NOISE
    said = httpx.post(neuron.url, content=b"no picture")
    assert (said.status_code, "expected a PNG file" in said.text) == (422, True)
    assert neuron.presentations == 4
    lost = Neuron("simulated:maximum=0.5,drop=1:tests.fakes:Unit")
    assert lost.answer(png(stimuli[0], ImageSettings())) == "lost"


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("octave-cli") is None, reason="GNU Octave is not installed")
def test_the_rig_in_matlab_runs_in_octave(neuron, tmp_path):
    """With Octave's own weboptions, jsonencode and the rest, and stand-ins for webwrite and websave."""
    token = "w" * 20
    security = SecuritySettings(tokens=Tokens.of(write=[token]))

    def octave(service, measure):
        stand_ins = ROOT / "tests" / "experiments" / "octave"
        command = f"rig('{service}', 'a', {measure}, 6, '{tmp_path}/rig', '{token}')"
        words = ["octave-cli", "--no-init-file", "--path", stand_ins, "--path", RIG, "--eval", command]
        done = subprocess.run(
            words, env=os.environ | {"NEURON": neuron.url}, capture_output=True, text=True, timeout=PATIENCE
        )
        return done.stdout + done.stderr

    with serving(f"sqlite:///{tmp_path}/mango.db", generators=TILES, security=security) as url, between(url) as broken:
        headers = {"Content-Type": "application/json", "Authorization": f"Bearer {token}"}
        assert httpx.post(f"{url}/v1/studies", content=NEW, headers=headers).status_code == 201
        assert "the electrode fell out" in octave(broken.url, "@(file) error('the electrode fell out')")
        broken.plans.extend([LOSE, None, None, None, None, None, None, LOSE])  # ask, the other images, tell
        said = octave(broken.url, "@measure")
        assert said.count("no answer") == 2, said
        assert said.count("shown a second time, for the first was interrupted: ") == 1
        assert "a has ended" in said
        with Client(url, "a", token=token) as study:
            assert (study.state, study.counts()["done"]) == ("exhausted", 22)
            assert all(trial.attempt == 1 for trial in study.trials())
            assert answers_fit(study)
        assert neuron.presentations == 22 + 5
        asks = [key for _, path, key in broken.came if path.endswith("/ask")]
        assert len(set(asks)) == 5
