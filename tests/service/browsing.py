"""A real Chromium that looks at a service, and a rig that asks and tells, for the tests of the live page."""

from __future__ import annotations

import re
import shutil
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest

playwright = pytest.importorskip("playwright.sync_api", reason="playwright, of the dev dependencies, is not installed")

expect = playwright.expect
NAMES = ("chromium", "chromium-browser", "google-chrome")
ARGUMENTS = (
    "--headless=new --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync"
).split()
PATIENCE = 20_000  # milliseconds
DESK = {"width": 1280, "height": 800}
GENERATORS = {"tiles": "tests.fakes:Tiles"}
STUDY = {"generator": "tiles", "optimizer": "auto", "budget": 40, "natural_maximum": 5.0, "meta": {"unit": "spikes/s"}}


@contextmanager
def chromium():
    """The browser; skips the test where there is none."""
    expect.set_options(timeout=PATIENCE)
    with playwright.sync_playwright() as driver:
        found = next(filter(None, map(shutil.which, NAMES)), driver.chromium.executable_path)
        if not Path(found).exists():
            pytest.skip(f"no Chromium: none of {', '.join(NAMES)} is on the PATH, and playwright has none of its own")
        browser = driver.chromium.launch(executable_path=found, args=ARGUMENTS)
        yield browser
        browser.close()


@contextmanager
def opened(browser, url, *, allowed="", **options):
    """A page; that it wrote no error (but those allowed) and asked no other host is asserted at its end."""
    context = browser.new_context(**{"viewport": DESK, "color_scheme": "light"} | options)
    context.set_default_timeout(PATIENCE)
    page = context.new_page()
    wrong, hosts = [], set()
    page.on("console", lambda message: message.type in ("error", "warning") and wrong.append(message.text))
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("request", lambda request: hosts.add(urlsplit(request.url).netloc))
    page.goto(url)
    try:
        yield page
    finally:
        context.close()
    assert [text for text in wrong if not (allowed and re.search(allowed, text))] == []
    assert hosts == {urlsplit(url).netloc}


def live(page):
    expect(page.locator("#link")).to_have_text("live")


def visit(page, address, title):
    page.goto(address)
    expect(page.get_by_role("heading", level=1)).to_have_text(title)
    live(page)


def call(url, path, body=None, *, method="POST"):
    said = httpx.request(method, f"{url}/v1/studies{path}", json=body, timeout=30)
    assert said.is_success, said.text
    return said.json()


def created(url, name, **changes):
    call(url, "", {"name": name} | STUDY | changes)
    return f"{url}/#/studies/{name}"


def ask(url, name, n):
    block = call(url, f"/{name}/ask", {"n": n})
    return sorted(block["trials"], key=lambda trial: trial["number"]), block["references"]


def answer(url, name, values):
    """Asks as many trials as there are values, and tells these in the order of the numbers."""
    trials, references = ask(url, name, len(values))
    results = [
        {"number": t["number"], "attempt": t["attempt"], "values": [v] * t["repeats"]}
        for t, v in zip(trials, values, strict=True)
    ]
    shown = [{"presentation": r["presentation"], "value": 7.0} for r in references]
    call(url, f"/{name}/tell", {"results": results, "references": shown})
