"""The live page in a real Chromium, over a real service."""

from __future__ import annotations

import re
import time
from urllib.parse import urlsplit

import httpx
import pytest

from mango.service.security import SecuritySettings, Tokens
from tests.service.browsing import (
    DESK,
    GENERATORS,
    STUDY,
    answer,
    ask,
    call,
    chromium,
    created,
    expect,
    live,
    opened,
    visit,
)
from tests.service.serving import serving

axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe-playwright-python is not installed")

RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
WRITE, READ = "a-token-that-writes-1", "a-token-that-only-reads"
PHONE = {"width": 390, "height": 844}
TIMES, MINUS = "\N{MULTIPLICATION SIGN}", "\N{MINUS SIGN}"
LIGHT, DARK = "rgb(255, 255, 255)", "rgb(21, 24, 28)"


@pytest.fixture(scope="module")
def browser():
    with chromium() as browser:
        yield browser


@pytest.fixture(scope="module")
def url(tmp_path_factory):
    with serving(f"sqlite:///{tmp_path_factory.mktemp('page')}/mango.db", generators=GENERATORS) as url:
        yield url


def test_the_list_leads_to_a_study(browser, tmp_path):
    with serving(f"sqlite:///{tmp_path}/mango.db", generators=GENERATORS) as url, opened(browser, url) as page:
        live(page)
        expect(page.locator(".empty")).to_contain_text("There is no study yet")
        expect(page.locator(".empty code")).to_contain_text(f"curl {url}/v1/studies")
        created(url, "cell-1")
        created(url, "cell-2", generator=None, space={"kind": "box", "dim": 3}, natural_maximum=None)
        answer(url, "cell-1", [1.0, 6.0, 2.0])
        answer(url, "cell-2", [-1.0])
        cards = page.locator(".card")
        expect(cards.locator("h2")).to_have_text(["cell-2", "cell-1"])
        expect(cards.locator(".value")).to_have_text([f"best{MINUS}1", f"best61.20 {TIMES} natural maximum"])
        expect(cards.locator(".words")).to_have_text(["1 of 40 trials, 3 %", "3 of 40 trials, 8 %"])
        expect(cards.nth(1).locator("img")).to_have_js_property("naturalWidth", 8)
        expect(cards.nth(0).locator("img")).to_have_count(0)
        expect(cards.nth(1).locator(".spark .best")).to_have_count(1)
        expect(page.locator(".note").first).to_have_text("2 studies, 2 running.")
        cards.nth(1).get_by_role("link").click()
        expect(page.get_by_role("heading", level=1, name="cell-1")).to_be_focused()
        expect(page).to_have_title("cell-1 · mango")


def test_answers_are_seen_as_they_are_told(browser, url):
    with opened(browser, created(url, "watched")) as page:
        live(page)
        expect(page.locator(".strip b")).to_have_text("0 of 40 trials, 0 %")
        expect(page.locator(".plot .nothing")).to_have_text("No answer yet")
        answer(url, "watched", [1.0, 4.0, 2.0, 3.0])
        expect(page.locator(".strip b")).to_have_text("4 of 40 trials, 10 %")
        expect(page.locator(".portrait.best .big")).to_have_text("4")
        answer(url, "watched", [6.0, 5.0])
        expect(page.locator(".portrait.best")).to_contain_text(f"1.20 {TIMES} natural maximum")
        expect(page.locator(".portrait.best .words")).to_contain_text("trial 4, ")
        expect(page.locator(".summary")).to_have_text(
            "Best 6, at trial 4. The natural maximum, 5, was passed at trial 4."
        )
        expect(page.locator(".legend")).to_contain_text("natural maximum 5")
        expect(page.locator(".plot .natural")).to_have_count(1)
        assert page.locator(".plot .dots").get_attribute("d").count("M") == 6
        expect(page.locator(".plot text").filter(has_text="response (spikes/s)")).to_have_count(1)
        expect(page.locator(".gallery b")).to_have_text(["6", "5", "4", "3", "2", "1"])
        expect(page.locator(".gallery img").nth(5)).to_have_js_property("naturalWidth", 8)
        expect(page.locator("#arms ~ table tbody th").first).to_be_visible()
        rows = page.locator("#trials ~ table tbody tr")
        expect(rows.locator("th")).to_have_text(["5", "4", "3", "2", "1", "0"])
        ask(url, "watched", 3)
        expect(page.locator("#shown + .note")).to_have_text("3 trials handed out and not yet answered")
        expect(page.locator(".shown [data-state=open] b")).to_have_text(["#6", "#7", "#8"])
        expect(rows.locator("td.state").first).to_have_text("open")


