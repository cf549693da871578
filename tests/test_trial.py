"""Results refuse what no target can have answered; seeds are functions of their three numbers."""

from __future__ import annotations

import dataclasses
import math
import statistics

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from mango.errors import TellError
from mango.trial import Result, Trial, TrialState, trial_seed, trial_seeds

NAN = math.nan
GOLDEN = (2968811710, 1353826586)  # of (0, 0, 0) and (3, 14, 1): stored studies rely on them
FINITE = st.floats(allow_nan=False, allow_infinity=False, min_value=-1e100, max_value=1e100)


@given(st.lists(st.one_of(FINITE, st.just(NAN)), min_size=1, max_size=6))
@example([3002399751580198.0, 3002399751580080.0, 3002399751580083.0])
def test_value_is_the_mean_of_what_was_measured(values: list[float]) -> None:
    result = Result(0, 1, tuple(values))
    measured = [v for v in values if not math.isnan(v)]
    assert result.status is (TrialState.DONE if measured else TrialState.LOST)
    if not measured:
        assert math.isnan(result.value)
    else:
        assert result.value == pytest.approx(statistics.fmean(measured))
    if len(measured) < 2:
        assert math.isnan(result.error)
    else:
        expected = statistics.stdev(measured) / math.sqrt(len(measured))
        rounded = 1e-9 + 1e-15 * max(map(abs, measured))  # large numbers lie far apart
        assert result.error == pytest.approx(expected, rel=1e-6, abs=rounded)


def test_the_mean_does_not_depend_on_the_order() -> None:
    assert Result(0, 1, (0.1, 0.2, 0.3)).value == Result(0, 1, (0.3, 0.1, 0.2)).value


def test_keys_are_averaged_apart() -> None:
    result = Result(0, 1, (1.0, 1.0, NAN), keys=(0.2, 0.4, NAN))
    assert result.key == pytest.approx(0.3)
    assert math.isnan(Result(0, 1, (1.0,)).key)


@pytest.mark.parametrize("status", [TrialState.DONE, TrialState.LOST])
def test_nothing_measured_is_lost(status: TrialState) -> None:
    assert Result(0, 1, (NAN, NAN), status=status).status is TrialState.LOST


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"values": (math.inf,)}, r"expected numbers from -1e\+100 to 1e\+100, or NaN .* got the value inf"),
        ({"values": (1.0, -math.inf)}, "got the value -inf"),
        ({"values": (-1.797e308,)}, r"got the value -1.797e\+308"),
        ({"values": (1.0,), "keys": (math.inf,)}, "one key for each of 1 values, numbers from"),
        ({"values": (1.0,), "keys": (1.0, 2.0)}, "one key for each of 1 values, numbers from"),
        ({"values": ()}, "expected at least one value"),
        ({"values": (1.0,), "status": TrialState.OPEN}, "a result is done, lost or failed; got open"),
        ({"values": (1.0,), "status": TrialState.FAILED}, "a failed trial has no values"),
        ({"values": (1.0, NAN), "status": TrialState.LOST}, "a lost trial has no measured value"),
    ],
)
def test_what_does_not_fit_is_refused(arguments: dict, message: str) -> None:
    with pytest.raises(TellError, match=f"trial 7: .*{message}"):
        Result(7, 1, **arguments)


def test_a_failed_trial_keeps_its_reason() -> None:
    result = Result(3, 1, (), status=TrialState.FAILED, reason="three deaths")
    assert (result.status, result.reason) == (TrialState.FAILED, "three deaths")
    assert math.isnan(result.value)
    assert math.isnan(result.error)


def test_trials_and_results_are_frozen() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        Trial(0, 1, np.zeros(2)).number = 1  # type: ignore[misc]
    with pytest.raises(dataclasses.FrozenInstanceError):
        Result(0, 1, (1.0,)).values = (2.0,)  # type: ignore[misc]


@given(st.integers(0, 2**40), st.integers(0, 10**6), st.integers(0, 100))
def test_seeds_are_functions_of_their_numbers(study: int, number: int, repeat: int) -> None:
    seed = trial_seed(study, number, repeat)
    assert seed == trial_seed(study, number, repeat)
    assert 0 <= seed < 2**32


def test_seeds_differ_and_stay_as_they_are() -> None:
    seeds = {trial_seed(s, n, r) for s in range(4) for n in range(50) for r in range(4)}
    assert len(seeds) == 800
    assert trial_seed(0, 0, 0) == GOLDEN[0]
    assert trial_seed(3, 14, 1) == GOLDEN[1]


@given(
    st.one_of(st.just(0), st.integers(0, 2**32 + 1), st.integers(0, 2**63 - 1)),
    st.lists(st.one_of(st.integers(0, 1000), st.integers(0, 2**33)), max_size=5),
    st.integers(1, 4),
)
def test_seeds_computed_together_are_the_same(study: int, numbers: list[int], repeats: int) -> None:
    expected = [tuple(trial_seed(study, number, repeat) for repeat in range(repeats)) for number in numbers]
    assert trial_seeds(study, numbers, repeats) == expected
