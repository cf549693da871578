import io
import math

from rich.console import Console

from mango.cli import live
from mango.evaluators.base import WorkerState
from mango.search import Progress

WORKERS = [
    WorkerState(1, 4711, "busy", 1, 1, 1200, 10.04, 0),
    WorkerState(2, None, "starting", 0, 1, 30, 0.0, 1),
]


def said(*steps, terminal=False):
    stream = io.StringIO()
    with live.Live(Console(file=stream, force_terminal=terminal, width=120)) as line:
        for step in steps:
            line(step)
    return stream.getvalue()


def test_news_say_what_is_known():
    assert live.news(Progress("u", "starting")) == ""
    assert live.news(Progress("u", "searching", 10, 100, 0.25, 2.0)) == "best 0.250, 2/s, 0:45 left"
    assert live.news(Progress("u", "evaluating", 10, 0, 0.25, 2.0)) == "best 0.250, 2/s"
    assert live.news(Progress("u", "searching", 0, 36000, -3.0, 1.0)) == "best \u22123.000, 1/s, 10:00:00 left"


def test_without_a_terminal_lines_are_few(monkeypatch):
    monkeypatch.setattr(live, "EVERY", math.inf)
    steps = [Progress("u", "searching", i, 100, 0.5, 1.0) for i in range(0, 101, 10)]
    lines = said(Progress("u", "starting"), *steps).splitlines()
    assert [line.split(",")[0] for line in lines] == ["u: starting", "u: searching 0/100", "u: searching 100/100"]


def test_without_a_total_there_is_a_count():
    steps = Progress("u", "starting"), Progress("u", "evaluating", 1234, 0, 0.5, 1.0)
    assert said(*steps).splitlines() == ["u: starting", "u: evaluating 1,234, best 0.500, 1/s"]
    assert "1234/?" in said(*steps, terminal=True)


def test_a_long_wait_is_not_silent(monkeypatch):
    monkeypatch.setattr(live, "EVERY", 0.0)
    assert len(said(*[Progress("u", "searching", i, 100) for i in range(5)]).splitlines()) == 5


def test_on_a_terminal_a_bar_moves():
    text = said(Progress("unit-a", "searching", 50, 100, 0.5, 10.0), Progress("unit-b", "starting"), terminal=True)
    assert "unit-b" in text


def drawn(states):
    stream = io.StringIO()
    Console(file=stream, width=120).print(live.crew(states))
    return [" ".join(line.split()) for line in stream.getvalue().splitlines()]


def test_each_worker_has_a_line_below_the_bar():
    assert drawn(WORKERS) == ["worker 1 pid 4711 busy 1,200 done 10/s", "worker 2 starting 30 done 1 death"]
    threads = WorkerState(1, 4711, "busy", 31, 32, 5, 600.0, 2)
    assert drawn([threads]) == ["worker 1 pid 4711 31 of 32 busy 5 done 600/s 2 deaths"]


def test_many_workers_are_counted():
    assert drawn(WORKERS * 5) == ["10 workers: 5 busy, 5 starting, 6,150 done, 5 deaths"]
    assert drawn(WORKERS[:1] * 9) == ["9 workers: 9 busy, 10,800 done"]


def test_workers_are_shown_on_a_terminal_alone():
    step = Progress("u", "searching", 50, 100, 0.5, 10.0, workers=lambda: WORKERS)
    assert "worker 2" in said(step, terminal=True)
    assert "worker" not in said(step)
    assert "worker" not in said(Progress("u", "starting"), terminal=True)
