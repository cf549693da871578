"""The live line of a search: on a terminal a bar that moves, elsewhere a line now and then."""

from __future__ import annotations

import time
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TaskID, TextColumn
from rich.progress import Progress as Bar

from mango.analysis.findings import number
from mango.search.progress import Progress

EVERY = 30.0  # seconds between lines where there is no terminal


class Live:
    """A listener of `mango.search` that writes to a console.

    Args:
        console: to write on.
    """

    def __init__(self, console: Console) -> None:
        self._console = console
        self._bar = Bar(
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
        count = f" {progress.done:,}/{progress.total:,}" if progress.total else ""
        tail = f", {news(progress)}" if news(progress) else ""
        self._console.print(f"{progress.unit}: {progress.stage}{count}{tail}", markup=False, soft_wrap=True)


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
