"""A study answered by an evaluator, from its first proposal to its last answer."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

from mango.errors import StudyError
from mango.evaluators.base import Evaluator
from mango.study import Study
from mango.trial import AskTell, Result

Callback = Callable[[Any, list[Result]], None]  # the study, what it was told


def run(study: AskTell, evaluator: Evaluator, *, callbacks: Sequence[Callback] = ()) -> None:
    """Has an evaluator answer a study until it ends.

    Trials that an earlier run left open are handed out again. Whatever interrupts the run, all that was told stays.
    A study elsewhere may have other clients: while they hold all there is, this waits for it to go on or to end.

    Args:
        study: to be answered, a `Study` or a `Client` of one.
        evaluator: that answers; it stays open.
        callbacks: each called with the study and the results after each tell; one may finish the study, which is how
            one without a budget ends.

    Raises:
        StudyError: the study waits for trials that nobody evaluates.
        TargetError: from the evaluator; so is anything else that it raises.
    """
    if isinstance(study, Study):
        study.reopen()
    while not study.finished:
        while (free := evaluator.free()) > 0 and (trials := study.ask(free)):
            evaluator.submit(trials)
        patience, start = study.patience, time.monotonic()
        results = evaluator.collect(patience)
        if results:
            study.tell(results)
            for callback in callbacks:
                callback(study, results)
        elif patience is not None:  # others hold what is out; an evaluator that has nothing does not wait by itself
            time.sleep(max(0.0, start + patience - time.monotonic()))
        elif not study.finished:
            raise StudyError(
                "the study waits for answers to trials that are not with this evaluator; tell or reopen them"
            )
