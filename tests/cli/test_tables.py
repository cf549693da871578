import json
import os
import subprocess
import sys

import pytest
from typer.testing import CliRunner

from mango.cli import app, tables
from mango.errors import WeightsError
from mango.generators import TABLE as GENERATORS
from mango.optimizers import TABLE as OPTIMIZERS
from mango.targets import TABLE as TARGETS
from mango.targets.spiking.kernels import active

LAYERS = {
    "lif1": {"units": 64, "silent": [3, 17, 18, 19], "saturated": []},
    "output": {"units": 10, "silent": [], "saturated": [9]},
}


@pytest.mark.parametrize(("numbers", "text"), [([], ""), ([4], "4"), ([7, 1, 2, 3, 9], "1-3, 7, 9")])
def test_spans_are_short(numbers, text):
    assert tables.spans(numbers) == text


def test_every_optimizer_is_listed():
    listed = json.loads(CliRunner().invoke(app, ["list", "optimizers", "--json"]).stdout)["optimizers"]
    assert list(listed) == list(OPTIMIZERS)
    assert all(len(summary) > 10 for summary in listed.values())


def test_silent_and_saturated_units_are_marked(monkeypatch):
    monkeypatch.setattr("mango.targets.spiking.nature.units_of_note", lambda _network: LAYERS)
    ran = CliRunner().invoke(app, ["list", "targets"], env={"COLUMNS": "120"})
    assert ran.exit_code == 0
    assert all(name in ran.stdout for name in TARGETS)
    assert "3, 17-19" in ran.stdout
    assert "0-63" in ran.stdout
    assert "module:factory:LAYER/UNIT@READOUT" in ran.stdout
    listed = json.loads(CliRunner().invoke(app, ["list", "targets", "--json"]).stdout)["targets"]["snn-cifar10"]
    assert listed["layers"] == LAYERS
    assert f"kernels of spiking networks: {listed['kernels']}" in ran.stdout
    assert listed["kernels"] == active()


def test_the_kernels_that_were_asked_for_are_named():
    asked = {**os.environ, "MANGO_KERNELS": "numba"}
    command = [sys.executable, "-c", "from mango.cli import app; app()", "list", "targets"]
    ran = subprocess.run(command, capture_output=True, text=True, env=asked)
    assert ran.returncode == 0
    assert "kernels of spiking networks: numba" in ran.stdout


def test_lists_load_no_torch():
    code = "import sys\nfrom mango.cli.tables import names\n[names(t) for t in ('optimizers', 'generators', 'targets')]"
    ran = subprocess.run([sys.executable, "-c", f"{code}\nprint(*sys.modules)"], capture_output=True, text=True)
    assert ran.returncode == 0
    assert not {"torch", "snntorch", "ray"} & set(ran.stdout.split())


def test_missing_weights_do_not_hide_the_other_targets(monkeypatch):
    def missing(_network):
        raise WeightsError("the card cannot be read")

    monkeypatch.setattr("mango.targets.spiking.nature.units_of_note", missing)
    ran = CliRunner().invoke(app, ["list", "targets"])
    assert ran.exit_code == 0
    assert "the card cannot be read" in ran.stdout
    assert "rastrigin" in ran.stdout


def test_generators_are_listed():
    ran = CliRunner().invoke(app, ["list", "generators"])
    assert all(name in ran.stdout for name in GENERATORS)
    assert "module:factory" in ran.stdout
    assert CliRunner().invoke(app, ["list", "generator"]).exit_code == 2
