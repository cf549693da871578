"""What requests hold, checked before anything else looks at it; what is not named here is refused."""

from __future__ import annotations

import json
import math
import re
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Discriminator,
    Field,
    FiniteFloat,
    Tag,
    field_validator,
    model_validator,
)

from mango.trial import EXPECTED, LARGEST

IDENTITY = re.compile(r"identity:(?:box:([0-9]{1,5})|grid:([0-9]{1,5}):([0-9]{1,5}))")
SERIES = re.compile(r"series:[a-z]+:(?:[a-z]+|([0-9]{1,5}))(?::([0-9]{1,5}))?")
NAME = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$"  # of a study: a file's name everywhere
LONGEST_KEY = 200  # characters of an idempotency key
MOST_ASKED = 10_000  # trials at once
MOST_BUDGET = 100_000_000
MOST_AXES = 65_536
MOST_PIXELS = 4_096 * 4_096
MOST_LEASE = 30 * 86_400.0  # seconds
MOST_FREE = 65_536  # characters of what a study says of itself, which comes with every answer about it
MOST_DEPTH = 20
MOST_OPTION = 65_536

Number = Annotated[int, Field(ge=0, le=2**53)]
Attempt = Annotated[int, Field(ge=1, le=2**31)]
Share = Annotated[float, Field(ge=0, lt=1)]
Pixels = Annotated[int, Field(ge=1, le=8192)]
Seconds = Annotated[float, Field(gt=0, le=MOST_LEASE)]


def _in_range(value: float) -> float:
    if abs(value) > LARGEST:
        raise ValueError(f"expected {EXPECTED}, as NaN or null; got {value!r}")
    return value


def _as_it_came(given: dict[str, Any]) -> dict[str, Any]:
    """Refuses what could be stored, and then not be answered as it came."""
    _check(given, MOST_DEPTH)
    size = len(json.dumps(given))
    if size > MOST_FREE:
        raise ValueError(f"at most {MOST_FREE:,} characters of JSON are kept; got {size:,}")
    return given


def _check(value: Any, depth: int) -> None:
    if isinstance(value, dict | list):
        if not depth:
            raise ValueError(f"at most {MOST_DEPTH} levels of lists and objects are kept")
        for part in value.values() if isinstance(value, dict) else value:
            _check(part, depth - 1)
    elif isinstance(value, float) and not math.isfinite(value):
        raise ValueError("NaN and infinity are not kept; say null or a text")
    elif isinstance(value, int) and not -(2**63) <= value < 2**63:
        raise ValueError("whole numbers have at most 64 bits; say others as texts")


def _small(options: dict[str, Any]) -> dict[str, Any]:
    """Populations, levels and ranks are sizes of arrays."""
    for name, value in options.items():
        if isinstance(value, int | float) and abs(value) > MOST_OPTION:
            raise ValueError(f"{name} is at most {MOST_OPTION:,} over HTTP")
    return options


def _of_a_size(name: str) -> str:
    form, words = {
        "identity": (IDENTITY, "identity:box:DIM or identity:grid:DIM:LEVELS, with at most {} axes and levels"),
        "series": (SERIES, "series:FORM:N or series:FORM:N:K, with at most {} points and cosines"),
    }.get(name.partition(":")[0], (None, ""))
    if form is not None and ":" in name:
        sizes = form.fullmatch(name)
        if sizes is None or any(int(size) > MOST_AXES for size in sizes.groups() if size):
            raise ValueError(f"expected {words.format(f'{MOST_AXES:,}')}")
    return name


GeneratorName = Annotated[str, Field(max_length=200), AfterValidator(_of_a_size)]
Value = Annotated[float, AfterValidator(_in_range)] | None  # NaN or null: the response was lost
Free = Annotated[dict[str, Any], AfterValidator(_as_it_came)]
Options = Annotated[Free, AfterValidator(_small)]

# Lists that may be long are checked to the first fault: one report for each of a million takes gigabytes.
Code = Annotated[list[FiniteFloat], Field(min_length=1, max_length=MOST_AXES, fail_fast=True)]
Values = Annotated[list[Value], Field(min_length=1, max_length=10_000, fail_fast=True)]
Channels = Annotated[list[Value], Field(max_length=1_000_000, fail_fast=True)]
Bins = Annotated[list[Channels], Field(max_length=1_000_000, fail_fast=True)]


