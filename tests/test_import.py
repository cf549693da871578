"""`import mango` is light, and its names are the documented ones."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

import mango

HEAVY = {"torch", "ray", "nevergrad", "cma", "numba", "matplotlib", "sqlalchemy", "pyarrow", "scipy", "typer", "teneva"}


def _loaded_after(code: str) -> set[str]:
    printed = subprocess.run(
        [sys.executable, "-c", f"import sys\n{code}\nprint(*sys.modules)"], capture_output=True, text=True, check=True
    ).stdout
    return {name.partition(".")[0] for name in printed.split()}


def test_import_loads_nothing_heavy() -> None:
    assert not _loaded_after("import mango") & HEAVY


def test_ci_tests_what_is_installed() -> None:
    if os.environ.get("CI"):
        assert "site-packages" in mango.__file__


def test_a_study_needs_neither_torch_nor_ray() -> None:
    loaded = _loaded_after("from mango import Study, run, make_generator, LocalEvaluator")
    assert "sqlalchemy" in loaded
    assert not loaded & {"torch", "ray", "nevergrad", "cma", "numba", "matplotlib"}


def test_every_public_name_is_there_and_listed() -> None:
    for name in set(mango.__all__) - {"RayEvaluator"}:
        assert getattr(mango, name) is not None
    assert set(mango.__all__) <= set(dir(mango))
    assert set(mango._MODULES) | {"__version__"} == set(mango.__all__)
    assert mango.Study.__module__ == "mango.study"


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'Studdy'"):
        mango.Studdy  # noqa: B018


def test_version_is_that_of_the_distribution() -> None:
    from importlib.metadata import version

    assert mango.__version__ == version("mango-neuro")