def test_without_a_budget_there_is_a_count_and_a_rate_and_no_end(browser, url):
    with opened(browser, created(url, "endless", budget=None)) as page:
        live(page)
        head, pace = page.locator(".strip b"), page.locator(".strip .note")
        expect(head).to_have_text("0 trials, no budget")
        answer(url, "endless", [1.0])
        expect(head).to_have_text("1 trial, no budget")
        page.wait_for_timeout(1500)  # answers of one second tell no rate
        answer(url, "endless", [4.0, 2.0])
        expect(head).to_have_text("3 trials, no budget")
        expect(pace).to_have_text(re.compile(r"^[\d.]+ trials/(s|min)\.$"))
        expect(page.locator(".progress .bar-track")).to_be_hidden()
        expect(page.locator(".settings")).to_contain_text("none: asks until finished")
        call(url, "/endless/finish")
        expect(pace).to_have_text("Finished.")
        visit(page, url, "Studies")
        card = page.locator(".card").filter(has_text="endless")
        expect(card.locator(".words")).to_have_text("3 trials, no budget")
        expect(card.locator(".bar-track")).to_be_hidden()


def test_the_curve_can_be_read_without_seeing_it(browser, url):
    address = created(url, "read-out")
    answer(url, "read-out", [1.0, 4.0, 2.0, 10.0])
    with opened(browser, address) as page:
        live(page)
        plot = page.get_by_role("slider", name="Response by trial")
        plot.focus()
        expect(plot).to_have_attribute("aria-valuetext", "Trial 3: 10, best so far 10")
        page.keyboard.press("ArrowLeft")
        expect(plot).to_have_attribute("aria-valuetext", "Trial 2: 2, best so far 4")
        expect(page.locator(".readout")).to_be_visible()
        answer(url, "read-out", [11.0])  # the slider stays where it is
        expect(page.locator(".portrait.best .big")).to_have_text("11")
        expect(plot).to_have_attribute("aria-valuetext", "Trial 2: 2, best so far 4")
        expect(page.locator(".readout")).to_be_visible()
        page.keyboard.press("Home")
        expect(plot).to_have_attribute("aria-valuenow", "0")
        page.keyboard.press("Tab")
        page.keyboard.press("Enter")
        rows = page.get_by_role("region", name="The curve as a table").locator("tbody tr")
        expect(rows).to_have_text(["411220 %", "310200 %", "1480 %", "0120 %"])


def test_the_best_so_far_is_the_running_maximum_however_answers_come(browser, url):
    with opened(browser, url) as page:
        best = page.evaluate(
            """async () => {
                const { Curve } = await import("/page/curve.js");
                const curve = new Curve({ numbers: [], values: [], best: [], references: [] });
                const trials = (...pairs) => pairs.map(([number, value]) => ({ number, value }));
                curve.tell(trials([3, 1], [0, 2], [2, null]), { number: 0, value: 2 });
                curve.tell(trials([6, 4], [5, 5], [1, 3]), { number: 5, value: 5 });
                return [curve.numbers, curve.best];
            }"""
        )
    assert best == [[0, 1, 3, 5, 6], [2, 3, 3, 5, 5]]


def test_a_study_is_steered_by_the_keyboard(browser, url):
    with opened(browser, created(url, "steered")) as page:
        live(page)
        badge = page.locator(".badge")
        for _ in range(5):  # skip link, brand, colours, all studies, pause
            page.keyboard.press("Tab")
        expect(page.get_by_role("button", name="Pause")).to_be_focused()
        assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
        page.keyboard.press("Enter")
        expect(badge).to_have_text("paused")
        assert call(url, "/steered", method="GET")["state"] == "paused"
        expect(page.get_by_role("button", name="Resume")).to_be_focused()
        page.keyboard.press("Space")
        expect(badge).to_have_text("running")
        page.keyboard.press("Tab")
        page.keyboard.press("Enter")
        expect(page.get_by_role("dialog", name="Finish this study?")).to_be_visible()
        page.keyboard.press("Escape")
        expect(page.get_by_role("dialog")).to_have_count(0)
        expect(page.get_by_role("button", name="Finish …")).to_be_focused()
        assert call(url, "/steered", method="GET")["state"] == "running"
        page.keyboard.press("Enter")
        expect(page.get_by_role("button", name="Go on with it")).to_be_focused()
        page.keyboard.press("Tab")
        page.keyboard.press("Enter")
        expect(badge).to_have_text("finished")
        expect(page.locator(".actions button:visible")).to_have_count(0)
        expect(page.get_by_role("heading", level=1)).to_be_focused()
        assert call(url, "/steered", method="GET")["state"] == "finished"