def _rank(response: Any) -> str:
    """Which of the two kinds a response is, by its first element."""
    return "bins" if isinstance(response, list) and response and isinstance(response[0], list) else "channels"


Response = Annotated[Annotated[Channels, Tag("channels")] | Annotated[Bins, Tag("bins")], Discriminator(_rank)]


class Model(BaseModel):
    """Strict: a text is no number, and an unknown name is an error."""

    model_config = ConfigDict(extra="forbid", strict=True)


class Box(Model):
    """Continuous axes between two bounds."""

    kind: Literal["box"]
    dim: Annotated[int, Field(ge=1, le=MOST_AXES)]
    low: FiniteFloat = -1.0
    high: FiniteFloat = 1.0
    prior: Literal["uniform", "normal"] = "uniform"


class Grid(Model):
    """Ordered levels on every axis."""

    kind: Literal["grid"]
    dim: Annotated[int, Field(ge=1, le=MOST_AXES)]
    levels: Annotated[int, Field(ge=2, le=65_536)]


class CodeBook(Model):
    """Labels on every axis, perhaps of a code book whose entries lie somewhere and whose axes lie on a map."""

    kind: Literal["codebook"]
    dim: Annotated[int, Field(ge=1, le=MOST_AXES)]
    levels: Annotated[int, Field(ge=2, le=65_536)]
    embedding: Annotated[list[Code], Field(max_length=65_536, fail_fast=True)] | None = None
    layout: Annotated[list[Annotated[int, Field(ge=1)]], Field(max_length=8)] | None = None


Space = Annotated[Box | Grid | CodeBook, Field(discriminator="kind")]


class ImageSettings(Model):
    """How stimuli are drawn as PNG.

    Attributes:
        size: height and width in pixels; null: those of the stimulus.
        background: grey around a stimulus of another shape, 0 black, 1 white.
        upsampling: how a stimulus is enlarged.
    """

    size: Annotated[tuple[Pixels, Pixels] | None, Field(strict=False)] = None
    background: Annotated[float, Field(ge=0, le=1)] = 0.5
    upsampling: Literal["nearest", "bilinear", "bicubic"] = "nearest"

    @model_validator(mode="after")
    def _bounded(self) -> ImageSettings:
        if self.size is not None and self.size[0] * self.size[1] > MOST_PIXELS:
            raise ValueError(
                f"an image of at most {MOST_PIXELS:,} pixels is drawn; got {self.size[0]} x {self.size[1]}"
            )
        return self


class References(Model):
    """Reference images between trials: ``count`` natural stimuli of the generator, or codes of one's own."""

    every: Annotated[int, Field(ge=1, le=1_000_000)]
    count: Annotated[int, Field(ge=1, le=1000)] = 1
    codes: Annotated[list[Code], Field(min_length=1, max_length=1000, fail_fast=True)] | None = None


class StudyNew(Model):
    """A study to be made; see `mango.Study` for what is not said here.

    Attributes:
        budget: presentations in all; null or left out: the study asks until it is finished by hand.
        confirm: presentations at the end of the budget for the final choice, see `mango.Study`; needs a budget.
        ordered: the same trials whoever answers and when, see `mango.Study`; at most two batches are out at a time.
        lease: seconds that a trial stays with whoever asked it; each ask may say otherwise.
        natural_maximum: of the neuron, drawn beside what is found.
    """

    name: Annotated[str, Field(pattern=NAME)]
    generator: GeneratorName | None = None
    space: Space | None = None
    budget: Annotated[int, Field(ge=1, le=MOST_BUDGET)] | None = None
    optimizer: str = "auto"
    seed: Annotated[int, Field(ge=0, lt=2**63)] = 0
    batch: Annotated[int, Field(ge=1, le=MOST_ASKED)] = 40
    repeats: Annotated[int, Field(ge=1, le=10_000)] = 1
    chart: str | None = None
    options: Options = {}
    weight: FiniteFloat = 0.0
    leaders: Share = 0.0
    confirm: Annotated[int, Field(ge=0, le=MOST_BUDGET)] = 0
    ordered: bool = False
    lease: Seconds = 600.0
    image: ImageSettings = ImageSettings()
    references: References | None = None
    natural_maximum: FiniteFloat | None = None
    meta: Free = {}

    @model_validator(mode="after")
    def _one_source(self) -> StudyNew:
        if (self.generator is None) == (self.space is None):
            raise ValueError("a study needs a generator or a space, one of them")
        if self.references is not None and self.generator is None and self.references.codes is None:
            raise ValueError("without a generator, references need codes")
        return self


