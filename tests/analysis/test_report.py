import re
from dataclasses import replace

import numpy as np
import pytest

from mango.analysis.evolution import evolution_gif
from mango.analysis.figures import Row, summary_png
from mango.analysis.findings import Findings, Nature, Origin, Shown
from mango.analysis.report import Link, report_html, summary_html, verdict
from mango.trial import Confirmed
from tests.analysis.examples import SILENT, example, opened


def test_silence_draws_no_winner():
    assert opened(evolution_gif(SILENT)).n_frames == 1
    page = report_html(SILENT, result={"evaluations": 12}, settings={}, command="mango search")
    assert "No response was found in 12 evaluations" in page
    assert "best value" not in page
    assert 'class="stimulus"' not in page


def test_the_page_is_self_contained_and_accessible():
    findings = example()
    result = {
        "best_value": 0.98,
        "ties": 2,
        "evaluations": 60,
        "naturalness": 25.0,
        "percentile": 12.5,
        "rms_contrast": 0.25,
        "natural_rms_contrast": [0.125, 0.5],
        "feature_distance": 1.5,
        "seconds": 3.0,
        "versions": {"x": "1"},
    }
    page = report_html(
        findings, result=result, settings={"chart": None, "options": {"a": 1}}, command="mango <search> --out 'a b'"
    )
    assert "mango &#39;&lt;search&gt;&#39; \\\n  --out &#39;a b&#39;" in page
    assert "a &lt;b&gt; &amp; c" in page
    assert not re.findall(r"(?:src|srcset|href)=\"(?!data:)", page)
    assert "http" not in page.replace("http-equiv", "")
    images = re.findall(r"<img [^>]*>", page)
    assert len(images) > 20
    assert all('alt="' in image and 'alt=""' not in image for image in images)
    assert page.count("<th scope=") > 15
    assert "prefers-color-scheme: dark" in page
    assert 'name="viewport"' in page
    assert "preferred stimulus" not in page
    for words in ("25.0 %", "percentile of log prior 12.5", "90 % of natural stimuli: 0.125 to 0.500", "1.500"):
        assert words in page
    assert "Value and naturalness" in page
    assert "penalty" not in page


def test_the_page_says_what_a_weighted_search_was_for():
    page = report_html(example(weight=0.5), result={"evaluations": 60}, settings={}, command="mango search")
    assert "best by value + 0.5 \N{MULTIPLICATION SIGN} penalty for unnatural codes" in page
    bare = report_html(replace(example(), plausibility=None), result={}, settings={}, command="mango search")
    assert "Value and naturalness" not in bare


def section(findings, **settings):
    """The words of the table of origins, and of what stands around it."""
    page = report_html(findings, result={}, settings=settings, command="mango search")
    _, _, rest = page.partition("<h2>Where the proposals came from</h2>")
    return " ".join(re.sub(r"<[^>]+>", " ", rest.partition("<h2>")[0]).replace("&nbsp;", " ").split())


def test_the_page_says_where_the_proposals_came_from():
    values = np.arange(1000) / 1000
    origins = [
        Origin("frequencies:cma", 744, 0.999, 999),
        Origin("mutation:<b>", 250, 0.5, 500),
        Origin("lost", 5, np.nan, 700),
        Origin("", 1, 0.001, 1),
    ]
    findings = Findings("u", values, [Shown(np.zeros(3), 0.999)], origins=origins)
    words = section(findings, chart=None)
    assert "How many trials each origin proposed, and its best value origin trials share best value" in words
    assert "frequencies:cma 744 74 % 0.999 trial 999 mutation:&lt;b&gt; 250 25 % 0.500 trial 500" in words
    assert "lost 5 &lt; 1 % \N{EN DASH} no origin 1 &lt; 1 % 0.001 trial 1" in words
    assert "each is an arm" in words
    assert "A chart is" in words
    assert "Chart chosen" not in words
    assert "leader" not in words
    page = report_html(findings, result={}, settings={}, command="mango search")
    assert re.findall(r'class="leads">([^<]+)', page) == ["0.999"]


def test_the_page_names_the_chart_that_was_chosen_and_what_noise_has_shown_again():
    origins = [Origin(name, 20, 0.5, 7) for name in ("cma", "leader", "confirm")]
    findings = replace(example(), noisy=True, origins=origins)
    words = section(findings, chart="principal:32")
    assert words.startswith("Chart chosen: principal:32 How many")
    assert "its highest value" in words
    assert "each is an arm" not in words
    assert "A chart is a few coordinates" in words
    assert "leader is one of the best codes so far, shown again. confirm is a showing for the final choice." in words


def test_no_origin_leads_where_there_is_no_winner():
    words = section(replace(SILENT, origins=[Origin("prior", 12, 0.0, 0)]))
    assert "prior 12 100 % \N{EN DASH} An origin says what proposed a trial." in words
    assert words.endswith("proposed a trial.")
    assert section(SILENT) == ""


@pytest.mark.parametrize(
    ("maximum", "words"),
    [
        (None, "gives 0.997."),
        (0.5, "1.99 times the natural maximum of 0.500"),
        (-3.0, "more than the natural maximum"),
        (5.0, "less than the natural maximum of 5.000"),
    ],
)
def test_the_verdict_says_how_it_stands_beside_nature(maximum, words):
    findings = Findings("u", np.array([0.1, 0.997]), [Shown(np.zeros(3), 0.997)], nature=Nature(maximum=maximum))
    assert words in verdict(findings)


def test_under_noise_luck_is_not_told_as_the_best():
    findings = example()
    lucky = findings.found[0].value
    unsure = replace(findings, noisy=True, repeats=2)
    assert verdict(unsure).startswith(f"The highest of 60 trials of 2 presentations gave {lucky:.3f}, ")
    assert verdict(unsure).endswith("; some of that is luck, for no fresh presentations confirm it.")
    confirmed = Confirmed(7, np.zeros(3), 0.42, 0.03, 25)
    first = replace(findings.found[1], value=0.42)
    sure = replace(unsure, found=[first, *findings.found], confirmed=confirmed)
    assert "gives 0.420 \N{PLUS-MINUS SIGN} 0.03 over 25 fresh presentations, less than" in verdict(sure)
    page = report_html(sure, result={"best_value": lucky}, settings={}, command="mango search")
    assert "<dt>highest trial</dt>" in page
    assert "0.420 \N{PLUS-MINUS SIGN} 0.03</dd>" in page
    assert "<dt>best value</dt>" not in page


def test_the_page_of_several_searches_links_to_each():
    overview = summary_png([Row("a", [example().found[0]], ["seed 0"])], "t")
    links = [
        Link("lif2/0", 0, 0.5, None, 98.75, 2.5, 100, "lif2-0/report.html"),
        Link("lif2/1", 0, None, 0.2, None, None, 100, "lif2-1/report.html"),
    ]
    page = summary_html("demo:lif2/0-1", overview, overview, links, "mango search")
    assert 'href="lif2-0/report.html"' in page
    assert "no response" in page
    assert "<td>98.8 %</td>\n    <td>2.5 %</td>" in page
    bare = summary_html("demo:lif2/0-1", overview, overview, links[1:], "mango search")
    assert "percentile" in page
    assert "percentile" not in bare
