import json
import os
import re
import signal
import sqlite3
import subprocess
import sys
import time
import warnings
from contextlib import closing

import pytest
from typer.testing import CliRunner

from mango.cli import app
from mango.cli.app import _options
from mango.errors import OptionError, ReplayError

SMALL = "search --generator tests.fakes:Tiles --optimizer random --batch 10 --workers 0".split()
FIRST = [*SMALL, "--target", "tests.fakes:Unit", "--budget", "30"]
PATIENCE = 300  # seconds; a machine may be busy

pytestmark = pytest.mark.usefixtures("undrawn")


def mango(*words):
    return CliRunner().invoke(app, [str(word) for word in words])


def process(*words, **options):
    command = [sys.executable, "-c", "from mango.cli import app; app()", *map(str, words)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options)


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "first"
    return folder, mango(*FIRST, "--out", folder)


def test_a_search_prints_what_it_found(done):
    folder, ran = done
    assert ran.exit_code == 0, ran.output
    assert "The best stimulus found in 30 evaluations" in ran.stdout
    assert "report.html" in ran.stdout
    assert re.search(r"fake:lif2/0@rate: searching 30/30, best 0\.\d+, \S+/s, 0:00 left", ran.stderr)
    assert (folder / "report.html").exists()


def test_show_prints_it_again(done):
    folder, ran = done
    assert mango("show", folder).stdout == ran.stdout
    shown = json.loads(mango("show", folder, "--json").stdout)
    assert shown["finished"]
    assert {k: v for k, v in shown.items() if k != "finished"} == json.loads((folder / "result.json").read_text())


def test_verify_says_that_all_is_the_same(done):
    folder, _ = done
    ran = mango("verify", folder)
    assert (ran.exit_code, "repeated exactly" in ran.stdout) == (0, True)
    assert json.loads(mango("verify", folder, "--json").stdout) == {"same": True, "differences": {".": None}}


def test_verify_names_a_difference(done, monkeypatch):
    monkeypatch.setattr("mango.search.session.verify_study", lambda *_, **__: "trial 7: asked [1], recorded [2]")
    ran = mango("verify", done[0])
    assert (ran.exit_code, "trial 7: asked" in ran.stdout) == (1, True)


def test_resume_of_a_finished_search_prints_one_object(done):
    folder, _ = done
    ran = mango("resume", folder, "--workers", 0, "--json")
    assert ran.exit_code == 0
    assert json.loads(ran.stdout) == json.loads((folder / "result.json").read_text())


def test_several_units_are_a_table(tmp_path):
    words = [*SMALL, "--target", "tests.fakes:unit/0-1", "--budget", 10, "--out", tmp_path]
    ran = mango(*words)
    assert ran.exit_code == 0, ran.output
    assert "unit-0" in ran.stdout
    assert "unit-1" in ran.stdout
    assert mango("show", tmp_path).stdout == ran.stdout


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        (["--generator", "vqvea-cifar10"], "unknown generator 'vqvea-cifar10'; did you mean vqvae-cifar10"),
        (["--target", "spere"], "did you mean sphere?"),
        (["--optimizer", "rndom"], "did you mean random?"),
        (["--budget", 0], "budget must be a whole number >= 1; got 0"),
        (["--batch", 0], "batch must be a whole number >= 1; got 0"),
        (["--option", "speed"], "--option takes NAME=VALUE"),
        (["--option", "speed=3"], "no option speed"),
        (["--seeds", "4-0"], "runs backwards"),
        (["--seeds", "0-1", "--seed", 3], "not both"),
        (["--time-limit", 3], "needs workers"),
        (["--data", "nowhere"], "does not exist"),
        (["--target", "tests.fakes:Raising"], "raised RuntimeError on trials 0 to 9: the electrode fell out"),
    ],
)
def test_what_is_wrong_is_said_in_one_message(tmp_path, changed, message):
    ran = mango(*FIRST, "--out", tmp_path / "out", *changed)
    assert ran.exit_code == 2
    assert message in ran.stderr
    assert ran.stdout == ""
    assert "Traceback" not in ran.output


def test_a_folder_that_holds_a_study_is_left_as_it_is(done):
    folder, _ = done
    before = {file.name: file.read_bytes() for file in folder.iterdir()}
    ran = mango(*FIRST, "--out", folder)
    assert ran.exit_code == 2
    assert f"go on with it by `mango resume {folder}`" in ran.stderr
    assert {file.name: file.read_bytes() for file in folder.iterdir()} == before


@pytest.mark.parametrize("command", ["resume", "verify", "show"])
def test_a_folder_without_a_study_is_an_error(tmp_path, command):
    ran = mango(command, tmp_path / "none")
    assert ran.exit_code == 2
    assert "no study" in ran.stderr
    assert not (tmp_path / "none").exists()


