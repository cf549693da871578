"""Leases, vetoes, references, pauses and repeated requests, on a study that is killed and resumed in between."""

from __future__ import annotations

import hashlib
import tempfile
import time

import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from mango import SearchSpace, Study
from mango.errors import InputError, KeyConflict, StudyError, StudyFinished, TellConflict, TellError
from mango.exchange import Request
from mango.study import verify
from mango.trial import Result, TrialState

BOX = SearchSpace.box(3, -1.0, 1.0)


def made(tmp_path, **options):
    options = {"budget": 20, "optimizer": "random", "ordered": False} | options
    return Study(BOX, storage=f"sqlite:///{tmp_path}/study.db", **options)


def again(study, tmp_path):
    study.close()
    return Study.resume(None, storage=f"sqlite:///{tmp_path}/study.db")


def request(key, text=""):
    return Request(key, hashlib.sha256(text.encode()).hexdigest())


def test_a_lease_outlives_the_process_and_ends(tmp_path):
    study = made(tmp_path)
    first = study.hand_out(2, lease=0.2).trials
    study = again(study, tmp_path)
    assert [t.number for t in study.hand_out(1, lease=60).trials] == [2]
    time.sleep(0.2)
    back = study.hand_out(2, lease=60).trials
    assert [(t.number, t.attempt) for t in back] == [(0, 2), (1, 2)]
    assert all(t.until > time.time() + 50 for t in back)
    np.testing.assert_array_equal([t.code for t in back], [t.code for t in first])
    assert study.take_in([Result(0, 2, (1.0,))]).accepted == [0]
    assert study.take_in([Result(0, 1, (2.0,))]).late == [0]
    assert study.take_in([Result(0, 1, (2.0,))]).repeated == [0]
    with pytest.raises(TellConflict, match=r"told 2\.0 by attempt 1"):
        study.take_in([Result(0, 1, (3.0,))])
    assert study.trials()[0].value == 1.0
    study.close()
    assert verify(BOX, storage=f"sqlite:///{tmp_path}/study.db") is None


def test_what_was_asked_without_a_lease_comes_back_with_the_next_process(tmp_path):
    study = made(tmp_path)
    study.ask(2)
    study.hand_out(1, lease=60)
    study = again(study, tmp_path)
    assert [(t.number, t.attempt) for t in study.ask(3)] == [(0, 2), (1, 2), (3, 1)]
    study.close()


def test_the_same_request_gets_the_same_block_in_any_process(tmp_path):
    study = made(tmp_path)
    study.interleave(np.zeros((2, 3)), every=2)
    block = study.hand_out(4, lease=60, request=request("a"))
    assert [r.after for r in block.references] == [2, 4]
    study.hand_out(1, lease=60)
    for _ in range(2):
        same = study.hand_out(4, lease=60, request=request("a"))
        assert [(t.number, t.attempt, t.until) for t in same.trials] == [(t.number, 1, t.until) for t in block.trials]
        np.testing.assert_array_equal([t.code for t in same.trials], [t.code for t in block.trials])
        assert (same.sequence, same.references) == (block.sequence, block.references)
        study = again(study, tmp_path)
    with pytest.raises(KeyConflict, match="use a new one"):
        study.hand_out(4, lease=60, request=request("a", "other"))
    results = [Result(n, 1, (float(n),)) for n in range(3)]
    told = study.take_in(results, request=request("a", "tell"))
    assert (told.accepted, told.late, told.repeated) == ([0, 1, 2], [], [])
    assert study.take_in(results, request=request("a", "tell")) == told
    assert study.take_in(results).repeated == [0, 1, 2]
    assert study.counts()["asked"] == 5
    study.close()


def test_released_trials_go_to_the_next(tmp_path):
    study = made(tmp_path)
    study.hand_out(3, lease=60)
    assert study.release({0: 1, 1: 2}) == [0]
    assert [(t.number, t.attempt) for t in study.hand_out(2, lease=60).trials] == [(0, 2), (3, 1)]
    assert study.release({0: 1}) == []
    with pytest.raises(TellError, match="never asked"):
        study.release({9: 1})
    study.close()
    assert verify(BOX, storage=f"sqlite:///{tmp_path}/study.db") is None


@pytest.mark.parametrize("ordered", [True, False])
def test_a_vetoed_trial_is_closed_and_costs_nothing(tmp_path, ordered):
    study = made(tmp_path, budget=6, batch=3, ordered=ordered)
    study.ask(3)
    assert study.veto([1, 1, 2], "too bright") == [1, 2]
    assert study.veto([1]) == []
    assert study.take_in([Result(0, 1, (1.0,))]).accepted == [0]
    assert study.take_in([Result(1, 1, (5.0,))]).late == [1]
    assert study.best().value == 1.0
    study = again(study, tmp_path)
    while not study.finished:
        study.tell([Result(t.number, t.attempt, (0.0,)) for t in study.ask(3)])
    assert study.counts()["presentations"] == 6
    assert study.counts()["vetoed"] == 2
    record = study.trials()[1]
    assert (record.state, record.reason) == (TrialState.VETOED, "too bright")
    study.close()
    assert verify(BOX, storage=f"sqlite:///{tmp_path}/study.db") is None


