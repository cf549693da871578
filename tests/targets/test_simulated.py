"""Simulated neurons: counts as their options say, pasts that act and fade, texts that name them."""

from __future__ import annotations

import json
import math
import pickle
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from mango.cli import app
from mango.errors import InputError, MangoError, OptionError, TargetError, UnknownName
from mango.evaluators import LocalEvaluator
from mango.evaluators.base import Traits
from mango.running import run
from mango.search import expand_targets
from mango.study import Study
from mango.targets import make_target
from mango.targets.simulated import PACE, SimulatedNeuron, spike_count
from mango.testing import check_target

BITS = np.random.default_rng(0).integers(0, 2, (12, 5))
MANY = 1e6  # spikes without noise show the gain to six digits


class Given:
    """Answers the only number of each stimulus; takes no seeds."""

    name = "given"

    def respond(self, stimuli: Any) -> Any:
        return np.asarray(stimuli, float)[:, 0]


class Noisy(Given):
    """Answers its seeds, with keys."""

    stochastic = True

    def respond(self, stimuli: Any, seeds: Any = None) -> Any:  # type: ignore[override]
        return np.asarray(seeds, float), np.zeros(len(stimuli))


class Summed(Given):
    """Knows what natural stimuli do."""

    summary = {"natural_maximum": 0.5, "natural_median": -0.25, "silent_share": 0.5}  # noqa: RUF012


def neuron(**options: Any) -> SimulatedNeuron:
    """With 10 spikes expected of 1."""
    return SimulatedNeuron(Given(), maximum=1.0, **options)


def counts(target: SimulatedNeuron, values: Any, first: int = 0) -> np.ndarray[Any, Any]:
    """Of one presentation for each value, with seeds from ``first`` on."""
    stimuli = np.asarray(values, float)[:, None]
    return target.respond(stimuli, np.arange(first, first + len(stimuli)))


@pytest.mark.parametrize("options", ["maximum=5", "maximum=5,fano=2,drop=0.3", "maximum=5,fano=0.4,latency=0.0001"])
def test_conformance(options: str) -> None:
    check_target(make_target(f"simulated:{options}:leadingones"), (5,), stimuli=BITS)


def test_conformance_of_a_unit_of_a_network() -> None:
    target: Any = make_target("simulated:snn-cifar10:lif2/17")
    check_target(target, (3, 32, 32))
    assert target.summary["natural_maximum"] == pytest.approx(10)
    assert 0 < target.summary["natural_median"] < target.summary["natural_p999"] < 10
    assert (target.quantity, target.stimulus_shape, target.batch_size) == ("spikes", (3, 32, 32), 10)


@pytest.mark.parametrize("expected", [0.4, 3.3, 10.0, 42.0])
@pytest.mark.parametrize("fano", [0.7, 1.0, 1.5, 4.0])
def test_mean_and_variance_are_those_of_the_options(fano: float, expected: float) -> None:
    found = counts(neuron(fano=fano), np.full(8000, expected / 10))
    squares = np.square(found - expected)
    assert (found == np.rint(found)).all()
    assert (found >= 0).all()
    assert abs(found.mean() - expected) < 3.5 * math.sqrt(fano * expected / len(found))
    assert abs(squares.mean() - fano * expected) < 3.5 * squares.std() / math.sqrt(len(found))


@pytest.mark.parametrize(("mean", "asked", "least"), [(0.3, 0.2, 0.7), (2.5, 0.0, 1 / 6), (0.01, 0.5, 0.99)])
def test_few_spikes_cannot_be_as_regular_as_asked(mean: float, asked: float, least: float) -> None:
    rng = np.random.default_rng(0)
    drawn = np.array([spike_count(mean, asked, rng) for _ in range(20_000)])
    assert drawn.mean() == pytest.approx(mean, rel=0.15)
    assert drawn.var() / drawn.mean() == pytest.approx(least, rel=0.02)


