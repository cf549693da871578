from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from experiments.benchmarks.stimuli import gradient, references, report, results, scores, units
from experiments.benchmarks.stimuli.__main__ import main
from experiments.benchmarks.stimuli.methods import BOOK, TABLE, Method
from experiments.benchmarks.stimuli.problems import Problem, noisy
from experiments.benchmarks.stimuli.search import search
from experiments.benchmarks.stimuli.searchers import Listed, Setting
from experiments.benchmarks.stimuli.tasks import Task, checkpoints, grid
from mango.errors import InputError
from mango.space import Codes

UNIT = next(unit for unit in units.load() if unit.name.startswith("lif1/"))


def test_smoke(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["--smoke", "--workers", "0", "--out", str(tmp_path)]
    main(arguments)
    printed = capsys.readouterr().out
    assert "4 of 4 runs to do" in printed
    assert "### Class natural" in printed
    assert {path.name.partition("-")[0] for path in tmp_path.glob("*.png")} == {
        "convergence",
        "profiles",
        "ranks",
        "running",
    }
    with (tmp_path / results.RUNS).open("a") as file:
        file.write('{"key": "cut off by a k')
    before = results.read(tmp_path / results.RUNS)
    assert [run["planned"] for run in before] == [40, 20, 40, 40], "a method that plans by its budget runs for each"
    main(arguments)
    assert "0 of 4 runs to do" in capsys.readouterr().out, "nothing is run twice"
    assert results.read(tmp_path / results.RUNS) == before
    (tmp_path / results.RUNS).unlink()
    main(arguments)
    assert "0 of 4 runs to do" in capsys.readouterr().out, "the table is enough to go on"
    assert [(run["key"], run["value"]) for run in results.read_folder(tmp_path)] == [
        (run["key"], run["value"]) for run in before
    ]


@pytest.mark.slow
@pytest.mark.usefixtures("ray_here")
def test_ray_finds_what_one_process_finds(tmp_path: Path) -> None:
    for workers in (0, 2):
        main(["--smoke", "--workers", str(workers), "--out", str(tmp_path / str(workers))])
    alone, side_by_side = (
        {run["key"]: run["value"] for run in results.read(tmp_path / str(workers) / results.RUNS)} for workers in (0, 2)
    )
    assert alone == side_by_side


@pytest.mark.parametrize("network", [units.NETWORK, "snn-t128-cifar10"])
def test_the_units_are_those_of_the_draw(network: str) -> None:
    """By natural responses alone, half to tune on, every layer alike."""
    written = units.load(network)
    assert written == units.draw(network)
    assert [sum(unit.part == part for unit in written) for part in units.PARTS] == [12, 12]
    for layer in ("lif1", "lif2", "lif3", "output"):
        assert sum(unit.name.startswith(f"{layer}/") for unit in written) == 6
    assert all(0 <= unit.natural_median < unit.natural_maximum < 1 for unit in written)
    assert not {unit.name for unit in written} & set(units.TRIED.get(network, ()))
    with pytest.raises(InputError, match="no units of other are written down"):
        units.load("other")


def test_another_network_needs_no_other_code(monkeypatch: pytest.MonkeyPatch) -> None:
    """Three layers of another size; a silent, a saturated and a rare unit among those of the first."""
    rng = np.random.default_rng(2)
    nature = {}
    for layer, size in (("conv1", 30), ("conv2", 50), ("head", 20)):
        maximum = rng.uniform(0.2, 0.9, size)
        nature[f"{layer}.channel.rate"] = np.stack([maximum, maximum / 2, maximum / 9, np.zeros(size)])
        nature[f"{layer}.neuron.rate"] = np.ones((4, size, 2, 2))
    nature["conv1.channel.rate"][:2, :2] = [[1.0, 0.0], [0.5, 0.0]]
    nature["conv1.channel.rate"][1, 2] = 0.0
    monkeypatch.setattr(units.zoo, "nature", lambda _: nature)
    drawn = units.draw("other")
    assert len({unit.name for unit in drawn}) == 24
    assert not {unit.name for unit in drawn} & {"conv1/0", "conv1/1", "conv1/2"}
    for layer in ("conv1", "conv2", "head"):
        for part in units.PARTS:
            assert sum(unit.target.startswith(f"other:{layer}/") and unit.part == part for unit in drawn) == 4
    nature["head.channel.rate"][1] = 0.0
    with pytest.raises(InputError, match="head has 0 proper units; 8 are needed"):
        units.draw("other")


def test_noise_follows_from_seed_and_trial() -> None:
    values = np.full(4_000, 0.3)
    for kind, spread in (("poisson", np.sqrt(0.3 * 0.5 / 10)), ("gain-0.2", 0.06), ("gain-0.5", None)):
        once = noisy(values, kind, 0.5, 7, 0)
        assert np.array_equal(once[1_000:], noisy(values[1_000:], kind, 0.5, 7, 1_000))
        assert not np.array_equal(once, noisy(values, kind, 0.5, 8, 0))
        assert once.min() >= 0
        assert once.mean() == pytest.approx(0.3, rel=0.05)
        if spread is not None:
            assert once.std() == pytest.approx(spread, rel=0.1)
    assert noisy(values, "none", 0.5, 7, 0) is values


def test_what_is_scored_is_the_noise_free_value_of_the_recommendation(monkeypatch: pytest.MonkeyPatch) -> None:
    """A method that recommends a bad code on purpose is scored by that code, however good what it asked was."""
    codes = Problem(UNIT).natural[:60]
    truth = Problem(UNIT).values(codes)

    class Stubborn(Listed):
        def recommend(self) -> Codes:
            return codes[0]

    monkeypatch.setitem(
        search.__globals__, "TABLE", {"natural/x": Method("natural/x", "mango", lambda _: Stubborn(codes))}
    )
    task = Task(UNIT, "none", 40, "natural/x", 0, 60, (50, 60))
    row = search(task)
    assert row["value"] == [truth[:mark].max() for mark in row["evaluations"]], "without noise the best is known"
    noise = search(replace(task, noise="gain-0.5"))
    after = [mark >= 40 for mark in noise["evaluations"]]
    assert np.isnan(np.array(noise["value"])[~np.array(after)]).all(), "nothing is recommended before an answer"
    assert set(np.array(noise["value"])[after]) == {truth[0]}


def test_a_batch_ends_where_a_budget_does(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    class Counting(Listed):
        def ask(self, n: int) -> Codes:
            asked.append(n)
            return super().ask(n)

    codes = Problem(UNIT).natural[:150]
    table = {"natural/x": Method("natural/x", "mango", lambda _: Counting(codes))}
    monkeypatch.setattr("experiments.benchmarks.stimuli.search.TABLE", table)
    search(Task(UNIT, "none", 40, "natural/x", 0, 150, (100, 150)))
    assert asked == [40, 40, 20, 40, 10]


def test_the_grid() -> None:
    three = [TABLE["chart/auto"], TABLE["chart/cma"], TABLE["chart/TuRBO-1"]]
    chosen = units.load()[:2]  # of one layer
    tasks = grid(chosen, three, batches=(40, 1), budgets=(100, 3_000), seeds=(0, 1))
    counts = {m.name: sum(task.method == m.name for task in tasks) for m in three}
    assert counts == {"chart/auto": 16, "chart/cma": 8, "chart/TuRBO-1": 2}
    assert len({task.key for task in tasks}) == len(tasks)
    assert {task.planned for task in tasks if task.method == "chart/TuRBO-1"} == {100}
    repeating = grid(chosen, [TABLE["chart/auto repeats"]], noises=("none", "poisson"), batches=(40,), budgets=(100,))
    assert {task.noise for task in repeating} == {"poisson"}, "codes are measured again under noise alone"
    marks = checkpoints((100, 300))
    assert marks[0] == 10
    assert {100, 300} <= set(marks)
    assert marks[-1] == 300


def params(methods: Iterable[Method]) -> list[object]:
    """Those of other packages and those that make charts of natural codes take longer."""
    slow = pytest.mark.slow
    return [
        pytest.param(m, id=m.name, marks=[slow] if m.package != "mango" or m.name == "natural/auto" else [])
        for m in methods
        if m.installed and not m.slow
    ]


@pytest.mark.parametrize("method", params(TABLE.values()))
def test_every_method_repeats_and_keeps_to_the_space(method: Method) -> None:
    problem, answers = Problem(UNIT, method.generator), np.random.default_rng(0).random(24)
    told = []
    for _ in range(2):
        searcher = method.start(problem, seed=3, batch=8, budget=24, noisy=True)
        asked = np.zeros((0, problem.space.dim), problem.space.dtype)
        while len(asked) < 24:
            codes = problem.space.validate(searcher.ask(min(8, 24 - len(asked))))
            searcher.tell(answers[len(asked) :][: len(codes)])
            asked = np.concatenate([asked, codes])
        problem.space.validate(searcher.recommend()[None])
        told.append(asked)
    assert len(np.unique(told[0], axis=0)) > 2
    assert np.array_equal(*told)


def test_labels_are_bare() -> None:
    """No method of the first class can know where labels lie, and none of the first two sees a natural code."""
    given: list[Setting] = []
    for name in BOOK:
        method = Method(f"{name}/x", "mango", lambda setting: given.append(setting) or Listed(np.zeros((1, 1))))  # type: ignore[func-returns-value]
        method.start(Problem(UNIT), seed=0, batch=1, budget=9, noisy=False)
    assert [setting.space.embedding is None for setting in given] == [True, False, False]
    assert [setting.natural is None for setting in given] == [True, True, False]
    assert {setting.budget for setting in given} == {None}, "for none of them plans by it"


def test_gradients_climb() -> None:
    problem = Problem(UNIT)
    start = problem.natural[:1]
    assert gradient.ascend(problem, start, 3) > problem.values(start)[0]


def test_references_are_kept_and_taken_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = []

    def find(part: references.Part) -> dict[str, object]:
        found.append(part.name)
        return {"key": part.key, "value": 0.5 + 0.1 * (part.name == "chart/cma")}

    monkeypatch.setattr(references, "find", find)
    file = tmp_path / "references.json"
    arguments = ["--units", UNIT.name, "--budget", "9000", "--methods", "chart/cma", "natural/auto"]
    arguments += ["--workers", "0", "--out", str(tmp_path), "--file", str(file)]
    references.main(arguments)
    references.main(arguments)
    assert sorted(found) == sorted({"uniform codes", "natural images", "gradient", "chart/cma", "natural/auto"})
    assert references.load_references(UNIT.network, file) == {UNIT.name: 0.6}
    (row,) = json.loads(file.read_text())
    assert row["by"] == "chart/cma"
    assert 8_998 <= row["evaluations"] <= 9_000


def test_every_unit_has_a_reference() -> None:
    assert {unit.name for unit in units.load()} == set(references.load_references())


def case(**at: list[list[float]]) -> scores.Case:
    """Of two units and two seeds; methods of the second class, with one budget of 100 and a mark at 10."""
    found = {f"chart/{name}": np.array(values) for name, values in at.items()}
    paths = {name: np.stack([values / 2, values], -1) for name, values in found.items()}
    by_budget = {name: {100: values} for name, values in found.items()}
    return scores.Case(
        "net", "generator", "none", 40, ["a/1", "a/2"], [0, 1], [100], np.array([10, 100]), by_budget, paths
    )


def test_running_times_count_what_failed() -> None:
    some = case(cma=[[1.0, 1.0], [0.6, 0.1]])
    assert some.running("chart/cma", 0.5) == scores.Running((10 + 10 + 100 + 100) / 3, 3, 4)
    assert some.running("chart/cma", 2.0).hits == 0


def test_ranks_profiles_and_the_best_arm() -> None:
    some = case(cma=[[0.4, 0.6], [0.2, 0.2]], tt=[[0.1, 0.1], [0.4, 0.4]], auto=[[0.5, 0.5], [0.1, 0.1]])
    assert some.ranks("chart", 100) == {"chart/auto": 2.25, "chart/cma": 1.75, "chart/tt": 2.0}
    best = some.hindsight("chart", 100)
    assert best is not None
    assert best.tolist() == pytest.approx([0.5, 0.4])
    assert some.profile("chart", 100)["chart/auto"].tolist() == pytest.approx([1.0, 0.25])


def test_a_seed_that_did_not_run_is_left_out_and_said() -> None:
    some = case(auto=[[0.5, 0.7], [0.6, 0.8]], cma=[[0.2, np.nan], [0.4, np.nan]], tt=[[0.3, np.nan], [np.nan, np.nan]])
    assert scores.difference(some.at["chart/auto"][100], some.at["chart/cma"][100]).mean == pytest.approx(0.25)
    best = some.hindsight("chart", 100)
    assert best is not None
    assert best.tolist() == pytest.approx([0.2, 0.4]), "tt lacks a unit"
    assert set(some.ranks("chart", 100)) == {"chart/auto", "chart/cma"}
    rows = [row.split(" |")[0] for row in report.score_table(some, "chart").splitlines()[2:]]
    assert rows == ["| auto", "| cma, 1 seed", "| tt, 1 unit, 1 seed", "| *share of the best arm in hindsight*"]
    assert "| *share of the best arm in hindsight* | | 2.17 | |" in report.score_table(some, "chart")


def test_the_summary_counts_who_is_above_and_below() -> None:
    noise = np.array([[0.0, 0.1], [0.1, 0.0]])
    methods = {"auto": 0.5 + noise, "tt": 0.2 - noise, "cma": 0.9 - noise, "pycma": 0.6 - noise}
    methods |= {"auto repeats": 0.95 + noise, "random": np.full((2, 2), np.nan)}
    some = case(**{name: values.tolist() for name, values in methods.items()})
    row = report.summary_table([some]).splitlines()[2]
    assert row == "| net, generator | none | 40 | chart | 0.550, cma 0.850; 1/1/1 |", "repeats and empty rows count not"
    alone = report.summary_table([case(auto=[[0.5, 0.5], [0.1, 0.1]]), case(cma=[[0.5, 0.5], [0.1, 0.1]])])
    assert [line.count("chart") for line in alone.splitlines()] == [0, 0, 1], "cases without `auto` have no row"


def test_the_kept_report_is_of_the_kept_runs() -> None:
    folder = Path(report.__file__).parent
    text = (folder / "report.md").read_text()
    keys = pq.read_table(folder / results.TABLE, columns=["key"])["key"].unique()
    assert text.startswith(f"{len(keys)} runs, ")
    summary = [line for line in (folder / "README.md").read_text().splitlines() if "vqvae-cifar10 |" in line]
    assert summary
    assert set(summary) <= set(text.splitlines())


def test_cases_have_an_order() -> None:
    book, vector = (scores.GENERATORS[name] for name in ("chart", "latent"))
    kinds = [("a", book, "none", 40), ("a", book, "gain-0.5", 40), ("a", book, "none", 1), ("b", book, "none", 40)]
    kinds.append(("a", vector, "none", 40))
    assert sorted(kinds[::-1], key=scores._place) == kinds


def test_trajectories_are_of_the_budget_that_most_runs_went_to() -> None:
    rows = [(seed, planned, n) for seed, planned in ((0, 100), (1, 100), (0, 300)) for n in (10, planned)]
    kind = ("net", "generator", "none", 40)
    columns: dict[str, Any] = {name: [value] * len(rows) for name, value in zip(scores.KIND, kind, strict=True)}
    columns |= {"unit": ["a/1"] * len(rows), "method": ["chart/tt"] * len(rows)}
    columns |= {name: [row[place] for row in rows] for place, name in enumerate(("seed", "planned", "evaluations"))}
    columns |= {"scored": [n > 10 for *_, n in rows], "score": [planned / 1000 + n for _, planned, n in rows]}
    some = scores._case({name: np.array(column) for name, column in columns.items()}, *kind)
    np.testing.assert_array_equal(some.paths["chart/tt"], [[[10.1, 100.1, np.nan], [10.1, 100.1, np.nan]]])
    assert sorted(some.at["chart/tt"]) == [100, 300]


def test_a_tie_is_called_one() -> None:
    rng = np.random.default_rng(1)
    noise = rng.normal(0, 0.05, (12, 5))
    near = scores.difference(0.5 + noise, np.full((12, 5), 0.5))
    apart = scores.difference(0.6 + noise, np.full((12, 5), 0.5))
    assert near.low < 0 < near.high
    assert 0 < apart.low < 0.1 < apart.high
    assert report._verdict(scores.difference(np.ones((1, 1)), np.zeros((1, 1)))) == "+1.000", "one run says nothing"
    few = np.array([[1.0, np.nan], [np.nan, 1.0]])
    assert report._verdict(scores.difference(np.ones((2, 2)), few)) == report.MISSING, "neither better nor worse"
    assert report._interval(scores.interval(few)) == report.MISSING
    said = report.score_table(case(cma=[[0.2, 0.2], [0.2, 0.2]], auto=[[0.5, 0.4], [0.6, 0.5]]), "chart")
    assert said.count("better") == 1, "auto is not compared with itself"
    assert "| *share of the best arm in hindsight* | | 2.50 | |" in said
