"""axe finds nothing in any state, theme and language; nothing scrolls sideways from 320 to 2560 pixels."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from playwright.sync_api import Page, Route, expect

from hunter_orchestration_tests.ui.conftest import DESK, PHONE, Opened, PageFactory
from hunter_orchestration_tests.ui.looking import settled, violations_in_both_schemes

pytestmark = pytest.mark.slow

# A short list beside what is looked at: what axe makes of one row it makes of the next.
FEW = "/leads?q=insaat"
LEAD = "/leads/egeinsaat.example?q=insaat"
NEEDS_DOMAIN = "/referrals/00000000-0000-0000-0000-000000001b58?status=New"
PLACES = (
    "/leads",
    "/leads?q=nowhere-at-all",
    LEAD,
    "/leads/likya.example?q=insaat",
    "/leads/marmaragrup.example?q=insaat",
    "/leads/gone.example?q=insaat",
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


# No rule of axe looks at size and language together, so each place is seen in both sizes and in both languages once.
# What opens from it is looked at in English at a desk below, and each state in Turkish on a phone.
@pytest.mark.parametrize("places", [PLACES[:6], PLACES[6:12], PLACES[12:]], ids=["leads", "records", "runs"])
@pytest.mark.parametrize(("size", "locale"), [(DESK, "tr-TR"), (PHONE, "en-GB")], ids=["desk tr", "phone en"])
def test_axe_finds_nothing_anywhere(
    site: str, page_for: PageFactory, opened: Opened, locale: str, size: dict[str, int], places: tuple[str, ...]
) -> None:
    opened.allowed += ["404"]
    page = page_for(viewport=size, color_scheme="light", locale=locale)
    wrong = {}
    for place in places:
        page.goto(site + place)
        settled(page)
        found = violations_in_both_schemes(page)
        if found:
            wrong[place] = found
    assert wrong == {}


def _fails(page: Page) -> None:
    def answer(route: Route) -> None:
        problem = {"code": "internal", "detail": "x", "request_id": "r-1"}
        route.fulfill(status=500, content_type="application/problem+json", body=json.dumps(problem))

    for asked in ("**/api/v1/leads?*", "**/api/v1/leads/summary", "**/api/v1/leads/*.example", "**/referrals/sync"):
        page.route(asked, answer)


def _table(page: Page, site: str) -> None:
    page.goto(site + FEW)


def _drawer(page: Page, site: str) -> None:
    page.goto(f"{site}/leads/marmaragrup.example?q=insaat")


def _dialog(page: Page, site: str) -> None:
    page.goto(site + FEW)
    settled(page)
    page.keyboard.press("j")
    page.keyboard.press("x")
    page.locator(".bulk .button.primary").click()
    expect(page.get_by_role("dialog")).to_be_visible()


def _error(page: Page, site: str) -> None:
    _fails(page)
    page.goto(f"{site}/leads")
    expect(page.locator(".pane [role=alert]")).to_be_visible()
    page.locator("hunter-sync button").click()
    expect(page.locator(".toast.bad")).to_be_visible()


def _error_in_the_drawer(page: Page, site: str) -> None:
    _fails(page)
    page.goto(f"{site}/leads/egeinsaat.example")
    expect(page.locator("hunter-lead [role=alert]")).to_be_visible()


def _empty(page: Page, site: str) -> None:
    page.goto(f"{site}/leads?q=nowhere-at-all")


State = Callable[[Page, str], None]
EVERY_STATE: tuple[State, ...] = (_table, _drawer, _dialog, _error, _error_in_the_drawer, _empty)
# What neither the places above nor what opens below shows.
MORE_STATES: tuple[State, ...] = (_error, _error_in_the_drawer)


@pytest.mark.parametrize(
    ("size", "locale", "states"),
    [(DESK, "en-GB", MORE_STATES), (PHONE, "tr-TR", EVERY_STATE)],
    ids=["desk en", "phone tr"],
)
def test_axe_finds_nothing_in_any_state_size_language_and_theme(
    site: str,
    page_for: PageFactory,
    opened: Opened,
    size: dict[str, int],
    locale: str,
    states: tuple[State, ...],
) -> None:
    opened.allowed += ["500"]
    wrong = {}
    for state in states:
        page = page_for(viewport=size, locale=locale, color_scheme="light")
        state(page, site)
        settled(page)
        found = violations_in_both_schemes(page)
        page.context.close()
        if found:
            wrong[state.__name__] = found
    assert wrong == {}


def _by_button(name: str) -> Callable[[Page], None]:
    return lambda page: page.get_by_role("button", name=name, exact=True).first.click()


@pytest.mark.parametrize(
    ("place", "act"),
    [
        (FEW, _by_button("Priority")),
        (FEW, _by_button("More filters")),
        (FEW, _by_button("Columns")),
        (FEW, _by_button("Export")),
        (FEW, _by_button("Views")),
        (FEW, _by_button("Save this view")),
        (FEW, _by_button("Add lead")),
        (FEW, _by_button("More figures")),
        (FEW, lambda page: page.keyboard.press("?")),
        (FEW, lambda page: (page.keyboard.press("j"), page.keyboard.press("x"))),
        (LEAD, _by_button("Edit")),
        (LEAD, lambda page: [one.click() for one in page.locator("hunter-lead summary").all()]),
        ("/crm?tab=conflicts", lambda page: page.get_by_role("button", name="Decide").click()),
        (NEEDS_DOMAIN, _by_button("Accept")),
    ],
)
def test_axe_finds_nothing_in_what_opens(
    site: str, page_for: PageFactory, place: str, act: Callable[[Page], object]
) -> None:
    page = page_for(color_scheme="light")
    page.goto(site + place)
    settled(page)
    act(page)
    assert violations_in_both_schemes(page) == []


WIDTHS = (320, 360, 390, 600, 760, 761, 800, 1024, 1280, 1440, 1920, 2560)


@pytest.mark.parametrize(
    "place",
    ["/leads?priority=P1,P2&referral_category=co_sell", LEAD, NEEDS_DOMAIN, "/imports/1", "/crm?tab=activity", "/runs"],
)
def test_nothing_scrolls_sideways(site: str, page_for: PageFactory, place: str) -> None:
    page = page_for(viewport={"width": WIDTHS[0], "height": 800}, locale="tr-TR")
    page.goto(site + place)
    settled(page)
    for width in WIDTHS:
        page.set_viewport_size({"width": width, "height": 800})
        page.evaluate("() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
        assert page.evaluate("document.documentElement.scrollWidth") <= width, width
