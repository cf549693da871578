"""What every evaluator shares: the protocol, the cutting into chunks, and the evaluation of one chunk.

A chunk is evaluated in one call of the generator and one call of the target per repeat. Matrix products round
differently for other numbers of rows and of threads, so which trials share a chunk depends on their numbers alone,
and every evaluation runs on one thread: the same study has the same values, bit for bit, wherever it is evaluated.
"""

from __future__ import annotations

import contextlib
import inspect
import time
from collections.abc import Iterator, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from mango.errors import InputError, MangoError, OptionError, TargetError
from mango.evaluators.threads import one_thread
from mango.trial import EXPECTED, LARGEST, Result, Trial

if TYPE_CHECKING:
    from mango.generators import Generator
    from mango.targets import Target

Floats = NDArray[np.float64]

CHUNK = 10  # trials that share a call of a target which says nothing about it
_FREE = contextlib.nullcontext()


class Evaluator(Protocol):
    """Takes trials, gives back results, whole chunks at a time.

    Attributes:
        seconds_target: sum over all calls so far of what decoding and the target took.
    """

    seconds_target: float

    def free(self) -> int:
        """Trials it can take now."""
        ...

    def submit(self, trials: Sequence[Trial]) -> None:
        """Takes trials to evaluate."""
        ...

    def collect(self, timeout: float | None = None) -> list[Result]:
        """Waits for at least one finished chunk, at most ``timeout`` seconds; none where nothing was submitted.

        Ask the study for all it gives before collecting: an incomplete chunk is evaluated as it is once nothing else
        is being evaluated.

        Raises:
            TargetError: the target raised, or answered with the wrong shape.
            MangoError: the generator or the target could not be built.
        """
        ...

    def close(self) -> None:
        """Gives everything up; what was not collected is lost. Closing twice is nothing."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


class Traits(NamedTuple):
    """What a target says about how it wants to be called.

    Attributes:
        batch_size: stimuli that one call takes best.
        concurrency: calls of `respond` that may wait at the same time, as those of a rig or a network do; of 1 where
            they compute.
    """

    batch_size: int = CHUNK
    concurrency: int = 1

    @classmethod
    def of(cls, target: object) -> Traits:
        """Of its attributes, where it has them and they are not None.

        Raises:
            OptionError: one is no whole number >= 1.
        """
        said = {name: getattr(target, name, None) for name in cls._fields}
        return cls(**{name: whole_number(f"{name} of the target", v) for name, v in said.items() if v is not None})

    def overruled(self, chunk: int | None, concurrency: int | None = None) -> Traits:
        """With what the user says, where that is not None, in place of what the target says.

        Raises:
            OptionError: one is no whole number >= 1.
        """
        return Traits(
            self.batch_size if chunk is None else whole_number("chunk", chunk),
            self.concurrency if concurrency is None else whole_number("concurrency", concurrency),
        )


class WorkerState(NamedTuple):
    """What one of several workers does.

    Attributes:
        number: from 1; it stays when the worker is replaced.
        pid: of its process; None before that is ready.
        doing: ``"starting"``, ``"busy"``, ``"idle"`` or ``"given up"``.
        running: calls of the target under way.
        slots: such calls at most.
        trials: done so far.
        rate: of them per second since it was first ready.
        deaths: of its processes.
    """

    number: int
    pid: int | None
    doing: str
    running: int
    slots: int
    trials: int
    rate: float
    deaths: int


class Chunks:
    """Cuts trials into chunks: those of equal ``number // size`` go together.

    A chunk is closed when it is complete or when a trial of a later chunk has come; the last one waits, since its
    rest may still be asked, until `rest` is called because nothing else is under way. What the study asks until then
    follows from what it was told, not from when, and so do the chunks.

    Args:
        size: trials in a complete chunk.
    """

    def __init__(self, size: int) -> None:
        self._size = whole_number("chunk", size)
        self._held: dict[int, list[Trial]] = {}
        self._closed = 0  # trials in chunks that are under way
        self._last = 0  # the highest chunk seen since nothing was under way

    @property
    def taken(self) -> int:
        """Trials that came and are not done."""
        return self._closed + sum(len(trials) for trials in self._held.values())

    @property
    def under_way(self) -> bool:
        """Whether a closed chunk is not done."""
        return self._closed > 0

    def add(self, trials: Sequence[Trial]) -> list[list[Trial]]:
        """The chunks that these trials close, in the order of their numbers."""
        if not self.under_way:
            self._last = 0  # another study may begin
        for trial in trials:
            self._held.setdefault(trial.number // self._size, []).append(trial)
        self._last = max([self._last, *self._held])
        return self._close([c for c in self._held if c < self._last or self._complete(c)])

    def rest(self) -> list[list[Trial]]:
        """What is left, closed as it is."""
        return self._close(list(self._held))

    def done(self, trials: int) -> None:
        """So many trials of closed chunks were answered, or given up."""
        self._closed -= trials

    def _complete(self, chunk: int) -> bool:
        return len({trial.number for trial in self._held[chunk]}) == self._size

    def _close(self, chunks: list[int]) -> list[list[Trial]]:
        closed = [sorted(self._held.pop(c), key=lambda trial: (trial.number, trial.attempt)) for c in sorted(chunks)]
        self._closed += sum(map(len, closed))
        return closed


def evaluate(
    generator: Generator,
    target: Target,
    trials: Sequence[Trial],
    *,
    decoding: contextlib.AbstractContextManager[Any] = _FREE,
) -> list[Result]:
    """Shows the stimuli of one chunk to the target, once per repeat; results in the order of the trials.

    ``target.respond`` gets ``seeds (n,)``, one for each stimulus, where its signature takes them.

    Args:
        generator: that decodes.
        target: that answers.
        trials: the chunk.
        decoding: held while the generator decodes: a lock, where threads share it.

    Raises:
        TargetError: the target raised, or did not answer with one finite number or NaN for each stimulus.
        InputError: the generator raised, or did not give one stimulus for each code.
    """
    start = time.perf_counter()
    values: list[list[float]] = [[] for _ in trials]
    keys: list[list[float]] = [[] for _ in trials]
    ordered = False
    takes_seeds = _takes_seeds(target)
    with one_thread():
        with decoding:
            stimuli = _decoded(generator, trials)
        for repeat in range(max(len(trial.seeds) for trial in trials)):
            rows = [row for row, trial in enumerate(trials) if repeat < len(trial.seeds)]
            shown = [trials[row] for row in rows]
            seeds = {"seeds": np.array([trial.seeds[repeat] for trial in shown])} if takes_seeds else {}
            answer = _answered(target, stimuli if len(rows) == len(trials) else stimuli[rows], shown, seeds)
            for row, value, key in zip(rows, *answer, strict=True):
                values[row].append(value)
                keys[row].append(np.nan if key is None else key)
                ordered |= key is not None
    seconds = (time.perf_counter() - start) / len(trials)
    return [
        Result(trial.number, trial.attempt, tuple(v), tuple(k) if ordered else None, seconds=seconds)
        for trial, v, k in zip(trials, values, keys, strict=True)
    ]


def build(generator: Generator | str, target: Target | str) -> tuple[Generator, Target]:
    """Generator and target, made where they are names.

    Raises:
        MangoError: what making them raised; anything else than a `MangoError` becomes an `InputError`.
    """
    with one_thread():
        if isinstance(generator, str):
            from mango.generators import make_generator

            with _made_of("generator", generator):
                generator = make_generator(generator)
        if isinstance(target, str):
            from mango.targets import make_target

            with _made_of("target", target):
                target = make_target(target)
    return generator, target


def whole_number(name: str, value: int) -> int:
    """The value, where it is a whole number >= 1.

    Raises:
        OptionError: it is not.
    """
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < 1:
        raise OptionError(f"{name} must be a whole number >= 1; got {value!r}")
    return int(value)


def span(trials: Sequence[Trial]) -> str:
    """How messages name a chunk: ``trial 3``, ``trials 10 to 19``."""
    numbers = [trial.number for trial in trials]
    return f"trial {numbers[0]}" if len(numbers) == 1 else f"trials {min(numbers)} to {max(numbers)}"


@contextlib.contextmanager
def _made_of(kind: str, name: str) -> Iterator[None]:
    try:
        yield
    except MangoError:
        raise
    except Exception as error:
        raise InputError(f"the {kind} {name!r} could not be made: {type(error).__name__}: {error}") from error


def _decoded(generator: Generator, trials: Sequence[Trial]) -> NDArray[Any]:
    codes = np.stack([trial.code for trial in trials])
    try:
        stimuli = generator.decode(codes)
    except MangoError:
        raise
    except (Exception, SystemExit) as error:
        raise InputError(
            f"the generator ({_name(generator)}) raised {type(error).__name__} on {span(trials)}: {error}"
        ) from error
    if np.ndim(stimuli) < 1 or len(stimuli) != len(codes):
        raise InputError(
            f"the generator ({_name(generator)}) must decode {len(codes)} codes to stimuli (n, *stimulus_shape), "
            f"n = {len(codes)}; got {np.shape(stimuli)} for {span(trials)}"
        )
    return stimuli


def _answered(
    target: Target, stimuli: NDArray[Any], trials: Sequence[Trial], seeds: dict[str, Any]
) -> tuple[list[float], list[float] | list[None]]:
    """One call of the target, checked: a value for each trial, and a key or None."""
    try:
        answer = target.respond(stimuli, **seeds)
    except MangoError:
        raise
    except (Exception, SystemExit) as error:
        raise TargetError(
            f"the target ({_name(target)}) raised {type(error).__name__} on {span(trials)}: {error}"
        ) from error
    values, keys = answer if isinstance(answer, tuple) and len(answer) == 2 else (answer, None)
    checked = _column("value", target, values, trials).tolist()
    return checked, [None] * len(trials) if keys is None else _column("key", target, keys, trials).tolist()


def _column(what: str, target: Target, given: object, trials: Sequence[Trial]) -> Floats:
    """Values or keys as float64 ``(n,)``, NaN where there is none."""
    who = f"the target ({_name(target)})"
    try:
        column = np.asarray(given)
    except Exception as error:  # ragged lists, tensors with gradients
        raise TargetError(f"{who} must answer with numbers; got {type(given).__name__} ({error})") from error
    if column.dtype.kind not in "biuf":
        raise TargetError(f"{who} must answer with numbers; got {what}s of type {column.dtype} for {span(trials)}")
    if column.shape != (len(trials),):
        raise TargetError(
            f"{who} must answer with one {what} for each stimulus, shape ({len(trials)},); "
            f"got shape {column.shape} for {span(trials)}"
        )
    column = column.astype(np.float64)
    if (large := np.abs(column) > LARGEST).any():
        where = int(np.argmax(large))
        raise TargetError(
            f"{who} answered trial {trials[where].number} with the {what} {column[where].item()!r}; expected {EXPECTED}"
        )
    return column


def _takes_seeds(target: Target) -> bool:
    try:
        parameters = inspect.signature(target.respond).parameters
    except ValueError:  # compiled without a signature: the protocol has seeds
        return True
    return "seeds" in parameters or any(p.kind is p.VAR_KEYWORD for p in parameters.values())


def _name(thing: object) -> str:
    return str(getattr(thing, "name", None) or type(thing).__name__)
