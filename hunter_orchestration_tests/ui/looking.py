"""What a page shows, what axe finds on it, and how it is used by keyboard alone."""

from __future__ import annotations

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Locator, Page, expect

_MOST_TABS = 150
_COLOURS = {"runOnly": {"type": "rule", "values": ["color-contrast", "link-in-text-block"]}}
_axe = Axe()


def settled(page: Page) -> None:
    """Wait until nothing is loading."""
    expect(page.locator("h1")).to_be_attached()
    expect(page.locator(".bone")).to_have_count(0)
    page.wait_for_load_state("load")


def leads_shown(page: Page) -> list[str]:
    """Domains of the list of leads, once it has any."""
    expect(page.locator("hunter-leads tbody tr[data-key]").first).to_be_visible()
    return [str(row.get_attribute("data-key")) for row in page.locator("hunter-leads tbody tr[data-key]").all()]


def violations(page: Page, options: dict[str, object] | None = None) -> list[str]:
    """What axe finds now."""
    # Colours fade over in 120 ms, and half-way through they have no contrast.
    page.wait_for_function("() => document.getAnimations().every((one) => one.playState !== 'running')")
    results = _axe.run(page, options=options)
    return [
        f"{one['id']}: {node['target']} {node.get('failureSummary', '')}"
        for one in results.response["violations"]
        for node in one["nodes"]
    ]


def violations_in_both_schemes(page: Page) -> list[str]:
    """Everything in light; in dark what depends on colours. Leaves the page light."""
    found = violations(page)
    page.emulate_media(color_scheme="dark")
    found += [f"dark {one}" for one in violations(page, _COLOURS)]
    page.emulate_media(color_scheme="light")
    return found


def tab_to(page: Page, wanted: Locator) -> None:
    """Go to a control with the tab key alone."""
    expect(wanted).to_be_visible()
    for _ in range(_MOST_TABS):
        if wanted.evaluate("element => element === document.activeElement"):
            return
        page.keyboard.press("Tab")
    raise AssertionError(f"{wanted} is not reached by the tab key")


def press(page: Page, wanted: Locator) -> None:
    """Go to a control with the tab key and press it."""
    tab_to(page, wanted)
    page.keyboard.press("Enter")
