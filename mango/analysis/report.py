"""The page of a search: one HTML file that holds everything, reads on a phone, and asks no other host for anything."""

from __future__ import annotations

import base64
import io
import math
import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from PIL import Image

from mango.analysis.evolution import evolution_gif
from mango.analysis.figures import convergence_png
from mango.analysis.findings import Findings, Shown, naturalness_lines, number, picture, with_error
from mango.analysis.pareto import naturalness_png

LISTED = 10  # trials in the table


@dataclass(frozen=True)
class Link:
    """One line of the page of several searches.

    Attributes:
        unit: its name.
        seed: of the search.
        best, natural: values; None where there is none.
        percentile, naturalness: of the best, in percent; None without a log prior.
        evaluations: how many.
        page: where its own page lies, relative to this one.
    """

    unit: str
    seed: int
    best: float | None
    natural: float | None
    percentile: float | None
    naturalness: float | None
    evaluations: int
    page: str


def report_html(
    findings: Findings,
    *,
    result: Mapping[str, Any],
    settings: Mapping[str, Any],
    command: str,
    again: str = "",
) -> str:
    """The page of one search.

    Args:
        findings: what is drawn.
        result: the numbers, as ``result.json`` has them.
        settings: name to value, as they were given.
        command: that repeats the search.
        again: that continues it or writes the page anew.
    """
    return str(
        _templates()
        .get_template("report.html")
        .render(
            findings=findings,
            verdict=verdict(findings),
            tiles=_tiles(findings, result),
            charts=_charts(convergence_png, findings),
            fronts=_charts(naturalness_png, findings) if findings.plausibility is not None else {},
            origins=_origins(findings),
            coordinates=settings.get("chart"),
            evolution=_data(evolution_gif(findings), "gif") if findings.steps else "",
            listed=list(findings.found)[:LISTED],
            settings={name: _plain(value) for name, value in settings.items()},
            versions=result.get("versions", {}),
            result=result,
            command=command,
            again=again,
        )
    )


def summary_html(title: str, overview: bytes, overview_dark: bytes, links: Sequence[Link], command: str) -> str:
    """The page of several searches: their pictures and a table that leads to each one's own page.

    Args:
        title: what was searched for.
        overview: of `mango.analysis.figures.summary_png`.
        overview_dark: the same, light on dark.
        links: one for each search.
        command: that repeats them all.
    """
    images = {"light": _data(overview, "png"), "dark": _data(overview_dark, "png")}
    template = _templates().get_template("summary.html")
    natural = any(link.naturalness is not None for link in links)
    return str(template.render(title=title, images=images, links=links, natural=natural, command=command))


def verdict(findings: Findings) -> str:
    """One sentence on what was found, beside nature where that is known."""
    count = findings.effort
    if not findings.responded:
        why = "every measurement was lost" if np.isnan(findings.values).all() else "no value ever differed"
        return f"No response was found in {count}: {why}, so there is no winner."
    best, maximum, confirmed = findings.found[0].value, findings.nature.maximum, findings.confirmed
    found, caution = f"The best stimulus found in {count} gives {number(best)}", ""
    if confirmed is not None:
        mean = with_error(best, confirmed.error)
        found = f"The stimulus chosen after {count} gives {mean} over {confirmed.presentations:,} fresh presentations"
    elif findings.noisy:
        found = f"The highest of {count} gave {number(best)}"
        caution = "; some of that is luck, for no fresh presentations confirm it"
    if maximum is None:
        return f"{found}{caution}."
    over = f", the largest over {findings.nature.source}" if findings.nature.source else ""
    over += caution
    if best > maximum:
        times = f" {best / maximum:.2f} times" if maximum > 0 else " more than"
        return f"{found},{times} the natural maximum of {number(maximum)}{over}."
    relation = "as much as" if best == maximum else "less than"
    return f"{found}, {relation} the natural maximum of {number(maximum)}{over}."


def _tiles(findings: Findings, result: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """Name, number and remark of the figures at the top of the page."""
    nature = findings.nature
    tiles, confirmed = [], findings.confirmed
    if confirmed is not None:
        remark = f"mean of {confirmed.presentations:,} fresh presentations, and its standard error"
        tiles.append(("confirmed", with_error(confirmed.value, confirmed.error), remark))
    if findings.responded:
        name = "highest trial" if findings.noisy else "best value"
        tiles.append((name, number(result.get("best_value")), _ties(result.get("ties"))))
    if nature.maximum is not None:
        tiles.append(("natural maximum", number(nature.maximum), nature.source))
    if nature.p999 is not None:
        tiles.append(("natural, 99.9 %", number(nature.p999), "one natural stimulus in 1,000 gives more"))
    tiles += [(name, text, f"of the best; {remark}") for name, text, remark in naturalness_lines(result)]
    tiles.append(("evaluations", f"{result.get('evaluations', len(findings.values)):,}", "presentations, all told"))
    if result.get("seconds"):
        share = f"{result.get('seconds_optimizer', 0):.1f} s in the optimizer"
        tiles.append(("time", _duration(result["seconds"]), share))
    return tiles


def _origins(findings: Findings) -> list[dict[str, Any]]:
    """A row for each origin of proposals; none leads where no value ever differed."""
    asked = sum(origin.trials for origin in findings.origins)
    top = float(np.nanmax(findings.values)) if findings.responded else math.nan
    return [
        {
            "name": origin.name or "no origin",
            "trials": f"{origin.trials:,}",
            "share": 100 * origin.trials / asked,
            "best": number(origin.best if findings.responded else None),
            "trial": f"trial {origin.trial}" if findings.responded and not math.isnan(origin.best) else "",
            "leads": origin.best == top,
        }
        for origin in findings.origins
    ]


def _ties(ties: int | None) -> str:
    if not ties or ties < 2:
        return "reached once"
    return f"reached by {ties:,} trials"


def _duration(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.1f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 120 else f"{minutes // 60} h {minutes % 60} min"


def _charts(draw: Callable[..., bytes], findings: Findings) -> dict[tuple[bool, bool], str]:
    """By dark or not, narrow or not."""
    shapes = [(dark, narrow) for dark in (False, True) for narrow in (False, True)]
    return {(dark, narrow): _data(draw(findings, dark=dark, narrow=narrow), "png") for dark, narrow in shapes}


def _plain(value: Any) -> str:
    if value is None or value == {} or value == []:
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, Mapping):
        return ", ".join(f"{name}={item}" for name, item in value.items())
    return str(value)


def _folded(command: str) -> str:
    """A command line with a line for each option, to read and to paste."""
    words = [shlex.quote(word) for word in shlex.split(command)]
    return "".join((" \\\n  " if word.startswith("--") else " ") + word for word in words).lstrip()


def _pixels(shown: Shown) -> str:
    """A stimulus as a PNG of its own size; the page enlarges it without smoothing."""
    buffer = io.BytesIO()
    Image.fromarray(picture(shown.stimulus)).save(buffer, "PNG")
    return _data(buffer.getvalue(), "png")


def _data(content: bytes, kind: str) -> str:
    return f"data:image/{kind};base64,{base64.b64encode(content).decode()}"


@cache
def _templates() -> Any:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("mango.analysis", "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["number"] = number
    environment.filters["pixels"] = _pixels
    environment.filters["folded"] = _folded
    return environment
