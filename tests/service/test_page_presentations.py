"""The live page in a real Chromium: references among what is shown, and the final choice under noise."""

from __future__ import annotations

import re
import time

import pytest

from tests.service.browsing import GENERATORS, answer, ask, call, chromium, created, expect, live, opened, visit
from tests.service.serving import serving


@pytest.fixture(scope="module")
def browser():
    with chromium() as browser:
        yield browser


@pytest.fixture(scope="module")
def url(tmp_path_factory):
    with serving(f"sqlite:///{tmp_path_factory.mktemp('page')}/mango.db", generators=GENERATORS) as url:
        yield url


def test_references_are_among_what_is_being_shown(browser, url):
    address = created(url, "references", references={"every": 2, "count": 2})
    call(url, "/references/ask", {"n": 2})
    with opened(browser, address) as page:
        live(page)
        tiles, note = page.locator(".shown .tile"), page.locator("#shown + .note")
        expect(tiles.locator("b")).to_have_text(["#0", "#1", "reference 0"])
        expect(note).to_have_text("2 trials handed out and not yet answered; 1 reference")
        ask(url, "references", 2)
        expect(tiles.locator("b")).to_have_text(["#0", "#1", "reference 0", "#2", "#3", "reference 1"])
        image = page.get_by_role("img", name="reference image 1, open")
        expect(image).to_have_js_property("naturalWidth", 8)
        expect(image).to_have_attribute("src", "/v1/studies/references/references/1/stimulus.png")
        expect(tiles.nth(1).get_by_role("button")).to_be_visible()
        expect(tiles.nth(2).get_by_role("button")).to_be_hidden()  # a veto is of trials
        call(url, "/references/tell", {"references": [{"presentation": 0, "value": 6.5}]})
        expect(tiles.nth(2)).to_have_attribute("data-state", "done")
        expect(tiles.nth(2)).to_contain_text("6.5reference 0")
        expect(note).to_have_text("4 trials handed out and not yet answered; 1 reference")
        ask(url, "references", 2)
        expect(tiles.locator("b")).to_have_text(["#0", "#1", "#4", "#2", "#3", "reference 1", "#5", "reference 0"])
        page.reload()
        live(page)
        expect(tiles.locator("b")).to_have_text(["#0", "#1", "#2", "#3", "#4", "#5", "reference 1", "reference 0"])


def test_a_large_block_leaves_its_references_a_place(browser, url):
    address = created(url, "large-block", references={"every": 10, "count": 2})
    ask(url, "large-block", 30)
    with opened(browser, address) as page:
        live(page)
        note = "30 trials handed out and not yet answered; 21 of them here; 3 references"
        expect(page.locator("#shown + .note")).to_have_text(note)
        expect(page.locator(".shown .tile")).to_have_count(24)
        expect(page.locator(".shown [data-reference]")).to_have_count(3)


def test_a_reference_that_nobody_tells_gives_its_place_up_when_its_lease_is_over(browser, url):
    address = created(url, "untold", references={"every": 2, "count": 1}, lease=0.1)
    call(url, "/untold/ask", {"n": 2})
    time.sleep(1.2)  # the page knows the service's clock to half a second
    with opened(browser, address) as page:
        live(page)
        expect(page.locator("#shown + .note")).to_have_text("2 trials handed out and not yet answered")
        expect(page.locator(".shown .tile b")).to_have_text(["#0", "#1"])


def test_under_noise_the_confirmed_mean_is_the_big_number_and_the_highest_trial_is_named_so(browser, url):
    address = created(url, "noisy", budget=40, confirm=24, optimizer="random")
    best, beside = ".portrait.best", ".portrait.second"
    with opened(browser, address) as page:
        live(page)
        expect(page.locator(f"{best} .eyebrow")).to_have_text("Highest trial")
        answer(url, "noisy", [1.0, 9.0, 2.0, 3.0])
        expect(page.locator(f"{best} .big")).to_have_text("9")
        luck = "some of this is luck; 24 fresh presentations at the end confirm the choice; trial 1, "
        expect(page.locator(f"{best} .words")).to_contain_text(luck)
        expect(page.locator(".legend")).to_contain_text("highest so far")
        expect(page.get_by_role("heading", name="Highest trials")).to_be_visible()
        while trials := ask(url, "noisy", 40)[0]:
            results = [{"number": t["number"], "attempt": 1, "value": 2.0 + t["number"] % 2} for t in trials]
            call(url, "/noisy/tell", {"results": results})
        confirmed = call(url, "/noisy", method="GET")["confirmed"]
        assert confirmed["value"] < 3
        expect(page.locator(f"{best} .eyebrow")).to_have_text("Confirmed")
        expect(page.locator(f"{best} .big")).to_contain_text(f"{confirmed['value']:.4g} \N{PLUS-MINUS SIGN} 0.")
        expect(page.locator(f"{best} .words")).to_contain_text(f"{confirmed['presentations']} fresh presentations, ")
        expect(page.locator(f"{best} img")).to_have_attribute("alt", re.compile(f"trial {confirmed['number']},"))
        expect(page.locator(f"{beside} .eyebrow")).to_have_text("Highest trial")
        expect(page.locator(f"{beside} .big")).to_have_text("9")
        expect(page.locator(f"{beside} .words")).to_contain_text("some of this is luck; trial 1, ")
        expect(page.locator(".summary")).to_contain_text(f"Confirmed {confirmed['value']:.4g} ")
        visit(page, url, "Studies")
        card = page.locator(".card").filter(has_text="noisy")
        expect(card.locator(".eyebrow")).to_have_text("highest")