@given(mean=st.floats(0, 1e6), fano=st.floats(0, 50), seed=st.integers(0, 2**63 - 1))
def test_counts_are_whole_and_never_negative(mean: float, fano: float, seed: int) -> None:
    count = spike_count(mean, fano, np.random.default_rng(seed))
    assert isinstance(count, int)
    assert count >= 0
    assert mean > 0 or count == 0
    if fano == 0:
        assert math.floor(mean) - 40 * math.sqrt(mean + 1) <= count <= math.ceil(mean)


def test_without_noise_the_maximum_gives_its_spikes_and_more_gives_more() -> None:
    assert counts(neuron(fano=0), [1.0, 0.5, 2.0]).tolist() == [10, 5, 20]
    assert counts(neuron(fano=0, spikes=40, threshold=-1.0), [1.0, 0.0, -0.5]).tolist() == [40, 20, 10]


def test_silence_is_a_measured_zero_and_a_lost_answer_is_lost() -> None:
    target = neuron(fano=3, tiring=0.5, drift=0.2, walk=0.1)
    found = counts(target, [0.0, -3.0, math.nan, 1.0, 0.0])
    assert found[[0, 1, 4]].tolist() == [0, 0, 0]
    assert math.isnan(found[2])
    assert found[3] >= 0


def test_natural_values_are_told_in_spikes() -> None:
    assert SimulatedNeuron(Summed(), spikes=8).summary == {"natural_maximum": 8, "natural_median": 0}
    assert SimulatedNeuron(Summed(), threshold=-0.5).summary == {"natural_maximum": 10, "natural_median": 2.5}
    assert neuron().summary == {}


def test_lost_presentations_are_as_many_as_asked_and_leave_the_others_alone() -> None:
    whole, holed = (counts(neuron(drop=drop), np.full(4000, 1.0)) for drop in (0.0, 0.2))
    lost = np.isnan(holed)
    assert abs(lost.mean() - 0.2) < 3.5 * math.sqrt(0.2 * 0.8 / 4000)
    assert (holed[~lost] == whole[~lost]).all()
    assert not np.isnan(whole).any()
    assert np.isnan(counts(neuron(drop=1), np.ones(20))).all()


def test_a_neuron_tires_to_the_share_that_was_asked_for_and_recovers() -> None:
    target = neuron(spikes=MANY, fano=0, tiring=0.4, recovery=20.0)
    shown = counts(target, np.ones(400)) / MANY
    assert shown[0] == 1
    assert (np.diff(shown[:60]) < 0).all(), "it falls from one presentation to the next"
    assert shown[-1] == pytest.approx(0.6, abs=1e-3)
    tired = 1 / target.gain - 1
    assert counts(target, np.zeros(20)).tolist() == [0] * 20
    assert (1 / target.gain - 1) / tired == pytest.approx(math.exp(-1), rel=1e-6), "one time constant of silence"
    counts(target, np.zeros(400))
    assert counts(target, [1.0])[0] / MANY == pytest.approx(1, abs=1e-3)


def test_weak_stimuli_tire_less_and_lost_recordings_tire_as_much() -> None:
    strong, weak, lost = (neuron(spikes=MANY, fano=0, tiring=0.4, drop=drop) for drop in (0, 0, 1))
    for target, value in ((strong, 1.0), (weak, 0.2), (lost, 1.0)):
        counts(target, np.full(100, value))
    assert weak.gain > strong.gain + 0.2
    assert lost.gain == strong.gain


@pytest.mark.parametrize("drift", [-0.3, 0.5])
def test_drift_compounds_over_each_thousand(drift: float) -> None:
    target = neuron(spikes=MANY, fano=0, drift=drift)
    shown = counts(target, np.ones(2001)) / MANY
    assert shown[[0, 500, 1000, 2000]] == pytest.approx([1, (1 + drift) ** 0.5, 1 + drift, (1 + drift) ** 2], abs=2e-6)
    assert target.presentations == 2001


def test_a_walk_spreads_as_asked() -> None:
    logs = []
    for first in range(0, 20_000, 200):
        target = neuron(walk=0.4)
        counts(target, np.zeros(200), first)
        logs.append(math.log(target.gain))
    spread = 0.4 * math.sqrt(200 / PACE)
    assert abs(np.mean(logs)) < 3.5 * spread / math.sqrt(100)
    assert np.std(logs) == pytest.approx(spread, rel=3.5 / math.sqrt(200))