def test_paused_and_finished(tmp_path):
    study = made(tmp_path)
    open_trial = study.ask(1)[0]
    study.pause()
    study.pause()
    assert (study.state, study.ask(1)) == ("paused", [])
    study.tell([Result(open_trial.number, 1, (0.5,))])
    study = again(study, tmp_path)
    assert study.state == "paused"
    study.unpause()
    late = study.ask(1)[0]
    study.finish()
    assert study.finished
    assert (study.state, study.ask(1)) == ("finished", [])
    study.tell([Result(late.number, late.attempt, (2.0,))])
    assert study.best().value == 2.0
    with pytest.raises(StudyFinished, match="was finished"):
        study.unpause()
    study.close()
    assert verify(BOX, storage=f"sqlite:///{tmp_path}/study.db") is None


def test_references_are_kept_and_never_told(tmp_path):
    study = made(tmp_path, budget=8)
    alone = Study(BOX, budget=8, optimizer="random", ordered=False)
    study.interleave(np.eye(3), every=3)
    with pytest.raises(StudyError, match="has references already"):
        study.interleave(np.eye(3), every=3)
    shown = [r for _ in range(4) for r in study.hand_out(2, lease=60).references]
    assert [(r.presentation, r.image, r.after) for r in shown] == [(0, 0, 1), (1, 1, 2)]
    study.take_in([], references={0: [3.0], 1: [float("nan")]})
    study.take_in([], references={0: [3.0]})
    with pytest.raises(TellConflict, match="showing 0"):
        study.take_in([], references={0: [4.0]})
    with pytest.raises(TellError, match="never handed out"):
        study.take_in([], references={2: [4.0]})
    study = again(study, tmp_path)
    assert [r.value for r in study.references()][:1] == [3.0]
    assert np.isnan(study.references()[1].value)
    np.testing.assert_array_equal(study.reference_codes, np.eye(3))
    assert study.counts()["presentations"] == 0
    np.testing.assert_array_equal([t.code for t in study.trials()], [t.code for t in alone.ask(8)])
    study.close()
    alone.close()


@pytest.mark.parametrize(("n", "lease"), [(0, 1.0), (True, 1.0), (1, 0.0), (1, float("inf"))])
def test_hand_outs_that_cannot_be(tmp_path, n, lease):
    with made(tmp_path) as study, pytest.raises(InputError):
        study.hand_out(n, lease=lease)


def test_responses_need_their_results(tmp_path):
    with made(tmp_path) as study:
        study.ask(1)
        with pytest.raises(TellError, match=r"\[3\] have none"):
            study.take_in([Result(0, 1, (1.0,))], responses={3: np.zeros(5)})
        study.take_in([Result(0, 1, (1.0,))], responses={0: np.arange(5.0)})


class Clients(RuleBasedStateMachine):
    """Several clients of one study that lose answers, come late, repeat themselves, and a service that is killed."""

    @initialize(ordered=st.booleans(), optimizer=st.sampled_from(["random", "evolution"]), references=st.booleans())
    def create(self, ordered, optimizer, references):
        self.folder = tempfile.TemporaryDirectory()
        self.url = f"sqlite:///{self.folder.name}/study.db"
        self.study = Study(BOX, budget=30, batch=4, optimizer=optimizer, ordered=ordered, storage=self.url)
        if references:
            self.study.interleave(np.zeros((1, 3)), every=3)
        self.held: dict[tuple[int, int], float] = {}  # by number and attempt: its answer
        self.accepted: dict[int, float] = {}
        self.vetoed: set[int] = set()
        self.keys: dict[str, list[tuple[int, int]]] = {}

    @rule(n=st.integers(1, 6), lease=st.sampled_from([None, 1e-6, 1e6]), key=st.sampled_from(["", "a", "b", "c"]))
    def ask(self, n, lease, key):
        named = request(key, f"{n} {lease}") if key else None
        try:
            block = self.study.hand_out(n, lease=lease, request=named)
        except KeyConflict:
            assert key in self.keys
            return
        handed = [(t.number, t.attempt) for t in block.trials]
        if key and handed:
            assert self.keys.setdefault(key, handed) == handed
        assert len(set(handed)) == len(handed) <= n
        for number, attempt in handed:
            self.held.setdefault((number, attempt), 100.0 * number + attempt)

    @rule(data=st.data())
    def tell(self, data):
        if not self.held:
            return
        some = data.draw(st.lists(st.sampled_from(sorted(self.held)), min_size=1, max_size=4, unique_by=lambda h: h[0]))
        told = self.study.take_in([Result(n, a, (self.held[n, a],)) for n, a in some])
        for n, a in some:
            if n in told.accepted:
                assert n not in self.accepted
                self.accepted[n] = self.held[n, a]
            else:
                assert n in self.accepted or n in self.vetoed

    @rule(data=st.data(), release=st.booleans())
    def give_up(self, data, release):
        if not self.held:
            return
        number, attempt = data.draw(st.sampled_from(sorted(self.held)))
        if release:
            assert self.study.release({number: attempt}) in ([], [number])
        else:
            self.vetoed |= set(self.study.veto([number]))

    @rule(pause=st.booleans())
    def pause(self, pause):
        self.study.pause() if pause else self.study.unpause()

    @rule()
    def killed(self):
        self.study.close()
        self.study = Study.resume(None, storage=self.url)

    @invariant()
    def nothing_is_lost(self):
        if not hasattr(self, "study"):
            return
        records = self.study.trials()
        done = {r.number: r.value for r in records if r.state is TrialState.DONE}
        assert done == self.accepted
        assert {r.number for r in records if r.state is TrialState.VETOED} == self.vetoed
        assert len(records) - len(self.vetoed) <= 30

    def teardown(self):
        if hasattr(self, "study"):
            self.study.close()
            assert verify(BOX, storage=self.url) is None
            self.folder.cleanup()


TestClients = Clients.TestCase
TestClients.settings = settings(max_examples=25, stateful_step_count=25, deadline=None)
