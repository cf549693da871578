import io
import math

from rich.console import Console

from mango.cli import live
from mango.search import Progress


def said(*steps, terminal=False):
    stream = io.StringIO()
    with live.Live(Console(file=stream, force_terminal=terminal, width=120)) as line:
        for step in steps:
            line(step)
    return stream.getvalue()


def test_news_say_what_is_known():
    assert live.news(Progress("u", "starting")) == ""
    assert live.news(Progress("u", "searching", 10, 100, 0.25, 2.0)) == "best 0.250, 2/s, 0:45 left"
    assert live.news(Progress("u", "searching", 0, 36000, -3.0, 1.0)) == "best \u22123.000, 1/s, 10:00:00 left"


def test_without_a_terminal_lines_are_few(monkeypatch):
    monkeypatch.setattr(live, "EVERY", math.inf)
    steps = [Progress("u", "searching", i, 100, 0.5, 1.0) for i in range(0, 101, 10)]
    lines = said(Progress("u", "starting"), *steps).splitlines()
    assert [line.split(",")[0] for line in lines] == ["u: starting", "u: searching 0/100", "u: searching 100/100"]


def test_a_long_wait_is_not_silent(monkeypatch):
    monkeypatch.setattr(live, "EVERY", 0.0)
    assert len(said(*[Progress("u", "searching", i, 100) for i in range(5)]).splitlines()) == 5


def test_on_a_terminal_a_bar_moves():
    text = said(Progress("unit-a", "searching", 50, 100, 0.5, 10.0), Progress("unit-b", "starting"), terminal=True)
    assert "unit-b" in text