class Ask(Model):
    """Trials wanted; ``lease`` in seconds, else the study's own."""

    n: Annotated[int, Field(ge=1, le=MOST_ASKED)] = 1
    lease: Seconds | None = None


class ToldTrial(Model):
    """The answer to one trial: one value, or one for each repeat, or the reason why it could not be shown.

    Attributes:
        response: of all channels, kept beside it.
    """

    number: Number
    attempt: Attempt
    value: Value = None
    values: Values | None = None
    keys: Values | None = None
    seconds: Annotated[float, Field(ge=0, lt=1e9)] = 0.0
    reason: Annotated[str, Field(max_length=10_000)] | None = None
    response: Response | None = None

    @model_validator(mode="after")
    def _told(self) -> ToldTrial:
        given = {"value", "values", "reason"} & self.model_fields_set
        if len(given) != 1:
            raise ValueError(
                "a result needs value (null where it was lost), values, or the reason why it failed, one of them"
            )
        if self.values is None and "values" in given:
            raise ValueError("values are numbers, one for each repeat, null where one was lost")
        if "reason" in given and (self.reason is None or self.keys is not None):
            raise ValueError("a reason is a text, and what failed has no keys")
        if isinstance(self.response, list) and self.response and isinstance(self.response[0], list):
            if len({len(row) for row in self.response if isinstance(row, list)}) > 1:
                raise ValueError("the rows of a response have equal lengths")
        return self


class ToldReference(Model):
    """The answer to one showing of a reference image."""

    presentation: Number
    value: Value = None
    values: Values | None = None

    @model_validator(mode="after")
    def _told(self) -> ToldReference:
        given = {"value", "values"} & self.model_fields_set
        if len(given) != 1 or (self.values is None and "values" in given):
            raise ValueError("a showing of a reference needs value (null where it was lost) or values, one of them")
        return self


class Tell(Model):
    """Answers, in any order; accepted whole or refused whole."""

    results: Annotated[list[ToldTrial], Field(max_length=MOST_ASKED, fail_fast=True)] = []
    references: Annotated[list[ToldReference], Field(max_length=MOST_ASKED, fail_fast=True)] = []

    @field_validator("results")
    @classmethod
    def _once(cls, results: list[ToldTrial]) -> list[ToldTrial]:
        if len({result.number for result in results}) < len(results):
            raise ValueError("each trial is told once in a request")
        return results

    @field_validator("references")
    @classmethod
    def _shown_once(cls, references: list[ToldReference]) -> list[ToldReference]:
        if len({reference.presentation for reference in references}) < len(references):
            raise ValueError("each showing of a reference is told once in a request")
        return references


class FailedTrial(Model):
    """A trial that could not be shown."""

    number: Number
    attempt: Attempt
    reason: Annotated[str, Field(max_length=10_000)] = ""


class Fail(Model):
    """Trials that could not be shown; the optimizer hears that they are lost."""

    trials: Annotated[list[FailedTrial], Field(min_length=1, max_length=MOST_ASKED, fail_fast=True)]


class HeldTrial(Model):
    """A hand-out."""

    number: Number
    attempt: Attempt


class Release(Model):
    """Trials that this client will not show."""

    trials: Annotated[list[HeldTrial], Field(min_length=1, max_length=MOST_ASKED, fail_fast=True)]


class Veto(Model):
    """Trials that are not to be shown."""

    numbers: Annotated[list[Number], Field(min_length=1, max_length=MOST_ASKED, fail_fast=True)]
    reason: Annotated[str, Field(max_length=10_000)] = ""


class Enqueue(Model):
    """Codes to be asked verbatim."""

    codes: Annotated[list[Code], Field(min_length=1, max_length=MOST_ASKED, fail_fast=True)]
    origin: Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{0,30}$")] = "enqueued"


class Render(Model):
    """Codes to be drawn, for rigs that own their optimizer."""

    generator: GeneratorName
    codes: Annotated[list[Code], Field(min_length=1, max_length=1000, fail_fast=True)]
    image: ImageSettings = ImageSettings()
