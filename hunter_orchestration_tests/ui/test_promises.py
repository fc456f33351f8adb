"""Small promises of the page: copying, the PDF, what was missed while away, exports of the chosen columns, sheets."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from hunter_orchestration.store import Store, runs
from hunter_orchestration.store.tables.leads import leads as leads_table
from hunter_orchestration_tests.ui.conftest import PHONE, Opened, PageFactory
from hunter_orchestration_tests.ui.looking import settled, violations

pytestmark = pytest.mark.slow

LEAD = "/leads/egeinsaat.example?q=insaat"


def test_domain_address_and_opening_are_copied_as_they_stand(site: str, page_for: PageFactory) -> None:
    page = page_for(permissions=["clipboard-read", "clipboard-write"])
    page.goto(site + LEAD)
    settled(page)
    drawer = page.locator("hunter-lead")
    opening = drawer.locator(".briefing .quote").inner_text().strip()
    for name, copied in (
        ("Copy the domain", "egeinsaat.example"),
        ("Copy the address", "ayse@egeinsaat.example"),
        ("Copy the number", "+90 232 000 00 01"),
        ("Copy the opening", opening),
    ):
        drawer.get_by_role("button", name=name).first.click()
        expect(page.get_by_role("status").get_by_text("Copied").last).to_be_visible()
        assert page.evaluate("navigator.clipboard.readText()") == copied


def test_the_briefing_is_saved_as_a_pdf(site: str, page: Page) -> None:
    page.goto(site + LEAD)
    settled(page)
    with page.expect_download() as download:
        page.locator("hunter-lead").get_by_role("link", name="Briefing PDF").click()
    assert download.value.suggested_filename.endswith(".pdf")
    assert Path(download.value.path()).read_bytes().startswith(b"%PDF-")


def test_an_export_has_the_columns_that_were_chosen(site: str, page: Page) -> None:
    page.goto(f"{site}/leads?q=insaat&priority=P1")
    settled(page)
    page.get_by_role("button", name="Columns", exact=True).click()
    columns = page.get_by_role("dialog", name="Columns")
    for name in ("Score", "Segment", "Mail provider", "Referral", "Dynamics", "Changed"):
        columns.get_by_role("checkbox", name=name, exact=True).uncheck()
    columns.get_by_role("checkbox", name="Country").check()
    page.keyboard.press("Escape")
    page.get_by_role("button", name="Export", exact=True).click()
    with page.expect_download() as download:
        page.get_by_role("link", name="CSV, columns on screen").click()
    head, *rows = Path(download.value.path()).read_text(encoding="utf-8-sig").strip().splitlines()
    assert head == "Company,Domain,Priority,Country"
    assert len(rows) == 2
    assert all("P1" in row for row in rows)


def test_what_happened_while_the_page_was_away_is_caught_up(site: str, page: Page, morning: Store) -> None:
    page.goto(f"{site}/leads?q=egeinsaat")
    settled(page)
    # The browser puts a page aside and takes it up again as it was; its stream ends in between.
    page.evaluate("dispatchEvent(new PageTransitionEvent('pagehide', { persisted: true }))")
    with morning.write() as connection:
        mine = leads_table.c.domain == "egeinsaat.example"
        connection.execute(leads_table.update().where(mine).values(name="Ege Kaçırılan Ad A.Ş."))
        runs.emit(connection, "leads_changed", None, {})
    with page.expect_request(lambda asked: "/api/v1/events" in asked.url):
        page.evaluate("dispatchEvent(new PageTransitionEvent('pageshow', { persisted: true }))")
    expect(page.get_by_role("link", name="Ege Kaçırılan Ad A.Ş.")).to_be_visible()


def test_messages_can_be_read_again(site: str, page: Page) -> None:
    page.goto(f"{site}/leads")
    settled(page)
    page.get_by_role("button", name="Save this view").click()
    page.get_by_role("dialog").get_by_label("Name").fill("Sabah")
    page.get_by_role("dialog").get_by_role("button", name="Save").click()
    said = page.get_by_text("View Sabah saved")
    expect(said).to_be_visible()
    # It does not take the focus, and goes when it is closed.
    expect(page.get_by_role("button", name="Save this view")).to_be_focused()
    page.locator(".toast").get_by_role("button", name="Close").click()
    expect(said).to_have_count(0)
    page.get_by_role("button", name="Messages").click()
    expect(page.get_by_role("dialog", name="Messages")).to_contain_text("View Sabah saved")


def test_on_a_phone_the_drawer_is_a_sheet_that_keeps_the_focus(site: str, page_for: PageFactory) -> None:
    page = page_for(viewport=PHONE, has_touch=True)
    page.goto(f"{site}/leads?q=insaat")
    page.get_by_role("link", name="Ege İnşaat ve Proje A.Ş.").click()
    drawer = page.locator("hunter-lead")
    expect(drawer).to_have_attribute("aria-modal", "true")
    box = drawer.bounding_box()
    assert box is not None
    assert (box["x"], box["y"], box["width"], box["height"]) == (0, 0, 390, 844)
    for _ in range(60):
        page.keyboard.press("Tab")
        inside = page.evaluate("document.querySelector('hunter-lead').contains(document.activeElement)")
        assert inside or page.evaluate("document.activeElement === document.body")
    drawer.get_by_role("button", name="Close (Esc)").click()
    expect(drawer).to_be_hidden()
    page.get_by_role("searchbox").click()
    expect(page.get_by_role("searchbox")).to_be_focused()


@pytest.mark.parametrize(
    ("place", "name"),
    [
        ("/runs?tab=syncs", "Partner Center"),
        ("/imports", "fuar-2026.csv"),
        ("/referrals?q=egeinsaat", "Ege İnşaat ve Proje A.Ş."),
    ],
)
def test_on_a_phone_everything_that_opens_is_a_sheet_that_keeps_the_focus_and_gives_it_back(
    site: str, page_for: PageFactory, opened: Opened, place: str, name: str
) -> None:
    # The runs of the invented morning are unknown to the engine.
    opened.allowed.append("404")
    page = page_for(viewport=PHONE, has_touch=True)
    page.goto(site + place)
    settled(page)
    link = page.get_by_role("link", name=name).first
    link.click()
    sheet = page.locator(".drawer:not([hidden])")
    expect(sheet).to_have_attribute("aria-modal", "true")
    settled(page)
    for _ in range(30):
        page.keyboard.press("Tab")
        held = "document.querySelector('.drawer:not([hidden])').contains(document.activeElement)"
        assert page.evaluate(f"{held} || document.activeElement === document.body")
    assert violations(page) == []
    sheet.get_by_role("button", name="Close (Esc)").click()
    expect(sheet).to_have_count(0)
    expect(link).to_be_focused()
    assert page.locator("[inert]").count() == 0


def test_leaving_the_room_with_a_sheet_open_frees_the_page(site: str, page_for: PageFactory) -> None:
    page = page_for(viewport=PHONE, has_touch=True)
    page.goto(f"{site}/referrals")
    settled(page)
    page.goto(f"{site}/imports/1")
    settled(page)
    page.go_back()
    expect(page.get_by_role("heading", level=1)).to_have_text("Referrals")
    assert page.locator("[inert]").count() == 0
    page.get_by_role("searchbox").click()
    expect(page.get_by_role("searchbox")).to_be_focused()


def test_g_and_a_letter_lead_to_every_room_and_the_map_names_them(site: str, page: Page) -> None:
    page.goto(f"{site}/settings")
    settled(page)
    for key, title in (("l", "Leads"), ("r", "Referrals"), ("i", "Imports"), ("c", "CRM sync"), ("u", "Runs")):
        page.keyboard.press("g")
        page.keyboard.press(key)
        expect(page.get_by_role("heading", level=1)).to_have_text(title)
    page.keyboard.press("?")
    keys = page.get_by_role("dialog", name="Keyboard")
    expect(keys.get_by_role("definition").filter(has_text="Go to Referrals")).to_be_visible()
    # Keys do nothing to the page behind a dialog.
    page.keyboard.press("g")
    page.keyboard.press("l")
    expect(page.get_by_role("heading", level=1)).to_have_text("Runs")
    page.keyboard.press("Escape")
    expect(keys).to_have_count(0)
