import json
import os
import subprocess
import sys

import numpy as np
import pytest
from typer.testing import CliRunner

from mango.charts import make_chart
from mango.cli import app, tables
from mango.errors import WeightsError
from mango.generators import TABLE as GENERATORS
from mango.optimizers import TABLE as OPTIMIZERS
from mango.space import SearchSpace
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
    assert all(len(method["summary"]) > 10 for method in listed.values())
    assert listed["cma-diagonal"]["summary"] != listed["cma"]["summary"]


def test_optimizers_are_listed_with_their_options_and_those_of_their_preset():
    ran = CliRunner().invoke(app, ["list", "optimizers", "--json"])
    listed = {name: method["options"] for name, method in json.loads(ran.stdout)["optimizers"].items()}
    assert listed["cma"] == {"diagonal": False, "popsize": None, "step": None}
    assert listed["cma-diagonal"] == {**listed["cma"], "diagonal": True}
    assert (listed["tt-s"]["batch"], listed["tt-b"]["batch"]) == (5, 25)
    assert listed["random"] == {}
    lines = CliRunner().invoke(app, ["list", "optimizers"], env={"COLUMNS": "120"}).stdout.splitlines()
    assert "options: diagonal=False, popsize=None, step=None" in [line.strip() for line in lines]
    assert sum("options:" in line for line in lines) == sum(map(bool, listed.values()))


def test_charts_are_listed_as_they_are_named():
    ran = CliRunner().invoke(app, ["list", "charts"], env={"COLUMNS": "120"})
    listed = json.loads(CliRunner().invoke(app, ["list", "charts", "--json"]).stdout)["charts"]
    assert list(listed) == ["frequencies:K", "principal:K"]
    assert all(f"{name}  " in ran.stdout and summary in ran.stdout for name, summary in listed.items())
    space = SearchSpace.box(100, -1, 1)
    natural = space.sample(200, np.random.default_rng(0))
    assert make_chart("principal", space, natural).space.dim == 64
    assert all("K = 64 if not given" in summary for summary in listed.values())


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
    every = ("optimizers", "charts", "generators", "targets")
    code = f"import sys\nfrom mango.cli.tables import names\n[names(t) for t in {every}]"
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
