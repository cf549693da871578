import io
import json
import os
import re
import shutil
import sqlite3
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image
from pyarrow import parquet
from typer.testing import CliRunner

from mango.analysis.findings import best_of, number, picture
from mango.analysis.stimulus_statistics import rms_contrast
from mango.cli.app import app
from mango.errors import InputError, MangoError, OptionError, StorageError, StudyExists, TargetError, UnknownName
from mango.search import Progress, Settings, resume, search, standing, verify
from mango.study import Study
from tests.fakes import Sized, Tiles, Unit

FILES = ["best.png", "config.json", "convergence.png", "evolution.gif", "naturalness.png", "report.html", "result.json",
         "study.db"]  # fmt: skip
FIELDS = (
    "unit best_value best_trial best_code evaluations ties natural_maximum natural_p999 percentile naturalness "
    "rms_contrast feature_distance front seconds seconds_target seconds_optimizer versions"
).split()
COLUMNS = (
    "number state value values error key repeats code origin asked_at told_at seconds log_prior percentile naturalness"
).split()


def small(**changed):
    usual = {"target": "tests.fakes:Unit", "optimizer": "random", "budget": 60, "batch": 10, "workers": 0}
    return Settings(generator="tests.fakes:Tiles", **{**usual, **changed})


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "first"
    told = []
    result = search(small(probes=7), folder, listener=told.append)
    return folder, result, told


def test_a_run_leaves_its_files(done):
    folder, result, _ = done
    assert sorted(set(os.listdir(folder)) - {"study.db.study.lock"}) == sorted([*FILES, "trials.parquet"])
    assert json.loads((folder / "result.json").read_text()) == result
    assert set(FIELDS) <= set(result)
    assert json.loads((folder / "config.json").read_text())["settings"]["budget"] == 60


def test_the_result_is_that_of_the_trials(done):
    folder, result, _ = done
    table = parquet.read_table(folder / "trials.parquet")
    assert table.column_names == COLUMNS
    rows = table.to_pylist()
    assert [row["number"] for row in rows] == list(range(60))
    assert [row["origin"] for row in rows] == ["natural"] * 7 + ["prior"] * 53
    values = [row["value"] for row in rows]
    assert result["best_value"] == max(values) == values[result["best_trial"]]
    assert result["ties"] == values.count(max(values))
    assert result["best_code"] == rows[result["best_trial"]]["code"]
    assert result["evaluations"] == 60
    assert Unit().respond(Tiles().decode(np.array([result["best_code"]])))[0][0] == result["best_value"]
    assert all(row["asked_at"] <= row["told_at"] and row["state"] == "done" and row["repeats"] == 1 for row in rows)
    assert all(row["values"] == [row["value"]] and row["error"] is None for row in rows)
    assert rows[0]["key"] == Unit().respond(Tiles().decode(np.array([rows[0]["code"]])))[1][0]
    assert 0 < result["seconds_target"] < result["seconds"]
    assert 0 < result["seconds_optimizer"] < result["seconds"]
    percents = [max(0, 100 - sum(row["code"]) / 0.64) for row in rows]
    assert [row["percentile"] for row in rows] == pytest.approx(percents)
    assert [row["naturalness"] for row in rows] == pytest.approx([2 * min(p, 100 - p) for p in percents])
    best = rows[result["best_trial"]]
    assert (result["percentile"], result["naturalness"]) == (best["percentile"], best["naturalness"])


def test_the_page_counts_the_trials_of_each_origin(done):
    folder, result, _ = done
    table = (folder / "report.html").read_text().partition('<table class="origins">')[2].partition("</table>")[0]
    assert re.findall(r'scope="row">([^<]+)</th>\s*<td>(\d+)</td>', table) == [("prior", "53"), ("natural", "7")]
    assert f"trial {result['best_trial']}</span>" in table


def test_where_nothing_is_noisy_the_best_is_recommended(done):
    _, result, _ = done
    assert result["recommended_trial"] == result["best_trial"]
    assert result["recommended_code"] == result["best_code"]
    assert (result["confirmed_value"], result["confirmed_presentations"]) == (None, 0)


