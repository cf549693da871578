"""The live line of a search: on a terminal a bar that moves, and its workers below; elsewhere a line now and then."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from types import TracebackType
from typing import Self

from rich.console import Console, RenderableType
from rich.progress import BarColumn, MofNCompleteColumn, TaskID, TextColumn
from rich.progress import Progress as Bar
from rich.table import Table
from rich.text import Text

from mango.analysis.findings import number
from mango.evaluators.base import WorkerState
from mango.search.progress import Progress, nobody

EVERY = 30.0  # seconds between lines where there is no terminal
EACH = 8  # workers with a line of their own; more are counted


class Live:
    """A listener of `mango.search` that writes to a console.

    Args:
        console: to write on.
    """

    def __init__(self, console: Console) -> None:
        self._console = console
        self._bar = _Board(
            TextColumn("[bold]{task.description}"),
            TextColumn("{task.fields[stage]}"),
            BarColumn(bar_width=None, complete_style="blue", finished_style="blue"),
            MofNCompleteColumn(),
            TextColumn("{task.fields[news]}"),
            console=console,
            transient=True,
            expand=True,
        )
        self._tasks: dict[str, TaskID] = {}
        self._said: tuple[str, str] = "", ""
        self._at = 0.0

    def __enter__(self) -> Self:
        if self._console.is_terminal:
            self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._console.is_terminal:
            self._bar.stop()

    def __call__(self, progress: Progress) -> None:
        """Shows where a search stands."""
        if self._console.is_terminal:
            self._move(progress)
        else:
            self._say(progress)

    def _move(self, progress: Progress) -> None:
        if progress.unit not in self._tasks:
            for task in self._tasks.values():
                self._bar.update(task, visible=False)
            self._tasks[progress.unit] = self._bar.add_task(progress.unit, total=None, stage="", news="")
        self._bar.workers = progress.workers
        total = progress.total or None
        self._bar.update(
            self._tasks[progress.unit], completed=progress.done, total=total, stage=progress.stage, news=news(progress)
        )

    def _say(self, progress: Progress) -> None:
        now, said = time.monotonic(), (progress.unit, progress.stage)
        ended = progress.total and progress.done == progress.total
        if said == self._said and now - self._at < EVERY and not ended:
            return
        self._said, self._at = said, now
        total = f"/{progress.total:,}" if progress.total else ""
        count = f" {progress.done:,}{total}" if progress.done or total else ""
        tail = f", {news(progress)}" if news(progress) else ""
        self._console.print(f"{progress.unit}: {progress.stage}{count}{tail}", markup=False, soft_wrap=True)


class _Board(Bar):
    """The bar, and below it what the workers do, which is asked anew whenever it is drawn."""

    workers: Callable[[], Sequence[WorkerState]] = staticmethod(nobody)

    def get_renderables(self) -> Iterable[RenderableType]:
        """The bar and the lines below."""
        yield from super().get_renderables()
        if states := self.workers():
            yield crew(states)


def crew(states: Sequence[WorkerState]) -> RenderableType:
    """A line for each worker, or one for many."""
    if len(states) > EACH:
        return Text(_summary(states), "dim")
    table = Table.grid(padding=(0, 2))
    for column in ("left", "left", "left", "right", "right", "left"):
        table.add_column(justify=column, style="dim", no_wrap=True)
    for state in states:
        doing = state.doing if state.slots == 1 or not state.running else f"{state.running} of {state.slots} busy"
        table.add_row(
            f"  worker {state.number}",
            "" if state.pid is None else f"pid {state.pid}",
            doing,
            f"{state.trials:,} done",
            f"{state.rate:.3g}/s" if state.rate else "",
            _deaths(state.deaths),
        )
    return table


def _summary(states: Sequence[WorkerState]) -> str:
    doing = Counter(state.doing for state in states)
    parts = [f"{doing[word]} {word}" for word in ("busy", "idle", "starting", "given up") if doing[word]]
    parts += [f"{sum(state.trials for state in states):,} done", _deaths(sum(state.deaths for state in states))]
    return f"  {len(states)} workers: {', '.join(part for part in parts if part)}"


def _deaths(count: int) -> str:
    return "" if not count else "1 death" if count == 1 else f"{count} deaths"


def news(progress: Progress) -> str:
    """Best so far, rate and time left, as far as they are known."""
    parts = [] if progress.best is None else [f"best {number(progress.best)}"]
    if progress.rate:
        parts.append(f"{progress.rate:.3g}/s")
    if progress.seconds_left is not None:
        parts.append(f"{_clock(progress.seconds_left)} left")
    return ", ".join(parts)


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
