import shlex

import pytest

from mango.errors import InputError, OptionError, StorageError
from mango.search.settings import Settings, expand_seeds, expand_targets, searches, unit_folder

SMALL = Settings(generator="g", target="net:lif2/3")


@pytest.mark.parametrize(
    ("spec", "units"),
    [
        ("net:lif2/9-11@current", ["net:lif2/9@current", "net:lif2/10@current", "net:lif2/11@current"]),
        ("net:lif2/17,3,4", ["net:lif2/17,3,4"]),
        ("net:output/cat", ["net:output/cat"]),
        ("sphere", ["sphere"]),
        ("my-module:make-it", ["my-module:make-it"]),
    ],
)
def test_only_ranges_of_units_expand(spec, units):
    assert expand_targets(spec) == units


@pytest.mark.parametrize(("text", "seeds"), [("0-4", [0, 1, 2, 3, 4]), ("7", [7]), ("3, 1-2,3", [3, 1, 2])])
def test_seeds_expand(text, seeds):
    assert expand_seeds(text) == seeds


@pytest.mark.parametrize("text", ["", "a", "4-0", "1,,2", "-1", "0-99999"])
def test_bad_seeds_are_refused(text):
    with pytest.raises(InputError, match=r"seeds are given|backwards|longer"):
        expand_seeds(text)


def test_a_range_that_runs_backwards_is_refused():
    with pytest.raises(InputError, match=r"5-2 .* runs backwards"):
        expand_targets("net:lif2/5-2")


def test_every_search_has_a_folder_of_its_own():
    assert list(searches(SMALL, [0])) == ["."]
    units = Settings(generator="g", target="net:lif2/0-1@current")
    assert list(searches(units, [4])) == ["lif2-0@current", "lif2-1@current"]
    assert list(searches(SMALL, [0, 1])) == ["seed-0", "seed-1"]
    both = searches(units, [0, 1])
    assert list(both) == [f"lif2-{unit}@current/seed-{seed}" for unit in (0, 1) for seed in (0, 1)]
    assert [(one.target[-9:], one.seed) for one in both.values()][1] == ("0@current", 1)
    with pytest.raises(InputError, match="more than 10,000 searches"):
        searches(Settings(generator="g", target="net:lif2/0-999"), list(range(11)))


@pytest.mark.parametrize(("target", "folder"), [("net:lif2/17,3,4@rate", "lif2-17-3-4@rate"), ("sphere", "sphere")])
def test_folders_have_plain_names(target, folder):
    assert unit_folder(target) == folder


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"budget": 0}, "budget must be a whole number >= 1; got 0"),
        ({"batch": 0}, "batch must be"),
        ({"workers": -1}, "workers must be a whole number >= 0"),
        ({"seed": 1.5}, "seed must be"),
        ({"budget": 10, "probes": 6, "repeats": 2}, "do not fit a budget of 10"),
        ({"budget": 10, "probes": 6, "confirm": 5}, "do not fit a budget of 10, of which 5 are kept to confirm"),
        ({"probes": 1, "probes_from": "nature"}, "probes_from must be natural or prior; got 'nature'"),
        ({"confirm": -1}, "confirm must be a whole number >= 0"),
        ({"leaders": 1.0}, "leaders must be a share"),
        ({"time_limit": 1.0, "workers": 0}, "a time limit needs workers"),
        ({"time_limit": -1.0}, "seconds > 0"),
        ({"ray_address": "x:1", "workers": 0}, "needs workers"),
        ({"gpus": 0.5, "workers": 0}, "GPUs are given to workers"),
        ({"chunk": 0}, "chunk must be a whole number >= 1; got 0"),
        ({"chunk": True}, "chunk must be"),
    ],
)
def test_bad_settings_are_refused(wrong, message):
    with pytest.raises(OptionError, match=message):
        Settings(generator="g", target="t", **wrong)


def test_settings_survive_json():
    given = Settings(generator="g", target="t", options={"rank": 4}, data="here", weight=0.5)
    assert given.data.startswith("/")
    assert Settings.from_json(given.to_json(), "x") == given
    with pytest.raises(StorageError, match=r"settings in config\.json cannot be read"):
        Settings.from_json({"generator": "g"}, "config.json")
    with pytest.raises(StorageError, match="budget"):
        Settings.from_json({**given.to_json(), "budget": "many"}, "x")


def test_the_command_names_what_was_chosen():
    given = Settings(generator="g", target="t u", options={"rank": 4, "binary": True}, ordered=False, probes=5)
    words = shlex.split(given.command("runs/a b"))
    assert words[:6] == ["mango", "search", "--generator", "g", "--target", "t u"]
    assert words[words.index("--probes") + 1] == "5"
    assert [words[i + 1] for i, word in enumerate(words) if word == "--option"] == ["rank=4", "binary=True"]
    assert "--no-ordered" in words
    assert "--repeats" not in words
    assert words[-2:] == ["--out", "runs/a b"]