def test_a_trial_is_vetoed_by_the_keyboard(browser, url):
    address = created(url, "vetoed")
    ask(url, "vetoed", 2)
    with opened(browser, address) as page:
        live(page)
        veto = page.get_by_role("button", name="Veto trial 1")
        veto.focus()
        page.wait_for_timeout(800)  # a place that has just changed takes no veto
        page.keyboard.press("Space")
        expect(page.locator(".counts .vetoed dd")).to_have_text("1")
        expect(page.locator("#news")).to_have_text("Trial 1 vetoed.")
        expect(veto).to_have_attribute("aria-disabled", "true")
        expect(veto).to_be_focused()
        trial = call(url, "/vetoed/trials/1", method="GET")
        assert (trial["state"], trial["reason"]) == ("vetoed", "on the live page")
        page.keyboard.press("Space")
        expect(page.locator("#news")).to_have_text("Trial 1 is vetoed; it cannot be vetoed any more.")


def test_trials_are_turned_over_and_filtered(browser, url):
    address = created(url, "turned", generator=None, space={"kind": "box", "dim": 3}, budget=100)
    answer(url, "turned", [float(n) for n in range(60)])
    call(url, "/turned/ask", {"n": 1})
    call(url, "/turned/fail", {"trials": [{"number": 60, "attempt": 1, "reason": "the shutter stuck"}]})
    with opened(browser, address) as page:
        live(page)
        where = page.locator(".where")
        expect(where).to_have_text("60 to 36 of 61")
        for name, seen in (("Older", "35 to 11"), ("Older", "10 to 0"), ("Newer", "35 to 11"), ("Oldest", "24 to 0")):
            page.get_by_role("button", name=name).click()
            expect(where).to_have_text(f"{seen} of 61")
            expect(page.locator("#news")).to_have_text(f"{seen} of 61")
        page.get_by_label("State").select_option("failed")
        expect(page.locator("#trials ~ table tbody tr")).to_have_count(1)
        expect(page.locator("#trials ~ table tbody")).to_contain_text("the shutter stuck")
        page.get_by_label("State").select_option("lost")
        expect(page.locator("#trials ~ .note")).to_have_text("There are no such trials.")


def test_a_token_that_reads_shows_all_and_steers_nothing(browser, tmp_path):
    security = SecuritySettings(tokens=Tokens.of(read=[READ], write=[WRITE]))
    with serving(f"sqlite:///{tmp_path}/mango.db", security=security, generators=GENERATORS) as url:
        said = httpx.post(f"{url}/v1/studies", json=STUDY | {"name": "s"}, headers={"Authorization": f"Bearer {WRITE}"})
        assert said.status_code == 201, said.text
        with opened(browser, f"{url}/#/studies/s", allowed="401") as page:
            field = page.get_by_label("Token")
            expect(field).to_be_focused()
            field.fill("not-a-token-of-it")
            page.keyboard.press("Enter")
            expect(page.get_by_role("alert")).to_contain_text("does not know this token")
            expect(field).to_have_attribute("aria-invalid", "true")
            field.fill(READ)
            page.keyboard.press("Enter")
            live(page)
            expect(page.get_by_role("heading", level=1, name="s")).to_be_focused()
            expect(page.locator("#reading")).to_have_text("read only")
            expect(page.locator(".actions, .veto")).to_have_count(0)
            page.set_viewport_size(PHONE)
            assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
            page.set_viewport_size(DESK)
            page.get_by_role("button", name="Sign out").click()
            field.fill(WRITE)
            page.get_by_role("button", name="Sign in").click()
            expect(page.get_by_role("button", name="Pause")).to_be_visible()
            expect(page.locator("#reading")).to_be_hidden()
            page.context.clear_cookies()  # as where the session has ended
            page.get_by_role("button", name="Pause").click()
            expect(field).to_be_focused()


def test_what_cannot_be_shown_says_why(browser, url):
    with opened(browser, f"{url}/#/studies/nowhere", allowed="404") as page:
        expect(page.get_by_role("heading", level=1)).to_have_text("Not here")
        expect(page.locator(".empty")).to_contain_text("there is no study 'nowhere'")
        created(url, "nowhere")
        page.get_by_role("button", name="Try again").click()
        expect(page.get_by_role("heading", level=1, name="nowhere")).to_be_focused()
        live(page)
        httpx.delete(f"{url}/v1/studies/nowhere").raise_for_status()
        expect(page.locator(".empty")).to_contain_text("The study nowhere was deleted.")
        page.get_by_role("link", name="All studies").click()
        expect(page.get_by_role("heading", level=1, name="Studies")).to_be_focused()


