"""axe finds nothing in any state, theme and language; nothing scrolls sideways from 320 to 2560 pixels."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from hunter_orchestration_tests.ui.conftest import DESK, PHONE, Opened, PageFactory

pytestmark = pytest.mark.slow

LEAD = "/leads/egeinsaat.example"
NEEDS_DOMAIN = "/referrals/00000000-0000-0000-0000-000000001b58"
PLACES = (
    "/leads",
    "/leads?q=nowhere-at-all",
    LEAD,
    "/leads/likya.example",
    "/leads/marmaragrup.example",
    "/leads/gone.example",
    "/referrals",
    NEEDS_DOMAIN,
    "/imports/1",
    "/crm",
    "/crm?tab=conflicts",
    "/crm?tab=differences",
    "/crm?tab=activity",
    "/runs",
    "/runs?tab=quarantine",
    "/settings",
    "/no-such-room",
)


def _settled(page: Page) -> None:
    expect(page.locator("h1")).to_be_visible()
    expect(page.locator(".bone")).to_have_count(0)
    page.wait_for_load_state("load")


def _found(page: Page) -> list[str]:
    results = Axe().run(page)
    return [
        f"{one['id']}: {node['target']} {node.get('failureSummary', '')}"
        for one in results.response["violations"]
        for node in one["nodes"]
    ]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("locale", ["en-GB", "tr-TR"])
@pytest.mark.parametrize("size", [DESK, PHONE], ids=["desk", "phone"])
def test_axe_finds_nothing_anywhere(
    site: str, page_for: PageFactory, opened: Opened, scheme: str, locale: str, size: dict[str, int]
) -> None:
    opened.allowed += ["404"]
    page = page_for(viewport=size, color_scheme=scheme, locale=locale)
    wrong = {}
    for place in PLACES:
        page.goto(site + place)
        _settled(page)
        found = _found(page)
        if found:
            wrong[place] = found
    assert wrong == {}


def _by_button(name: str) -> Callable[[Page], None]:
    return lambda page: page.get_by_role("button", name=name, exact=True).first.click()


@pytest.mark.parametrize(
    ("place", "act"),
    [
        ("/leads", _by_button("Priority")),
        ("/leads", _by_button("More filters")),
        ("/leads", _by_button("Columns")),
        ("/leads", _by_button("Export")),
        ("/leads", _by_button("Views")),
        ("/leads", _by_button("Save this view")),
        ("/leads", _by_button("Add lead")),
        ("/leads", _by_button("More figures")),
        ("/leads", lambda page: page.keyboard.press("?")),
        ("/leads", lambda page: (page.keyboard.press("j"), page.keyboard.press("x"))),
        (LEAD, _by_button("Edit")),
        (LEAD, lambda page: [one.click() for one in page.locator("hunter-lead summary").all()]),
        ("/crm?tab=conflicts", lambda page: page.get_by_role("button", name="Decide").click()),
        (NEEDS_DOMAIN, _by_button("Accept")),
    ],
)
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_in_what_opens(
    site: str, page_for: PageFactory, scheme: str, place: str, act: Callable[[Page], object]
) -> None:
    page = page_for(color_scheme=scheme)
    page.goto(site + place)
    _settled(page)
    act(page)
    page.wait_for_timeout(300)
    assert _found(page) == []


@pytest.mark.parametrize("width", [320, 360, 390, 600, 761, 800, 1024, 1280, 1440, 1920, 2560])
def test_nothing_scrolls_sideways(site: str, page_for: PageFactory, width: int) -> None:
    page = page_for(viewport={"width": width, "height": 800}, locale="tr-TR")
    for place in ("/leads?priority=P1,P2&referral_category=co_sell", LEAD, NEEDS_DOMAIN, "/imports/1", "/crm", "/runs"):
        page.goto(site + place)
        _settled(page)
        assert page.evaluate("document.documentElement.scrollWidth") <= width, place