def test_a_past_repeats_in_the_same_order_only() -> None:
    values = np.random.default_rng(3).uniform(0, 2, 100)
    options = {"tiring": 0.5, "drift": -0.5, "walk": 0.3, "fano": 1.5}
    first, again = (counts(neuron(**options), values) for _ in range(2))
    assert first.tolist() == again.tolist()
    one = neuron(**options)
    chunks = [counts(one, values[start : start + 7], start) for start in range(0, 100, 7)]
    assert np.concatenate(chunks).tolist() == first.tolist(), "however they are cut into chunks"
    two = neuron(**options)
    backwards = two.respond(values[::-1, None], np.arange(100)[::-1])[::-1]
    assert backwards.tolist() != first.tolist()


def test_searches_in_one_process_repeat_with_a_past() -> None:
    found = []
    for chunk in (3, 8):
        target = "simulated:maximum=10,tiring=0.4,walk=0.5,drop=0.1:leadingones"
        evaluator = LocalEvaluator("identity:grid:10:2", target, chunk=chunk)
        study = Study(evaluator.generator, budget=60, optimizer="genetic", seed=2, batch=8, repeats=2)
        run(study, evaluator)
        found.append([study.record(number).values for number in range(30)])
    assert str(found[0]) == str(found[1])
    assert "nan" in str(found[0])


def test_presentations_take_their_time_and_wait_side_by_side() -> None:
    target = neuron(latency=0.02)
    before = time.perf_counter()
    counts(target, np.ones(3))
    assert time.perf_counter() - before >= 0.06
    assert Traits.of(target) == Traits(batch_size=1, concurrency=16)
    assert Traits.of(neuron()) == Traits.of(Given())
    assert Traits.of(neuron(latency=0.02, drift=0.1)) == Traits.of(Given()), "one animal sees one stimulus at a time"


def test_the_target_gets_the_seeds_where_it_takes_them() -> None:
    target = SimulatedNeuron(Noisy(), maximum=1.0, fano=0)
    assert counts(target, np.zeros(4)).tolist() == [0, 10, 20, 30]


def test_it_travels_to_other_processes_with_its_past() -> None:
    target = neuron(tiring=0.5, walk=0.2)
    counts(target, np.ones(9))
    copy = pickle.loads(pickle.dumps(target))
    assert counts(copy, np.ones(9), 9).tolist() == counts(target, np.ones(9), 9).tolist()


@pytest.mark.parametrize(
    ("spec", "options", "name"),
    [
        ("maximum=5:leadingones", {}, "simulated:maximum=5:leadingones"),
        ("leadingones", {"maximum": 5, "fano": 1.0}, "simulated:maximum=5:leadingones"),
        ("drop=0.1:leadingones", {"maximum": 5}, "simulated:maximum=5,drop=0.1:leadingones"),
        ("threshold=-1e3,maximum=0:sphere", {}, "simulated:maximum=0,threshold=-1000:sphere"),
        (
            "snn-cifar10:lif2/17,3,4@latency",
            {"threshold": -33},
            "simulated:threshold=-33:snn-cifar10:lif2/17,3,4@latency",
        ),
        ("fano=2:tests.targets.spiking.factories:network:2/1", {"maximum": 1}, None),
    ],
)
def test_a_name_makes_the_same_neuron_again(spec: str, options: dict[str, Any], name: str | None) -> None:
    made: Any = make_target(f"simulated:{spec}", **options)
    again: Any = make_target(made.name)
    assert made.name == again.name
    assert name in (None, made.name)
    assert all(getattr(made, option) == getattr(again, option) for option in ("maximum", "fano", "drop", "threshold"))


