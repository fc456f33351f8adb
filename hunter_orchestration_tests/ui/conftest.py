"""A real browser on the real page over the real API; what a test sees in the console fails it."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from hunter_orchestration.store import Store
from hunter_orchestration.store.migrate import upgrade
from hunter_orchestration_tests.ui.serving import serving
from hunter_orchestration_tests.ui.world import fill
from hunter_orchestration_tests.web.engine import Engine

expect.set_options(timeout=20_000)

DESK = {"width": 1440, "height": 900}
PHONE = {"width": 390, "height": 844}


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Debian's Chromium."""
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox"])
        yield opened
        opened.close()


@dataclass
class Opened:
    """Pages of a test and what their consoles said."""

    said: list[str] = field(default_factory=list)
    allowed: list[str] = field(default_factory=list)
    """Parts of messages that the test means to cause."""

    def unexpected(self) -> list[str]:
        return [one for one in self.said if not any(part in one for part in self.allowed)]


PageFactory = Callable[..., Page]


@pytest.fixture
def opened() -> Opened:
    """Collects what consoles say."""
    return Opened()


@pytest.fixture
def page_for(browser: Browser, opened: Opened) -> Iterator[PageFactory]:
    """Opens pages; keyword arguments are those of a browser context. Fails on any unexpected console message."""
    contexts = []

    def make(**options: Any) -> Page:
        values: dict[str, Any] = {"viewport": DESK, "locale": "en-GB", "accept_downloads": True}
        context = browser.new_context(**(values | options))
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(20_000)
        page.on("pageerror", lambda error: opened.said.append(f"error: {error}"))
        page.on(
            "console",
            lambda message: (
                opened.said.append(f"{message.type}: {message.text} {message.location.get('url', '')}")
                if message.type in ("error", "warning")
                else None
            ),
        )
        return page

    yield make
    for context in contexts:
        context.close()
    assert opened.unexpected() == []


@pytest.fixture
def engine() -> Iterator[Engine]:
    """Dagster's stand-in; runs stay at work until a test ends them."""
    started = Engine()
    yield started
    started.close()


@pytest.fixture(scope="session")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database with the invented morning and 120 companies more, made once and copied for each test."""
    path = tmp_path_factory.mktemp("morning") / "hunter.db"
    store = Store(f"sqlite:///{path}")
    upgrade(store)
    fill(store, more=120)
    store.close()
    return path


@pytest.fixture
def morning(filled: Path, tmp_path: Path) -> Iterator[Store]:
    """A store with the invented morning."""
    store = Store(f"sqlite:///{shutil.copy(filled, tmp_path / 'hunter.db')}")
    yield store
    store.close()


@pytest.fixture
def site(morning: Store, engine: Engine) -> Iterator[str]:
    """Address of the page."""
    with serving(morning, dagster_url=engine.url, partner_center_write_back=True) as url:
        yield url


@pytest.fixture
def page(page_for: PageFactory) -> Page:
    """A page at a desk, in English."""
    return page_for()
