"""What answers hold, for the OpenAPI document; `views` and the routes make them."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel

Number = float | None
State = Literal["running", "paused", "finished", "exhausted", "deleted"]


class TrialAnswer(BaseModel):
    """One trial; its code where that was asked for.

    Attributes:
        value: mean over the measured presentations, which ``values`` are, and its standard error.
        objective: what trials are best by: the value, and in a study with a weight the weighted penalty for codes
            outside the natural band beside it.
    """

    number: int
    attempt: int
    state: Literal["open", "done", "lost", "failed", "vetoed"]
    origin: str
    value: Number
    values: list[Number]
    error: Number
    objective: Number
    key: Number
    seconds: Number
    log_prior: Number
    asked_at: float
    told_at: Number
    lease_until: Number
    reason: str
    stimulus_url: str | None
    code: list[float] | None = None


class ConfirmedAnswer(BaseModel):
    """The final choice by fresh presentations of a study with ``confirm``, see `mango.trial.Confirmed`.

    Attributes:
        number: of the first trial that showed it, which is then the recommended one too.
        value: mean over the presentations of the last round, and its standard error.
        presentations: that it is the mean of.
    """

    number: int
    value: float
    error: Number
    presentations: int


class Counts(BaseModel):
    """Trials by state; answers that came late; values and reference showings so far."""

    asked: int
    told: int
    open: int
    lost: int
    failed: int
    vetoed: int
    late: int
    presentations: int
    references: int


class StudyAnswer(BaseModel):
    """One study.

    Attributes:
        budget: presentations in all; null: the study asks until it is finished by hand.
        options: of the optimizer, those that are numbers, texts and lists.
        weight: of the penalty for codes outside the natural band; not 0: trials are best by their ``objective``.
        noisy: stimuli are shown more than once, so that some of the highest trial's value is luck.
        confirmed: null before the final choice is made, and in a study without one.
    """

    name: str
    state: State
    created_at: float
    generator: str | None
    optimizer: str
    chart: str | None
    options: dict[str, Any]
    weight: float
    seed: int
    budget: int | None
    batch: int
    repeats: int
    leaders: float
    confirm: int
    noisy: bool
    ordered: bool
    lease: Number
    image: dict[str, Any] | None
    dim: int
    natural_maximum: Number
    meta: dict[str, Any]
    stimulus_shape: list[int] | None
    counts: Counts
    best: TrialAnswer | None
    recommended: TrialAnswer | None
    confirmed: ConfirmedAnswer | None
    last_sequence: int


class SpaceAnswer(BaseModel):
    """The codes that may be asked; the lists are one number for each axis, see `mango.SearchSpace`."""

    dim: int
    lower: list[float]
    upper: list[float]
    levels: list[int]
    ordered: list[bool]
    prior: Literal["uniform", "normal"]
    embedding: list[list[float]] | None
    layout: list[int] | None


class ListedBest(BaseModel):
    """The best trial of a study in the list."""

    number: int
    value: Number
    stimulus_url: str | None


class Listed(BaseModel):
    """A study in the list; ``improvements``: the last trials that beat all before them, and their values.

    Attributes:
        budget, noisy: as of `StudyAnswer`.
    """

    name: str
    state: State
    created_at: float
    generator: str | None
    optimizer: str
    budget: int | None
    repeats: int
    noisy: bool
    natural_maximum: Number
    image: dict[str, Any] | None
    stimulus_shape: list[int] | None
    counts: dict[str, int]
    best: ListedBest | None
    improvements: list[tuple[int, float]]


class StudiesAnswer(BaseModel):
    """Every study, the newest first."""

    studies: list[Listed]


class HandedTrial(BaseModel):
    """One trial to be shown."""

    number: int
    attempt: int
    code: list[float]
    origin: str
    repeats: int
    lease_until: Number
    stimulus_url: str | None


class HandedReference(BaseModel):
    """One reference image to be shown, after so many trials of the block."""

    presentation: int
    image: int
    after: int
    asked_at: float
    told_at: Number
    value: Number
    stimulus_url: str | None


class ReferencesAnswer(BaseModel):
    """Showings of reference images, the latest first."""

    references: list[HandedReference]


class AskAnswer(BaseModel):
    """A block, in the order in which to show it, and its event in the log.

    Attributes:
        waiting: nothing now, ask again after some answers.
    """

    trials: list[HandedTrial]
    references: list[HandedReference]
    state: State
    waiting: bool
    sequence: int


class TellAnswer(BaseModel):
    """Trial numbers that this closed, that had been closed by another attempt, and that had been told before."""

    accepted: list[int]
    late: list[int]
    repeated: list[int]
    state: State
    counts: Counts


class NumbersAnswer(BaseModel):
    """Trial numbers that the request changed."""

    numbers: list[int]
    counts: Counts


class EnqueueAnswer(BaseModel):
    """How many codes will be asked verbatim."""

    enqueued: int


class BestAnswer(BaseModel):
    """The best trials, the best first, the one whose code is recommended, and the final choice."""

    trials: list[TrialAnswer]
    recommended: TrialAnswer | None
    confirmed: ConfirmedAnswer | None


class TrialsAnswer(BaseModel):
    """A page of trials; ``next``: what to give as ``after``, or ``before``, for the next one, null at the end."""

    trials: list[TrialAnswer]
    next: int | None


class CurveReference(BaseModel):
    """A reference showing: trials that had been asked before it, and its value."""

    presentation: int
    image: int
    at: float
    value: Number


class CurveAnswer(BaseModel):
    """The course of a study, thinned."""

    numbers: list[int]
    values: list[Number]
    best: list[Number]
    references: list[CurveReference]


class Arm(BaseModel):
    """What one origin asked and found; ``recent``: its share of the last trials."""

    origin: str
    asked: int
    done: int
    best: Number
    recent: float


class ArmsAnswer(BaseModel):
    """The origins of proposals, the busiest of late first."""

    arms: list[Arm]


class Named(BaseModel):
    """A name that studies may use."""

    name: str
    summary: str


class OptimizersAnswer(BaseModel):
    """What searches."""

    optimizers: list[Named]


class GeneratorsAnswer(BaseModel):
    """What makes stimuli."""

    generators: list[Named]


class HealthAnswer(BaseModel):
    """The service answers."""

    status: Literal["ok"]