def test_under_noise_the_confirmed_value_stands_beside_the_luckiest_trial(tmp_path):
    settings = small(target="tests.fakes:Noisy", leaders=0.25, confirm=24, budget=90)
    result = search(settings, tmp_path / "run")
    rows = parquet.read_table(tmp_path / "run" / "trials.parquet").to_pylist()
    assert [row["origin"] for row in rows].count("leader") == 11
    fresh = [row["value"] for row in rows if row["origin"] == "confirm" and row["code"] == result["recommended_code"]]
    assert result["confirmed_value"] == pytest.approx(np.mean(fresh[-result["confirmed_presentations"] :]))
    assert 0 < result["confirmed_error"] < 0.05
    assert "over " + str(result["confirmed_presentations"]) + " fresh presentations" in result["verdict"]
    assert best_of(result) == result["confirmed_value"] < result["best_value"]
    assert rows[result["recommended_trial"]]["code"] == result["recommended_code"]
    assert result["best_value"] == max(row["value"] for row in rows)
    page = (tmp_path / "run" / "report.html").read_text()
    assert "<td>8 fresh</td>" in page, "the first row is of the confirmed one, with its own error"
    assert f"<td>{number(result['confirmed_error'])}</td>" in page
    assert result["front"][0]["value"] <= result["best_value"]
    assert result["natural_source"].endswith("by 8 fresh presentations")
    stands = CliRunner().invoke(app, ["show", str(tmp_path / "run")]).stdout
    assert "mean of 8 fresh presentations" in stands
    assert "highest trial" in stands
    assert "--leaders 0.25 --confirm 24" in (tmp_path / "run" / "report.html").read_text().replace("\\\n  ", "")
    assert verify(tmp_path / "run") == {".": None}


def test_nothing_beats_the_front_in_value_and_naturalness(done):
    folder, result, _ = done
    rows = parquet.read_table(folder / "trials.parquet").to_pylist()
    pairs = {(row["value"], row["naturalness"]) for row in rows}
    front = [(one["value"], one["naturalness"]) for one in result["front"]]
    assert set(front) == {a for a in pairs if not any(b[0] >= a[0] and b[1] >= a[1] and b != a for b in pairs)}
    assert front == sorted(front, reverse=True)
    for one in result["front"]:
        row = rows[one["number"]]
        assert {name: one[name] for name in one if name in row} == {name: row[name] for name in one if name in row}
        assert one["rms_contrast"] == rms_contrast(Tiles().decode(np.array([row["code"]])))[0]
    best = np.array([result["best_code"]])
    assert result["rms_contrast"] == pytest.approx(rms_contrast(Tiles().decode(best))[0])
    assert result["feature_distance"] > 1, "natural tiles have half of the colours only"
    page = (folder / "report.html").read_text()
    assert "percentile of log prior" in page
    assert "Value and naturalness" in page


def test_the_best_beside_nature(done):
    folder, result, _ = done
    with Image.open(folder / "best.png") as image:
        pixels = np.asarray(image.convert("RGB"))
    best = picture(Tiles().decode(np.array([result["best_code"]]))[0])
    assert (pixels[200:584:48, 56:440:48] == best).mean() > 0.95
    assert result["natural_source"] == "500 reconstructed natural images"
    assert result["natural_p999"] <= result["natural_maximum"]
    page = (folder / "report.html").read_text()
    assert "mango search \\\n  --generator tests.fakes:Tiles" in page
    assert "fake:lif2/0@rate" in page


def test_the_listener_hears_all_stages(done):
    _, _, told = done
    assert list(dict.fromkeys(p.stage for p in told)) == ["starting", "searching", "showing natural stimuli", "writing"]
    searching = [p for p in told if p.stage == "searching"]
    assert [p.done for p in searching] == list(range(0, 61, 10))
    assert searching[0].seconds_left is None
    assert searching[-1].seconds_left == 0
    assert searching[-1].best == done[1]["best_value"]
    assert Progress("u", "searching", 10, 30, rate=2.0).seconds_left == 10


def test_the_study_verifies_and_stands(done):
    folder, result, _ = done
    assert verify(folder) == {".": None}
    assert standing(folder) == {"finished": True, **result}


def test_a_second_search_is_refused_and_changes_nothing(done):
    folder, _, _ = done
    before = {name: (folder / name).read_bytes() for name in FILES}
    with pytest.raises(StudyExists, match="mango resume"):
        search(small(), folder)
    assert {name: (folder / name).read_bytes() for name in FILES} == before


@pytest.mark.usefixtures("undrawn")
def test_resuming_a_finished_search_writes_the_same_again(done, tmp_path):
    folder, result, _ = done
    folder = shutil.copytree(folder, tmp_path / "copy")
    again = resume(folder)
    assert {**again, "seconds": 0, "seconds_optimizer": 0} == {**result, "seconds": 0, "seconds_optimizer": 0}
    assert len(json.loads((folder / "config.json").read_text())["sessions"]) == 2


class Stop(Exception):
    """In place of a kill."""


def stopper(after):
    def listen(progress):
        if progress.stage == "searching" and progress.done >= after:
            raise Stop

    return listen


