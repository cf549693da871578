import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mango.errors import InputError, OptionError, TargetError, UnknownName
from mango.evaluators.base import Chunks, Traits, build, evaluate
from mango.trial import Trial, TrialState
from tests.evaluators.subjects import Answering, Bowl, Plain, Raising, trials


def numbers(chunks):
    return [[trial.number for trial in chunk] for chunk in chunks]


@settings(deadline=None)
@given(n=st.integers(1, 60), size=st.integers(1, 13), cuts=st.lists(st.integers(0, 60)), first=st.integers(0, 30))
def test_chunks_do_not_depend_on_how_the_trials_came(n, size, cuts, first):
    given_trials, chunks, got = trials(n, start=first), Chunks(size), []
    edges = [0, *sorted(min(c, n) for c in cuts), n]
    for low, high in itertools.pairwise(edges):
        got += numbers(chunks.add(given_trials[low:high]))
    got += numbers(chunks.rest())
    expected = {}
    for trial in given_trials:
        expected.setdefault(trial.number // size, []).append(trial.number)
    assert got == list(expected.values())
    assert chunks.taken == n
    chunks.done(n)
    assert not chunks.under_way


def test_the_last_chunk_waits_for_its_rest():
    chunks = Chunks(10)
    assert chunks.add(trials(5)) == []
    assert (chunks.taken, chunks.under_way) == (5, False)
    assert numbers(chunks.add(trials(8, start=5))) == [list(range(10))]
    assert numbers(chunks.rest()) == [[10, 11, 12]]


def test_a_chunk_with_gaps_is_closed_by_a_later_one():
    chunks, asked = Chunks(10), trials(40)
    assert numbers(chunks.add([asked[13], asked[11], asked[32]])) == [[11, 13]]
    assert numbers(chunks.add([asked[3]])) == [[3]]


def test_once_nothing_is_under_way_another_study_may_begin():
    chunks = Chunks(4)
    assert numbers(chunks.add(trials(4, start=8))) == [[8, 9, 10, 11]]
    assert numbers(chunks.add(trials(2))) == [[0, 1]], "of a chunk that a later one has closed"
    chunks.done(6)
    assert chunks.add(trials(2)) == []
    assert numbers(chunks.add(trials(2, start=2))) == [[0, 1, 2, 3]]


def test_two_attempts_of_a_trial_do_not_complete_a_chunk():
    chunks, asked = Chunks(2), trials(2)
    assert chunks.add([asked[0], Trial(0, 2, asked[0].code)]) == []
    assert numbers(chunks.add([asked[1]])) == [[0, 0, 1]]


@pytest.mark.parametrize("size", [0, -1, 2.0, True, "3"])
def test_a_chunk_is_a_whole_number(size):
    with pytest.raises(OptionError, match="chunk must be a whole number >= 1"):
        Chunks(size)


def test_values_keys_and_seconds():
    results = evaluate(Plain(), Bowl(), trials(4, repeats=3))
    for result, trial in zip(results, trials(4, repeats=3), strict=True):
        assert (result.number, result.attempt, result.status) == (trial.number, 1, TrialState.DONE)
        noise = [np.random.default_rng(seed).normal() for seed in trial.seeds]
        assert result.values == pytest.approx([-np.square(trial.code).sum() + 0.01 * n for n in noise])
        assert result.keys == (trial.code[0],) * 3
        assert result.seconds > 0


def test_trials_of_one_chunk_may_have_their_own_repeats():
    two, one = Trial(0, 1, np.zeros(6), seeds=(1, 2)), Trial(1, 1, np.ones(6), seeds=(3,))
    results = evaluate(Plain(), Answering(0.5), [two, one])
    assert [r.values for r in results] == [(0.5, 0.5), (0.5,)]
    assert [r.keys for r in results] == [None, None]


def test_only_targets_that_take_seeds_get_them():
    class Open:
        def respond(self, _, **more):
            return more["seeds"].astype(float)

    assert [r.values for r in evaluate(Plain(), Open(), trials(2, repeats=2))] == [(0.0, 1.0), (10.0, 11.0)]
    assert evaluate(Plain(), Answering(1.0), trials(1))[0].values == (1.0,)


def test_nan_is_lost_and_a_silent_zero_is_measured():
    lost, silent = (evaluate(Plain(), Answering(v), trials(1))[0] for v in (math.nan, 0.0))
    assert (lost.status, silent.status) == (TrialState.LOST, TrialState.DONE)
    assert silent.values == (0.0,)


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (np.zeros(2), r"one value for each stimulus, shape \(3,\); got shape \(2,\) for trials 0 to 2"),
        (np.zeros((3, 1)), r"shape \(3,\); got shape \(3, 1\)"),
        (1.0j * np.zeros(3), "got values of type complex128"),
        (["a", "b", "c"], "must answer with numbers; got values of type <U1"),
        ([0.0, None, 1.0], "got values of type object"),
        ([[1.0], [1.0, 2.0], [3.0]], "must answer with numbers; got list"),
        (None, "got values of type object"),
        (np.array([0.0, np.inf, 0.0]), "answered trial 1 with the value inf; expected numbers from"),
        ((np.zeros(3), np.zeros(2)), r"one key for each stimulus, shape \(3,\); got shape \(2,\)"),
        ((np.zeros(3), np.array([0.0, 0.0, -np.inf])), "answered trial 2 with the key -inf; expected"),
    ],
)
def test_a_wrong_answer_says_expected_and_got(answer, says):
    with pytest.raises(TargetError, match=says):
        evaluate(Plain(), Answering(answer), trials(3))