def test_a_phone_never_scrolls_sideways(browser, url):
    name = "monkey-B_session-2026-11-27_area-V4_electrode-0017_unit-b_generator-tiles_repeats-3_take-2"
    address = created(url, name, repeats=2, references={"every": 2, "count": 2}, meta={"note": "n" * 200})
    answer(url, name, [1e-12, 123456.7])
    ask(url, name, 4)
    with opened(browser, url, viewport=PHONE, is_mobile=True, has_touch=True) as page:
        for place, title in ((url, "Studies"), (address, name)):
            visit(page, place, title)
            assert page.evaluate("document.documentElement.scrollWidth") == PHONE["width"]
        expect(page.locator(".legend")).to_contain_text("reference images")
        expect(page.locator(".counts .references dd")).to_have_text("3")
        expect(page.locator(".counts")).to_be_in_viewport()


def test_colours_follow_the_system_or_the_button(browser, url):
    with opened(browser, url, color_scheme="dark") as page:
        body = page.locator("body")
        expect(body).to_have_css("background-color", DARK)
        page.emulate_media(color_scheme="light")
        expect(body).to_have_css("background-color", LIGHT)
        page.get_by_role("button", name="Switch to dark colours").click()
        expect(body).to_have_css("background-color", DARK)
        page.reload()
        expect(body).to_have_css("background-color", DARK)
        page.get_by_role("button", name="Switch to light colours").click()
        expect(body).to_have_css("background-color", LIGHT)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_is_in_the_way_of_those_who_see_or_move_otherwise(browser, url, scheme):
    name = f"accessible-{scheme}"
    address = created(url, name, references={"every": 5, "count": 1})
    answer(url, name, [float(n) for n in range(20)])
    ask(url, name, 2)
    call(url, f"/{name}/pause")
    with opened(browser, url, color_scheme=scheme, reduced_motion="reduce") as page:
        for place, title in ((url, "Studies"), (address, name)):
            visit(page, place, title)
            for table in page.locator("summary").all():
                table.click()
            found = axe.Axe().run(page, options={"runOnly": {"type": "tag", "values": RULES}})
            assert found.violations_count == 0, found.generate_report()
        assert page.evaluate("getComputedStyle(document.querySelector('.bar-fill')).transitionDuration") == "0s"


def test_the_page_finds_a_service_that_was_away(browser, tmp_path):
    storage = f"sqlite:///{tmp_path}/mango.db"
    with serving(storage, generators=GENERATORS) as url:
        address = created(url, "away")
        answer(url, "away", [1.0, 2.0])
        context = opened(browser, address, allowed="ERR_")
        page = context.__enter__()
        live(page)
    expect(page.locator("#link")).to_have_text("reconnecting …")
    expect(page.locator("#notice")).to_contain_text("cannot be reached")
    with serving(storage, generators=GENERATORS, port=urlsplit(url).port) as url:
        answer(url, "away", [3.0, 9.0])
        live(page)
        expect(page.locator("#notice")).to_be_hidden()
        expect(page.locator(".portrait.best .big")).to_have_text("9")
        answer(url, "away", [10.0])
        expect(page.locator(".portrait.best .big")).to_have_text("10")
        context.__exit__(None, None, None)


def test_a_stream_that_died_without_a_word_is_noticed(browser, url):
    address = created(url, "silent")
    with opened(browser, url) as page:
        page.clock.install()
        page.evaluate(
            """() => {
                const hear = EventSource.prototype.addEventListener;
                EventSource.prototype.addEventListener = function (kind, listener) {
                    hear.call(this, kind, (event) => window.deaf || listener(event));
                };
            }"""
        )
        visit(page, address, "silent")
        page.evaluate("window.deaf = true")
        answer(url, "silent", [1.0, 2.0])
        page.clock.fast_forward(5_000)
        expect(page.locator(".portrait.best .big")).to_have_text("\N{EN DASH}")
        with page.expect_request(f"{url}/v1/studies/silent"):
            page.clock.fast_forward(30_000)
        page.clock.fast_forward(1_000)
        expect(page.locator(".portrait.best .big")).to_have_text("2")


@pytest.mark.slow
def test_many_answers_a_second_cost_no_more_requests(browser, url):
    address = created(url, "busy", generator=None, space={"kind": "box", "dim": 3}, optimizer="random", budget=5000)
    with opened(browser, address) as page:
        live(page)
        requests: list[str] = []
        page.on("request", lambda request: requests.append(request.url))
        began = time.monotonic()
        for _ in range(50):
            answer(url, "busy", [0.5] * 10)
        expect(page.locator(".strip b")).to_have_text("500 of 5,000 trials, 10 %")
        assert len(requests) < 20 + 2 * (time.monotonic() - began)
