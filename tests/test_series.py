"""Series are read from the packages that hold them; where these are missing, the message says how to get them."""

from __future__ import annotations

import sys
from types import ModuleType

import numpy as np
import pytest

from mango.errors import DataError, UnknownName
from mango.series import load_series


def module(monkeypatch: pytest.MonkeyPatch, name: str, **contents: object) -> None:
    made = ModuleType(name)
    made.__dict__.update(contents)
    monkeypatch.setitem(sys.modules, name.partition(".")[0], ModuleType(name.partition(".")[0]))
    monkeypatch.setitem(sys.modules, name, made)


@pytest.mark.parametrize(("name", "package"), [("trace", "tslearn"), ("gunpoint", "aeon")])
def test_without_the_package_it_says_how_to_get_it(name: str, package: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, package, None)  # an import of it fails
    with pytest.raises(DataError, match=rf"{package}.*pip install 'mango-neuro\[series\]'"):
        load_series(name, "train")


def test_series_come_with_the_channel_first_and_classes_from_0(monkeypatch: pytest.MonkeyPatch) -> None:
    series, labels = np.arange(24.0).reshape(4, 6, 1), np.array([1, 3, 2, 1])

    class CachedDatasets:
        def load_dataset(self, _name: str) -> tuple[np.ndarray, ...]:
            return series, labels, -series[:3], np.array([2, 1, 3])

    module(monkeypatch, "tslearn.datasets", CachedDatasets=CachedDatasets)
    train, test = load_series("trace", "train"), load_series("trace", "test")
    assert train.series.shape == (4, 1, 6)
    assert train.series.dtype == np.float32
    assert np.array_equal(train.series[1, 0], np.arange(6.0, 12))
    assert train.labels.tolist() == [0, 2, 1, 0]
    assert test.series[2, 0, 5] == -17
    assert test.labels.tolist() == [1, 0, 2]


def test_the_split_is_handed_on(monkeypatch: pytest.MonkeyPatch) -> None:
    def load_gunpoint(split: str) -> tuple[np.ndarray, np.ndarray]:
        return np.full((2, 1, 5), {"TRAIN": 1.0, "TEST": 2.0}[split]), np.array(["2", "1"])

    module(monkeypatch, "aeon.datasets", load_gunpoint=load_gunpoint)
    assert load_series("gunpoint", "test").series.max() == 2
    assert load_series("gunpoint", "train").labels.tolist() == [1, 0]


@pytest.mark.parametrize(
    ("name", "package", "shape"), [("trace", "tslearn", (100, 275)), ("gunpoint", "aeon", (50, 150))]
)
def test_the_data_sets_themselves(name: str, package: str, shape: tuple[int, int]) -> None:
    pytest.importorskip(package)
    series, labels = load_series(name, "train")
    assert series.shape == (shape[0], 1, shape[1])
    assert set(labels.tolist()) == set(range(4 if name == "trace" else 2))
    assert np.abs(series.mean(2)).max() < 1e-4


def test_other_names() -> None:
    with pytest.raises(UnknownName, match="gunpoint"):
        load_series("gunpoints", "train")
    with pytest.raises(DataError, match="'train' or 'test'"):
        load_series("trace", "validation")
