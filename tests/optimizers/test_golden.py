"""No optimizer's proposals change unseen. See golden.py on how to write them anew."""

from __future__ import annotations

import json

import numpy as np
import pytest

from tests.optimizers import golden
from tests.optimizers.spaces import PLACES

FIRST = golden.BATCH  # proposals, before any answer
ALIKE = 0.8  # share of whole numbers that stay where a coordinate on the border between two is tipped (0.86 was seen)


@pytest.mark.parametrize("where", golden.WHERE)
@pytest.mark.parametrize("name", golden.NAMES)
def test_the_first_proposals_are_those_written_down(name: str, where: str) -> None:
    written = json.loads(golden.path(name).read_text())[where]
    proposed = golden.proposals(name, where)
    if written is None:
        assert proposed is None, f"{name} refused {where} when the golden numbers were written"
        return
    assert np.shape(written) == (golden.PROPOSALS, PLACES[where].space.dim)
    assert proposed is not None
    if PLACES[where].space.is_box:  # floats may differ by the rounding of another BLAS
        np.testing.assert_allclose(proposed, written, rtol=1e-9, atol=1e-12)
        return
    same = proposed == np.array(written)
    assert same[:FIRST].all()
    assert same.mean() > ALIKE, "more than the rounding of another BLAS tips"


def test_no_golden_numbers_are_left_over() -> None:
    assert sorted(golden.FOLDER.glob("*")) == sorted(golden.path(name) for name in golden.NAMES)