def test_a_target_that_raises_is_named_with_what_it_raised():
    with pytest.raises(
        TargetError, match=r"target \(Raising\) raised ZeroDivisionError on trials 0 to 2: by zero"
    ) as e:
        evaluate(Plain(), Raising(ZeroDivisionError("by zero")), trials(3))
    assert isinstance(e.value.__cause__, ZeroDivisionError)
    with pytest.raises(TargetError, match="raised SystemExit on trial 0: 3"):
        evaluate(Plain(), Raising(SystemExit(3)), trials(1))


def test_errors_of_mango_stay_themselves():
    with pytest.raises(UnknownName, match="unknown layer 'x'"):
        evaluate(Plain(), Raising(UnknownName("layer", "x", ["y"])), trials(1))


def test_a_generator_must_give_one_stimulus_for_each_code():
    class Short(Plain):
        def decode(self, codes):
            return codes[1:]

    class Broken(Plain):
        def decode(self, _):
            raise KeyError("latent")

    with pytest.raises(InputError, match=r"must decode 3 codes .* n = 3; got \(2, 6\) for trials 0 to 2"):
        evaluate(Short(), Answering(0.0), trials(3))
    with pytest.raises(InputError, match=r"generator .* raised KeyError on trial 0: 'latent'"):
        evaluate(Broken(), Answering(0.0), trials(1))


def test_what_is_no_name_is_taken_as_it_is():
    generator, target = Plain(), Bowl()
    assert build(generator, target) == (generator, target)


def test_names_are_made(tmp_path, monkeypatch):
    (tmp_path / "my_subjects.py").write_text("from tests.evaluators.subjects import Bowl as bowl\n")
    (tmp_path / "my_wrong_subjects.py").write_text("def bowl():\n    raise KeyError('weights')\n")
    monkeypatch.syspath_prepend(tmp_path)
    generator, target = build("identity:box:6", "my_subjects:bowl")
    assert generator.space.dim == 6
    assert isinstance(target, Bowl)
    with pytest.raises(UnknownName, match="unknown target 'sfere'; did you mean sphere"):
        build(Plain(), "sfere")
    with pytest.raises(InputError, match="my_wrong_subjects:bowl raised KeyError: 'weights'"):
        build(Plain(), "my_wrong_subjects:bowl")


def test_what_a_target_says_of_itself():
    class Target:
        batch_size = np.int64(32)

    assert Traits.of(Target()) == (32, 1)
    assert Traits.of(object()) == (10, 1)
    assert Traits.of(Target()).overruled(None, None) == (32, 1)
    assert Traits.of(Target()).overruled(5, 8) == (5, 8)
    Target.batch_size, Target.concurrency = None, 4
    assert Traits.of(Target()) == (10, 4)
    Target.concurrency = 2.5
    with pytest.raises(OptionError, match=r"concurrency of the target must be a whole number >= 1; got 2\.5"):
        Traits.of(Target())
