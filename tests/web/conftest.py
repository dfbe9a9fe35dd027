"""A real coordinator, nodes that register with it over HTTP, and a real Chromium that looks at it."""

from __future__ import annotations

import pathlib
import shutil
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

from cluster import Coordinator

# Runs before anything of the page: what the policy stops is kept to be asked for.
WATCH_POLICY = """
window.stopped = [];
document.addEventListener('securitypolicyviolation',
  (e) => window.stopped.push(e.violatedDirective + ' ' + e.blockedURI));
"""


@pytest.fixture
def coordinator(tmp_path: pathlib.Path) -> Iterator[Coordinator]:
    """Without tokens, as on a developer's machine."""
    with Coordinator(tmp_path) as running:
        yield running


@pytest.fixture
def guarded(tmp_path: pathlib.Path) -> Iterator[Coordinator]:
    """With tokens; see Coordinator.tokens."""
    with Coordinator(tmp_path, tokens=True) as running:
        yield running


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    chromium = shutil.which("chromium")
    assert chromium, "the tests look through Debian's chromium: run 'make deps'"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, timeout=90_000)
        yield browser
        browser.close()


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    context = browser.new_context(viewport={"width": 1200, "height": 900})
    context.add_init_script(WATCH_POLICY)
    context.set_default_timeout(60_000)
    yield context
    context.close()


@pytest.fixture
def page(context: BrowserContext) -> Iterator[Page]:
    """Fails the test for anything that the content policy stopped, and for any error that nobody caught."""
    page = context.new_page()
    wrong: list[str] = []
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("console", lambda line: wrong.append(line.text) if "Failed to load" not in line.text else None)
    yield page
    if page.url.startswith("http"):
        wrong += page.evaluate("window.stopped")
    assert not wrong
