"""The list of leads in a real browser: searched, filtered, sorted, paged, kept as a view, exported."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect
from sqlalchemy import func, select

from hunter_orchestration.store import Store
from hunter_orchestration.store.tables.leads import leads as leads_table
from hunter_orchestration_tests.ui.looking import leads_shown

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("typed", ["İnşaat", "insaat", "INSAAT", "inşaat", "ıNŞAAT"])
def test_the_search_understands_turkish_and_keeps_its_focus(site: str, page: Page, typed: str) -> None:
    page.goto(f"{site}/leads")
    box = page.get_by_role("searchbox")
    box.click()
    page.keyboard.type(typed, delay=30)
    expect(page.get_by_text("10 leads", exact=True)).to_be_visible()
    expect(box).to_be_focused()
    expect(box).to_have_value(typed)
    page.reload()
    expect(page.get_by_role("searchbox")).to_have_value(typed)
    expect(page.get_by_text("10 leads", exact=True)).to_be_visible()


def test_filters_are_chips_live_in_the_address_and_survive_a_reload(site: str, page: Page) -> None:
    page.goto(f"{site}/leads?q=insaat")
    page.get_by_role("button", name="Priority", exact=True).first.click()
    popover = page.get_by_role("dialog", name="Priority")
    popover.get_by_role("checkbox", name=re.compile("^P1")).check()
    popover.get_by_role("checkbox", name=re.compile("^P2")).check()
    expect(page).to_have_url(re.compile("priority=P1,P2"))
    page.keyboard.press("Escape")
    chip = page.get_by_role("button", name="Priority: P1, P2")
    expect(chip).to_be_focused()
    expect(page.get_by_text("6 leads", exact=True)).to_be_visible()
    page.reload()
    expect(page.get_by_role("button", name="Priority: P1, P2")).to_be_visible()
    page.get_by_role("button", name="Remove filter Priority").click()
    expect(page.get_by_text("10 leads", exact=True)).to_be_visible()
    page.get_by_role("button", name="Clear all").click()
    expect(page.get_by_text("132 leads", exact=True)).to_be_visible()
    expect(page.get_by_role("searchbox")).to_have_value("")


def test_every_heading_that_can_be_clicked_sorts_both_ways(site: str, page: Page) -> None:
    page.add_init_script(
        "localStorage.setItem('hunter.columns', 'priority,company,score,segment,provider,referral,deal,dynamics,'"
        " + 'country,size,technical,source,referrals,first_seen,changed')"
    )
    page.set_viewport_size({"width": 2400, "height": 900})
    page.goto(f"{site}/leads?q=insaat")
    leads_shown(page)
    names = page.locator("thead th button").all_inner_texts()
    assert len(names) == 13
    for name in names:
        heading = page.get_by_role("columnheader", name=name.rstrip(" ↑↓"), exact=True)
        seen = set()
        for _ in range(2):
            with page.expect_response(lambda answer: "/api/v1/leads?" in answer.url) as answer:
                heading.get_by_role("button").click()
            assert answer.value.status in (200, 304)
            seen.add(heading.get_attribute("aria-sort"))
            expect(heading.get_by_role("button")).to_be_focused()
        assert seen == {"ascending", "descending"}, name


def test_pages_turn_by_button_and_by_key_and_the_back_button_turns_them_back(site: str, page: Page) -> None:
    page.goto(f"{site}/leads")
    first = leads_shown(page)
    page.keyboard.press("n")
    expect(page.locator("tbody tr[data-key]").first).not_to_have_attribute("data-key", first[0])
    second = leads_shown(page)
    assert not set(first) & set(second)
    page.get_by_role("button", name="Next", exact=True).click()
    expect(page.locator("tbody tr[data-key]")).to_have_count(32)
    page.go_back()
    expect(page.locator("tbody tr[data-key]").first).to_have_attribute("data-key", second[0])
    page.keyboard.press("p")
    expect(page.locator("tbody tr[data-key]").first).to_have_attribute("data-key", first[0])


def test_every_row_is_as_high_as_the_next_however_long_a_name_is(site: str, page: Page, morning: Store) -> None:
    name = "Çok Uzun Adlı Anadolu Endüstriyel Yapı Malzemeleri Sanayi ve Dış Ticaret Limited Şirketi"
    with morning.write() as connection:
        connection.execute(leads_table.update().where(leads_table.c.domain == "likya.example").values(name=name))
    page.goto(f"{site}/leads/egeinsaat.example?q=example&sort=score")
    leads_shown(page)
    expect(page.locator("hunter-lead .big-score")).to_be_visible()
    heights = page.locator("hunter-leads tr[data-key]").evaluate_all("rows => rows.map((row) => row.offsetHeight)")
    assert len(set(heights)) == 1
    assert heights[0] <= 60
    link = page.get_by_role("link", name=name)
    link.hover()
    expect(link).to_have_attribute("title", name)


def test_an_export_holds_what_is_filtered(site: str, page: Page) -> None:
    page.goto(f"{site}/leads?q=insaat")
    leads_shown(page)
    page.get_by_role("button", name="Export").click()
    with page.expect_download() as download:
        page.get_by_role("link", name="CSV, columns on screen").click()
    text = Path(download.value.path()).read_text(encoding="utf-8-sig")
    assert len(text.strip().splitlines()) == 11
    page.keyboard.press("j")
    page.keyboard.press("x")
    page.get_by_role("region", name="Selected leads").get_by_role("button", name="Export").click()
    with page.expect_download() as download:
        page.get_by_role("link", name="CSV, all columns").click()
    lines = Path(download.value.path()).read_text(encoding="utf-8-sig").strip().splitlines()
    assert len(lines) == 2
    assert leads_shown(page)[0] in lines[1]
    assert "Boğaziçi" in text


def test_a_view_is_saved_renamed_and_found_again(site: str, page: Page) -> None:
    page.goto(f"{site}/leads?priority=P1")
    page.get_by_role("button", name="Save this view").click()
    page.get_by_role("dialog").get_by_label("Name").fill("Sabah")
    page.get_by_role("dialog").get_by_role("button", name="Save").click()
    expect(page.get_by_text("View Sabah saved")).to_be_visible()
    page.goto(f"{site}/leads")
    page.get_by_role("button", name="Views", exact=True).click()
    page.get_by_role("button", name="Rename view Sabah").click()
    page.get_by_role("dialog").get_by_label("Name").fill("Öğle")
    page.get_by_role("dialog").get_by_role("button", name="Rename").click()
    expect(page.get_by_text("View is now named Öğle")).to_be_visible()
    page.get_by_role("button", name="Views", exact=True).click()
    expect(page.get_by_role("link", name="Sabah")).to_have_count(0)
    page.get_by_role("link", name="Öğle").click()
    expect(page).to_have_url(re.compile("priority=P1"))


def test_columns_and_density_are_remembered(site: str, page: Page) -> None:
    page.goto(f"{site}/leads")
    page.get_by_role("button", name="Columns").click()
    popover = page.get_by_role("dialog", name="Columns")
    popover.get_by_role("checkbox", name="Country").check()
    popover.get_by_role("checkbox", name="Segment", exact=True).uncheck()
    popover.get_by_role("checkbox", name="Compact rows").check()
    page.reload()
    expect(page.get_by_role("columnheader", name="Country")).to_be_visible()
    expect(page.get_by_role("columnheader", name="Segment", exact=True)).to_have_count(0)
    box = page.locator("tbody tr[data-key]").first.bounding_box()
    assert box is not None
    assert box["height"] <= 44


def test_the_count_is_the_number_of_leads(site: str, page: Page, morning: Store) -> None:
    with morning.read() as connection:
        count = connection.execute(select(func.count()).select_from(leads_table)).scalar_one()
    page.goto(f"{site}/leads")
    expect(page.locator(".count-line [role=status]")).to_have_text(f"{count} leads")
