"""axe finds nothing in any state, theme and language; nothing scrolls sideways from 320 to 2560 pixels."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from hunter_orchestration_tests.ui.conftest import DESK, PHONE, Opened, PageFactory

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


def _settled(page: Page) -> None:
    expect(page.locator("h1")).to_be_visible()
    expect(page.locator(".bone")).to_have_count(0)
    page.wait_for_load_state("load")


def _found(page: Page, options: dict[str, object] | None = None) -> list[str]:
    results = Axe().run(page, options=options)
    return [
        f"{one['id']}: {node['target']} {node.get('failureSummary', '')}"
        for one in results.response["violations"]
        for node in one["nodes"]
    ]


def _in_both_schemes(page: Page) -> list[str]:
    """Everything in light; in dark what depends on colours."""
    found = _found(page)
    page.emulate_media(color_scheme="dark")
    # Colours fade over in 120 ms.
    page.wait_for_timeout(200)
    found += [
        f"dark {one}"
        for one in _found(page, {"runOnly": {"type": "rule", "values": ["color-contrast", "link-in-text-block"]}})
    ]
    page.emulate_media(color_scheme="light")
    return found


# No rule of axe looks at size and language together, so each place is seen in both sizes and in both languages once;
# what opens from it is looked at in English at a desk below.
@pytest.mark.parametrize(("size", "locale"), [(DESK, "tr-TR"), (PHONE, "en-GB")], ids=["desk tr", "phone en"])
def test_axe_finds_nothing_anywhere(
    site: str, page_for: PageFactory, opened: Opened, locale: str, size: dict[str, int]
) -> None:
    opened.allowed += ["404"]
    page = page_for(viewport=size, color_scheme="light", locale=locale)
    wrong = {}
    for place in PLACES:
        page.goto(site + place)
        _settled(page)
        found = _in_both_schemes(page)
        if found:
            wrong[place] = found
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
    _settled(page)
    act(page)
    page.wait_for_timeout(300)
    assert _in_both_schemes(page) == []


WIDTHS = (320, 360, 390, 600, 760, 761, 800, 1024, 1280, 1440, 1920, 2560)


@pytest.mark.parametrize(
    "place",
    ["/leads?priority=P1,P2&referral_category=co_sell", LEAD, NEEDS_DOMAIN, "/imports/1", "/crm?tab=activity", "/runs"],
)
def test_nothing_scrolls_sideways(site: str, page_for: PageFactory, place: str) -> None:
    page = page_for(viewport={"width": WIDTHS[0], "height": 800}, locale="tr-TR")
    page.goto(site + place)
    _settled(page)
    for width in WIDTHS:
        page.set_viewport_size({"width": width, "height": 800})
        page.evaluate("() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
        assert page.evaluate("document.documentElement.scrollWidth") <= width, width