def test_a_damaged_database_is_an_error_in_a_real_process(tmp_path):
    (tmp_path / "study.db").write_bytes(b"not a database, but long enough to look at" * 100)
    ran = process("resume", tmp_path)
    out, err = ran.communicate(timeout=PATIENCE)
    assert (ran.returncode, out) == (2, "")
    assert "damaged" in err
    assert "kept" not in err
    assert "Traceback" not in err
    assert (tmp_path / "study.db").read_bytes().startswith(b"not a database")


def test_the_way_on_is_told_only_where_there_is_one(tmp_path, monkeypatch):
    monkeypatch.setenv("FRAGILE", str(tmp_path))
    single, several = tmp_path / "single", tmp_path / "several"
    for folder, more in ((single, []), (several, ["--seeds", "0-1"])):
        ran = mango(*FIRST, *more, "--target", "tests.fakes:Fragile", "--out", folder)
        assert "fell out" in ran.stderr
        assert f"every answer so far is kept; go on with `mango resume {folder}`" in ran.stderr
        ran = mango("resume", folder)
        assert "every answer so far is kept" in ran.stderr
    for folder in (single, several / "seed-0"):
        with closing(sqlite3.connect(folder / "study.db")) as connection, connection:
            connection.execute("UPDATE events SET digest = 'another'")
    for folder in (single, several):
        ran = mango("resume", folder)
        assert (ran.exit_code, "damaged: event 0" in ran.stderr, "kept" in ran.stderr) == (2, True, False)


@pytest.mark.slow
@pytest.mark.usefixtures("ray_here")
def test_a_warning_is_one_message(tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("default")
        ran = mango(*FIRST, "--workers", 3, "--out", tmp_path)
    assert ran.exit_code == 0, ran.output
    assert "warning: in ordered mode two batches of 10 trials are under way" in ran.stderr
    assert "RuntimeWarning" not in ran.stderr


def test_options_are_read_as_values():
    given = _options(["rank=4", "rate=1e-2", "binary=true", "name=abc", "sizes=[1, 2]", "none=None", "text='5'"])
    assert given == {
        "rank": 4,
        "rate": 0.01,
        "binary": True,
        "name": "abc",
        "sizes": [1, 2],
        "none": None,
        "text": "5",
    }
    with pytest.raises(OptionError, match="got '=3'"):
        _options(["=3"])


def test_the_version_and_help():
    assert mango("--version").stdout.startswith("mango ")
    helped = mango("search", "--help")
    assert helped.exit_code == 0
    assert all(f"--{name}" in helped.stdout for name in ("budget", "seeds", "workers", "data", "json", "probes"))
    assert mango("serch").exit_code == 2


def test_looking_loads_no_network(done):
    folder = str(done[0])
    commands = [["show", folder], ["list", "generators"], ["verify", folder], ["--version"]]
    code = (
        "import sys; from mango.cli import app\n"
        f"for words in {commands!r}:\n"
        "    try: app(words)\n"
        "    except SystemExit as end: assert not end.code, words\n"
        "    heavy = {'torch', 'ray'} & set(sys.modules)\n"
        "    assert not heavy, (words, heavy)\n"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert ran.returncode == 0, ran.stderr


@pytest.mark.slow
def test_ctrl_c_stops_cleanly_and_says_how_to_go_on(tmp_path):
    words = [*SMALL, "--target", "tests.fakes:Stuck", "--budget", 60, "--out", tmp_path]
    ran = process(*words, env={**os.environ, "PYTHONUNBUFFERED": "1", "STUCK": "1"})
    limit = time.monotonic() + PATIENCE
    while time.monotonic() < limit and json.loads(mango("show", tmp_path, "--json").stdout or "{}").get("done", 0) < 10:
        time.sleep(0.2)
    ran.send_signal(signal.SIGINT)
    out, err = ran.communicate(timeout=PATIENCE)
    assert (ran.returncode, out) == (130, "")
    assert f"mango resume {tmp_path}" in err
    assert "Traceback" not in err
    assert "not finished" in mango("show", tmp_path).stdout
    assert mango("resume", tmp_path).exit_code == 0
    assert json.loads((tmp_path / "result.json").read_text())["evaluations"] == 60
    assert mango("verify", tmp_path).exit_code == 0


def test_an_optimizer_that_changed_is_told_with_the_way_on(done, monkeypatch):
    def changed(*_, **__):
        raise ReplayError("the resumed study does not repeat its log")

    monkeypatch.setattr("mango.search.session.Study.resume", changed)
    ran = mango("resume", done[0], "--workers", 0)
    assert ran.exit_code == 2
    assert f"mango resume {done[0]} --accept-snapshot" in ran.stderr
    assert "does not repeat its log" in ran.stderr