@pytest.mark.parametrize(
    ("spec", "options", "kind", "says"),
    [
        ("simulated", {}, InputError, "expected simulated:TARGET, such as .*; got simulated:"),
        ("simulated:fano=2", {}, InputError, "expected simulated:TARGET, .*; got simulated:fano=2"),
        ("simulated:spheer", {}, UnknownName, "did you mean sphere"),
        ("simulated:fanno=2:sphere", {}, OptionError, "takes spikes, maximum, .* latency; got fanno"),
        ("simulated:fano=two:sphere", {}, OptionError, "as NAME=NUMBER; got fano=two"),
        ("simulated:fano=2:sphere", {"fano": 3}, OptionError, "given once; got fano, fano"),
        ("simulated:leadingones", {}, OptionError, "leadingones says no natural maximum: give maximum"),
        ("simulated:maximum=0:sphere", {}, OptionError, "10 spikes, above the threshold 0, .*; maximum=0.0: give"),
        ("simulated:snn-cifar10:lif2/17@latency", {}, OptionError, "natural maximum of .* is -.*: give maximum"),
        ("simulated:leadingones", {"maximum": 5, "fano": "2"}, OptionError, "fano .* must be a number >= 0; got '2'"),
        ("simulated:spikes=0:sphere", {}, OptionError, "spikes of a simulated neuron must be a number > 0; got 0"),
        ("simulated:threshold=nan:sphere", {}, OptionError, "threshold .* must be a number; got nan"),
        ("simulated:tiring=1:sphere", {}, OptionError, "tiring .* must be a number from 0 to below 1; got 1"),
        ("simulated:recovery=0:sphere", {}, OptionError, "recovery .* must be a number of presentations > 0"),
        ("simulated:drift=-1:sphere", {}, OptionError, "drift .* must be a number > -1"),
        ("simulated:walk=-1:sphere", {}, OptionError, "walk .* must be a number >= 0"),
        ("simulated:drop=20:sphere", {}, OptionError, "drop .* must be a number from 0 to 1; got 20"),
        ("simulated:latency=inf:sphere", {}, OptionError, "latency .* must be a number of seconds >= 0; got inf"),
        ("sphere", {"fano": 2}, OptionError, "takes no options; got fano with 'sphere'"),
    ],
)
def test_what_cannot_be_made(spec: str, options: dict[str, Any], kind: type[MangoError], says: str) -> None:
    with pytest.raises(kind, match=says):
        make_target(spec, **options)


@pytest.mark.parametrize("seeds", [None, np.arange(2), np.array([0, 1, -1]), np.array([0.0, 1.0, 2.0])])
def test_other_seeds_are_refused(seeds: Any) -> None:
    with pytest.raises(InputError, match=r"takes seeds \(3,\), whole numbers >= 0, for its noise; got"):
        neuron().respond(np.ones((3, 1)), seeds)


def test_answers_that_cannot_be_spikes_are_refused() -> None:
    with pytest.raises(TargetError, match=r"would answer with inf spikes; .* give the option maximum"):
        counts(neuron(), [math.inf])

    class Column(Given):
        def respond(self, stimuli: Any) -> Any:
            return stimuli

    with pytest.raises(TargetError, match=r"one number for each stimulus, shape \(2,\); got shape \(2, 1\)"):
        SimulatedNeuron(Column(), maximum=1.0).respond(np.ones((2, 1)), np.arange(2))


def test_a_search_by_the_command_line(tmp_path: Path) -> None:
    target = "simulated:maximum=10,fano=1.5,drop=0.1:leadingones"
    words = f"search --generator identity:grid:10:2 --target {target} --optimizer genetic --batch 10 --workers 0"
    ran = CliRunner().invoke(app, [*words.split(), "--repeats", "2", "--budget", "80", "--out", str(tmp_path / "run")])
    assert ran.exit_code == 0, ran.output
    result = json.loads((tmp_path / "run" / "result.json").read_text())
    assert result["unit"] == target
    assert result["responded"]
    assert "spikes" in (tmp_path / "run" / "report.html").read_text()


def test_a_range_of_units_ends_the_text() -> None:
    assert expand_targets("simulated:fano=2:snn-cifar10:lif2/0-1@rate") == [
        f"simulated:fano=2:snn-cifar10:lif2/{unit}@rate" for unit in (0, 1)
    ]
