"""What a study is made of survives the database, and makes the same optimizer anywhere."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mango.configuration import Configuration, check_source, compact, space_of
from mango.errors import InputError, OptionError, StorageError
from mango.space import SearchSpace
from mango.storage import pack, unpack

MIXED = SearchSpace(
    np.array([-1.0, 0, 0]), np.array([0.3, 7, 299]), np.array([0, 8, 300]), np.array([True, True, False])
)
BOOK = SearchSpace.codebook(6, 300, np.random.default_rng(0).normal(size=(300, 2)), layout=(2, 3))


def _made(space: SearchSpace, **changes: Any) -> Configuration:
    fields: dict[str, Any] = {
        "space": space, "natural": None, "budget": 40, "optimizer": "random", "seed": 2**70, "batch": 7, "repeats": 3,
        "chart": None, "options": {}, "weight": 0.1, "ordered": False, "band": (-3.0, -0.1),
    }  # fmt: skip
    return Configuration(**{**fields, **changes})


@pytest.mark.parametrize("space", [MIXED, BOOK, SearchSpace.box(4, -3, 3, prior="normal"), SearchSpace.grid(3, 2)])
def test_it_is_kept_whole(space: SearchSpace) -> None:
    natural = space.sample(9, np.random.default_rng(1))
    options = {
        "rate": 0.1,
        "elites": 3,
        "names": ["a", None],
        "cores": np.arange(6.0).reshape(2, 3).T,
        "open": math.inf,
    }
    one = _made(space, natural=natural, options=options, chart="frequencies:2")
    kept, arrays = one.dump()
    other = Configuration.load(json.loads(json.dumps(kept)), unpack(pack(arrays)))
    check_source(type("Source", (), {"space": other.space, "log_prior": 0})(), one)
    np.testing.assert_array_equal(other.natural, natural)
    assert other.natural is not None
    assert other.natural.dtype == space.dtype
    np.testing.assert_array_equal(other.options["cores"], options["cores"])
    assert {k: v for k, v in other.options.items() if k != "cores"} == {
        k: v for k, v in options.items() if k != "cores"
    }
    for name in ("budget", "optimizer", "seed", "batch", "repeats", "chart", "weight", "ordered", "band", "made_with"):
        assert getattr(other, name) == getattr(one, name)
    assert other.trials == 13


@pytest.mark.parametrize("name", ["self", "name", "space", "seed", "chart", "natural", "budget"])
def test_what_a_study_says_is_no_option(name: str) -> None:
    with pytest.raises(OptionError, match=f"{name}: said of the study itself"):
        _made(MIXED, options={name: 1})


def test_no_budget_is_kept_and_is_that_of_the_optimizer() -> None:
    one = _made(BOOK, budget=None, leaders=0.25)
    other = Configuration.load(*one.dump())
    assert other.budget is other.trials is other.search_trials is other.proposals is None
    assert other.make_optimizer().budget is None


def test_what_is_missing_is_a_storage_error() -> None:
    kept, arrays = _made(MIXED).dump()
    del kept["batch"]
    with pytest.raises(StorageError, match="stored configuration cannot be read: KeyError"):
        Configuration.load(kept, arrays)


def test_a_weight_without_its_band_cannot_be_read() -> None:
    for weight in (0.1, 0.0):
        kept, arrays = _made(MIXED, weight=weight).dump()
        del kept["band"]
        if weight:
            with pytest.raises(StorageError, match="stored configuration cannot be read: KeyError"):
                Configuration.load(kept, arrays)
        else:
            assert Configuration.load(kept, arrays).band is None


@pytest.mark.parametrize("levels", [1, 2, 256, 257, 65536, 65537])
def test_compact_codes_are_the_same_codes(levels: int) -> None:
    space = SearchSpace.grid(3, levels)
    codes = np.array([[0, levels - 1, levels // 2]])
    np.testing.assert_array_equal(space.validate(compact(space, codes)), codes)
    assert compact(space, codes).nbytes <= 12


def test_another_space_is_another_source() -> None:
    configuration = _made(BOOK, weight=0.0)
    check_source(None, configuration)
    check_source(BOOK, configuration)
    for other in (
        SearchSpace.codebook(6, 300, BOOK.embedding, layout=(3, 2)),
        SearchSpace.codebook(6, 300, layout=(2, 3)),
        SearchSpace.codebook(5, 300),
        SearchSpace.grid(6, 300),
    ):
        with pytest.raises(InputError, match="another search space"):
            check_source(other, configuration)
    with pytest.raises(OptionError, match=r"weight 0.1 needs a generator with a log_prior"):
        check_source(None, _made(BOOK))
    with pytest.raises(InputError, match="needs a generator"):
        space_of(None)


def test_the_number_of_threads_does_not_matter(tmp_path: Path) -> None:
    """The components of natural codes come from an SVD, whose last bits change with the threads of BLAS."""
    code = f"""
import sys
import numpy as np
from mango import Result, SearchSpace, Study, verify
url = "sqlite:///{tmp_path}/study.db"
if sys.argv[1] == "make":
    rng = np.random.default_rng(0)
    space = SearchSpace.box(2048)
    natural = space.sample(400, rng)
    with Study(space, budget=30, optimizer="cma", chart="principal:32", natural=natural, storage=url) as study:
        while trials := study.ask(10):
            study.tell([Result(t.number, 1, (-float(np.square(t.code).sum()),)) for t in trials])
else:
    print(verify(None, storage=url))
"""

    def process(what: str, threads: str) -> str:
        environment = {
            **os.environ,
            "OPENBLAS_NUM_THREADS": threads,
            "OMP_NUM_THREADS": threads,
            "MKL_NUM_THREADS": threads,
        }
        command = [sys.executable, "-c", code, what]
        return subprocess.run(command, capture_output=True, text=True, check=True, env=environment).stdout

    process("make", "1")
    assert process("verify", "4") == "None\n"


def test_numbers_of_numpy_are_numbers() -> None:
    made = _made(MIXED, leaders=np.float32(0.5), budget=np.int64(90), weight=np.float64(0.0))
    assert [type(value) for value in (made.leaders, made.budget, made.weight)] == [float, int, float]
