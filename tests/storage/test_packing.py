"""Packing gives back every bit, and refuses what no plain file can hold."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from mango.errors import StorageError
from mango.storage import pack, unpack

DTYPES = st.sampled_from(["<f8", "<f4", "<i8", "<i4", "<u8", "<u2", "|u1", "|b1"])
ARRAYS = DTYPES.flatmap(lambda d: npst.arrays(d, npst.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4)))
SCALARS = st.one_of(st.integers(-(2**200), 2**200), st.floats(), st.text(), st.none(), st.booleans())


@given(st.dictionaries(st.text(max_size=12), st.one_of(ARRAYS, SCALARS), max_size=6))
def test_round_trip_is_exact(parts: dict) -> None:
    again = unpack(pack(parts))
    assert again.keys() == parts.keys()
    for name, part in parts.items():
        if isinstance(part, np.ndarray):
            assert again[name].dtype == part.dtype
            assert again[name].shape == part.shape
            assert again[name].tobytes() == part.tobytes()
            assert again[name].flags.writeable
        elif isinstance(part, float):
            assert math.copysign(1, again[name]) == math.copysign(1, part) or math.isnan(part)
            assert again[name] == part or math.isnan(part)
        else:
            assert again[name] == part


def test_a_transposed_view_keeps_its_meaning() -> None:
    view = np.arange(6.0).reshape(2, 3).T
    np.testing.assert_array_equal(unpack(pack({"view": view, "step": np.arange(10)[::3]}))["view"], view)
    np.testing.assert_array_equal(unpack(pack({"step": np.arange(10)[::3]}))["step"], [0, 3, 6, 9])


def test_numpy_scalars_become_numbers() -> None:
    assert unpack(pack({"a": np.int64(3), "b": np.float64(0.1), "c": np.bool_(True)})) == {"a": 3, "b": 0.1, "c": True}


@pytest.mark.parametrize("part", [[1, 2], {"a": 1}, object(), np.array(["text"]), np.array([None]), b"bytes"])
def test_other_things_are_refused(part: object) -> None:
    with pytest.raises(StorageError, match=r"a state holds|cannot all be stored"):
        pack({"part": part})


@pytest.mark.parametrize("cut", [0, 5, 20, -1])
def test_damaged_bytes_say_so(cut: int) -> None:
    with pytest.raises(StorageError, match="damaged"):
        unpack(pack({"a": np.arange(5.0)})[:cut])