@pytest.mark.parametrize("after", [0, 30])
@pytest.mark.usefixtures("undrawn")
def test_an_interrupted_search_goes_on_to_the_same_end(tmp_path, done, after):
    with pytest.raises(Stop):
        search(small(probes=7), tmp_path, listener=stopper(after))
    stands = standing(tmp_path)
    assert not stands["finished"]
    assert (stands["done"], stands["budget"]) == (after, 60)
    os.remove(tmp_path / "config.json")  # the study knows its settings itself
    result = resume(tmp_path)
    assert [result[f] for f in FIELDS[:13]] == [done[1][f] for f in FIELDS[:13]]
    mine, its = (parquet.read_table(f / "trials.parquet").to_pylist() for f in (tmp_path, done[0]))
    assert [(r["code"], r["value"], r["origin"]) for r in mine] == [(r["code"], r["value"], r["origin"]) for r in its]


def test_silence_has_no_winner(tmp_path):
    result = search(small(target="tests.fakes:Silent"), tmp_path)
    assert (result["best_value"], result["best_trial"], result["best_code"], result["ties"]) == (None, None, None, 0)
    assert result["verdict"].startswith("No response was found in 60 evaluations")
    assert not result["responded"]
    assert "No response found" in (tmp_path / "report.html").read_text()


@pytest.mark.usefixtures("undrawn")
def test_presentations_whose_answers_were_lost_are_counted(tmp_path):
    with pytest.raises(Stop):
        search(small(target="tests.fakes:Losing"), tmp_path, listener=stopper(30))
    stands = standing(tmp_path)
    assert stands["lost"] > 0
    assert stands["evaluations"] == stands["done"] + stands["lost"] == 30


def test_where_every_measurement_was_lost_nothing_else_is_said(tmp_path):
    result = search(small(target="tests.fakes:Lost"), tmp_path)
    assert "every measurement was lost" in result["verdict"]


@pytest.mark.usefixtures("undrawn")
def test_noise_is_repeated_and_weights_are_kept(tmp_path):
    result = search(small(target="tests.fakes:Noisy", repeats=3, weight=0.001), tmp_path)
    assert "best by value + 0.001" in (tmp_path / "report.html").read_text()
    rows = parquet.read_table(tmp_path / "trials.parquet").to_pylist()
    assert len(rows) == 20
    assert {row["repeats"] for row in rows} == {3}
    assert [row["value"] for row in rows] == pytest.approx([np.mean(row["values"]) for row in rows])
    assert [row["error"] for row in rows] == pytest.approx([np.std(row["values"], ddof=1) / 3**0.5 for row in rows])
    assert {row["key"] for row in rows} == {None}
    assert result["evaluations"] == 60
    assert "standard error" in (tmp_path / "report.html").read_text()


@pytest.mark.usefixtures("undrawn")
def test_what_was_lost_is_null_in_the_table(tmp_path):
    search(small(target="tests.fakes:Losing", repeats=2), tmp_path)
    rows = parquet.read_table(tmp_path / "trials.parquet").to_pylist()
    assert {sum(value is None for value in row["values"]) for row in rows} == {0, 1, 2}
    for row in rows:
        measured = [value for value in row["values"] if value is not None]
        assert len(row["values"]) == 2
        assert row["state"] == ("done" if measured else "lost")
        assert row["value"] == (pytest.approx(np.mean(measured)) if measured else None)
        assert (row["error"] is None) == (len(measured) < 2)


@pytest.mark.usefixtures("undrawn")
def test_a_weight_has_the_best_be_natural(tmp_path):
    """The unit likes what only unnatural codes give; the one that is best is told the same way at every stage."""
    told = []
    settings = small(target="tests.fakes:Unlikely", weight=30.0, budget=200)
    with pytest.raises(Stop):
        search(settings, tmp_path, listener=lambda p: (told.append(p), stopper(150)(p)))
    stands = standing(tmp_path)
    rows = resume(tmp_path)
    table = parquet.read_table(tmp_path / "trials.parquet").to_pylist()
    assert stands["best_value"] == told[-1].best < max(row["value"] for row in table[:150])
    low, high = -60.8, -3.2
    outside = [max(low - row["log_prior"], row["log_prior"] - high, 0) / (high - low) for row in table]
    heard = [row["value"] - 30 * far for row, far in zip(table, outside, strict=True)]
    assert max(heard) == pytest.approx(heard[rows["best_trial"]])
    plain = search(replace(settings, weight=0.0), tmp_path / "plain")
    assert plain["naturalness"] < rows["naturalness"]
    assert plain["best_value"] > rows["best_value"]


@pytest.mark.usefixtures("undrawn")
def test_what_the_target_knows_of_nature_counts(tmp_path):
    result = search(small(target="tests.fakes:Known"), tmp_path)
    assert (result["natural_maximum"], result["natural_p999"]) == (0.4, 0.35)
    assert result["natural_source"] == "10,000 test images"


def test_codes_that_are_no_images_are_drawn_too(tmp_path):
    result = search(
        Settings(generator="identity:box:5", target="sphere", optimizer="random", budget=30, workers=0), tmp_path
    )
    assert result["natural_maximum"] is None
    assert (result["naturalness"], result["percentile"], result["front"]) == (None, None, [])
    assert not (tmp_path / "naturalness.png").exists()
    assert parquet.read_table(tmp_path / "trials.parquet")["naturalness"].null_count == 30
    assert Image.open(io.BytesIO((tmp_path / "evolution.gif").read_bytes())).n_frames > 1
    assert parquet.read_table(tmp_path / "trials.parquet")["code"][0].as_py() != []


@pytest.mark.usefixtures("undrawn")
def test_several_units_and_seeds_have_a_summary(tmp_path):
    told = []
    summary = search(small(target="tests.fakes:unit/1-2", budget=20), tmp_path, seeds=[0, 3], listener=told.append)
    places = [f"unit-{unit}/seed-{seed}" for unit in (1, 2) for seed in (0, 3)]
    assert list(summary["searches"]) == places
    shown = [p.unit for p in told if p.stage == "showing natural stimuli" and not p.done]
    assert shown == ["fake:lif2/1@rate", "fake:lif2/2@rate"], "to each unit once, not for each seed"
    naturals = [(one["natural_maximum"], one["natural_p999"]) for one in summary["searches"].values()]
    assert naturals[::2] == naturals[1::2]
    assert [one["unit"] for one in summary["searches"].values()] == ["fake:lif2/1@rate"] * 2 + ["fake:lif2/2@rate"] * 2
    assert json.loads((tmp_path / "summary.json").read_text()) == summary
    with Image.open(tmp_path / "summary.png") as image:
        assert image.width > 900
    page = (tmp_path / "report.html").read_text()
    assert all(
        f'href="{place}/report.html"' in page and (tmp_path / place / "report.html").exists() for place in places
    )
    assert "--seeds 0,3" in page
    assert verify(tmp_path) == dict.fromkeys(places)
    assert set(standing(tmp_path)["searches"]) == set(places)
    with pytest.raises(StudyExists):
        search(small(), tmp_path)


@pytest.mark.usefixtures("undrawn")
def test_several_searches_go_on_where_they_stopped(tmp_path):
    def stop(progress):
        if progress.unit == "fake:lif2/2@rate" and progress.done == 10:
            raise Stop

    with pytest.raises(Stop):
        search(small(target="tests.fakes:unit/1-3", budget=20), tmp_path, listener=stop)
    stands = standing(tmp_path)["searches"]
    assert [one["finished"] for one in stands.values()] == [True, False, False]
    assert [one["evaluations"] for one in stands.values()] == [20, 10, 0]
    assert [one["evaluations"] for one in resume(tmp_path)["searches"].values()] == [20, 20, 20]


@pytest.mark.parametrize(
    ("wrong", "error", "message"),
    [
        ({"generator": "tests.fakes:Tile"}, UnknownName, "Tiles"),
        ({"generator": "vqvea-cifar10"}, UnknownName, "did you mean vqvae-cifar10"),
        ({"target": "spere"}, UnknownName, "did you mean sphere"),
        ({"optimizer": "randm"}, UnknownName, "did you mean random"),
        ({"options": {"speed": 3}}, OptionError, "no option speed"),
        ({"chart": "frequencys:3"}, UnknownName, "did you mean frequencies"),
        ({"generator": "identity:box:5", "weight": 1.0}, OptionError, "log_prior"),
        ({"generator": "identity:box:5", "probes": 3}, InputError, r"natural probes need .* natural\(n, rng\)"),
        ({"generator": "identity:box:5", "probes": 3, "probes_from": "prior"}, InputError, "sample_prior"),
        ({"data": "nowhere"}, MangoError, "does not exist"),
        ({"target": "tests.fakes:unit/1-2", "options": {"speed": 3}}, OptionError, "no option speed"),
    ],
)
def test_what_is_refused_leaves_nothing(tmp_path, wrong, error, message):
    settings = Settings(**{**small().to_json(), **wrong})
    with pytest.raises(error, match=message):
        search(settings, tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.usefixtures("undrawn")
def test_a_target_that_raises_keeps_what_was_told(tmp_path, monkeypatch):
    monkeypatch.setenv("FRAGILE", str(tmp_path / "broken"))
    settings = small(target="tests.fakes:Fragile")

    def breaks(progress):
        if progress.done == 20:
            (tmp_path / "broken").touch()

    with pytest.raises(TargetError, match="electrode fell out"):
        search(settings, tmp_path / "out", listener=breaks)
    with pytest.raises(TargetError):
        resume(tmp_path / "out")
    assert standing(tmp_path / "out")["done"] == 20
    (tmp_path / "broken").unlink()
    assert resume(tmp_path / "out")["evaluations"] == 60
    assert verify(tmp_path / "out") == {".": None}


def test_a_damaged_database_is_said_to_be_damaged(tmp_path):
    with pytest.raises(Stop):
        search(small(), tmp_path, listener=stopper(20))
    content = bytearray((tmp_path / "study.db").read_bytes())
    content[:3000] = b"x" * 3000
    (tmp_path / "study.db").write_bytes(content)
    for suffix in ("-wal", "-shm"):
        (tmp_path / f"study.db{suffix}").unlink(missing_ok=True)
    for look in (resume, verify, standing):
        with pytest.raises(StorageError, match="damaged"):
            look(tmp_path)
    assert (tmp_path / "study.db").read_bytes() == content


def test_a_study_made_elsewhere_is_left_alone(tmp_path):
    url = f"sqlite:///{tmp_path}/study.db"
    Study(Tiles(), budget=5, optimizer="random", storage=url).close()
    with pytest.raises(StorageError, match=r"not made by `mango search`"):
        resume(tmp_path)
    with sqlite3.connect(tmp_path / "study.db") as connection:
        assert connection.execute("select count(*) from events").fetchone() == (0,)
    with pytest.raises(StorageError, match="no study"):
        resume(tmp_path / "none")


@pytest.mark.usefixtures("undrawn")
def test_the_first_codes_may_be_samples_of_the_prior(tmp_path):
    search(small(probes=7, probes_from="prior"), tmp_path)
    rows = parquet.read_table(tmp_path / "trials.parquet").to_pylist()
    assert [row["origin"] for row in rows] == ["sampled"] * 7 + ["prior"] * 53
    assert max(max(row["code"]) for row in rows[:7]) <= 3  # the fake prior knows the darker half alone


@pytest.mark.usefixtures("ray_here", "undrawn")
def test_workers_change_nothing(tmp_path, done):
    result = search(small(probes=7, workers=2), tmp_path)
    assert [result[f] for f in FIELDS[:13]] == [done[1][f] for f in FIELDS[:13]]


def values(folder):
    return parquet.read_table(folder / "trials.parquet").column("value").to_pylist()


@pytest.mark.usefixtures("undrawn")
def test_a_search_keeps_the_chunks_that_it_began_with(tmp_path, monkeypatch):
    sized = small(target="tests.fakes:Sized")
    whole, cut, other = (tmp_path / name for name in ("whole", "cut", "other"))
    search(sized, whole)
    with pytest.raises(Stop):
        search(sized, cut, listener=stopper(20))
    monkeypatch.setattr(Sized, "batch_size", 5)  # as another version of the target may have
    resume(cut)
    assert values(cut) == values(whole)
    assert {folder: chunk_of(folder) for folder in (whole, cut)} == {whole: 7, cut: 7}
    search(sized, other)
    assert values(other) != values(whole)
    assert chunk_of(other) == 5


def chunk_of(folder):
    return json.loads((folder / "config.json").read_text())["settings"]["chunk"]


@pytest.mark.usefixtures("undrawn")
def test_the_command_of_a_search_names_no_chunk_unless_it_was_given(tmp_path):
    search(small(target="tests.fakes:Sized"), tmp_path / "best")
    assert "--chunk" not in json.loads((tmp_path / "best/config.json").read_text())["command"]
    search(small(target="tests.fakes:Sized", chunk=3), tmp_path / "three")
    assert "--chunk 3" in json.loads((tmp_path / "three/config.json").read_text())["command"]
    assert chunk_of(tmp_path / "three") == 3


@pytest.mark.usefixtures("ray_here", "undrawn")
def test_the_listener_can_ask_what_each_worker_does(tmp_path):
    seen = []
    search(small(workers=2), tmp_path, listener=lambda p: seen.append((p.stage, p.workers())))
    assert {len(workers) for stage, workers in seen if stage == "searching"} == {2}
    last = [workers for stage, workers in seen if stage == "showing natural stimuli"][-1]
    assert sum(worker.trials for worker in last) == 60 + 500
    assert [workers for stage, workers in seen if stage == "writing"][-1] == []
