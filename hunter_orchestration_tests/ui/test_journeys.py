"""What sales does in a morning, in a real browser on the real API."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect
from sqlalchemy import func, select

from hunter_orchestration.store import Store, runs
from hunter_orchestration.store.tables.leads import leads as leads_table
from hunter_orchestration.store.tables.operations import bulk_actions, sync_runs
from hunter_orchestration.store.work import utc_now
from hunter_orchestration_tests.ui.conftest import PageFactory
from hunter_orchestration_tests.ui.serving import serving
from hunter_orchestration_tests.ui.world import XSS
from hunter_orchestration_tests.web.engine import Engine

pytestmark = pytest.mark.slow

NEEDS_DOMAIN = "/referrals/00000000-0000-0000-0000-000000001b58"


def _rows(page: Page) -> list[str]:
    expect(page.locator("hunter-leads tbody tr[data-key]").first).to_be_visible()
    return [str(row.get_attribute("data-key")) for row in page.locator("hunter-leads tbody tr[data-key]").all()]


def test_the_first_look_says_what_needs_me_and_how_the_engine_is(site: str, page: Page) -> None:
    page.goto(f"{site}/leads")
    expect(page.locator(".health")).to_contain_text("In sync with Partner Center")
    expect(page.get_by_text("Answer before they expire")).to_be_visible()
    expect(page.get_by_text("132 leads", exact=True)).to_be_visible()
    page.get_by_role("link", name=re.compile("^Answer before they expire")).click()
    expect(page).to_have_url(re.compile("expiring_days=3"))
    expect(page.locator("tbody tr[data-key]")).to_have_count(2)
    expect(page.get_by_role("button", name="Expires: within 3 days")).to_be_visible()
    page.go_back()
    expect(page.get_by_text("132 leads", exact=True)).to_be_visible()


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
    _rows(page)
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
    first = _rows(page)
    page.keyboard.press("n")
    expect(page.locator("tbody tr[data-key]").first).not_to_have_attribute("data-key", first[0])
    second = _rows(page)
    assert not set(first) & set(second)
    page.get_by_role("button", name="Next", exact=True).click()
    expect(page.locator("tbody tr[data-key]")).to_have_count(32)
    page.go_back()
    expect(page.locator("tbody tr[data-key]").first).to_have_attribute("data-key", second[0])
    page.keyboard.press("p")
    expect(page.locator("tbody tr[data-key]").first).to_have_attribute("data-key", first[0])


@pytest.mark.parametrize("place", ["/referrals", "/runs?tab=syncs"])
def test_lists_that_only_know_the_next_page_find_the_one_before(
    site: str, page: Page, morning: Store, place: str
) -> None:
    with morning.write() as connection:
        row = {"kind": "raw_leads", "state": "succeeded", "started_at": utc_now(), "finished_at": utc_now()}
        connection.execute(sync_runs.insert(), [row] * 60)
    page.goto(f"{site}{place}")
    expect(page.locator("tbody tr[data-key]").first).to_be_visible()
    first = [str(page.locator("tbody tr[data-key]").first.get_attribute("data-key"))]
    expect(page.get_by_role("button", name="Previous", exact=True)).to_be_disabled()
    page.keyboard.press("n")
    expect(page.locator("tbody tr[data-key]").first).not_to_have_attribute("data-key", first[0])
    page.reload()
    expect(page.locator("tbody tr[data-key]").first).not_to_have_attribute("data-key", first[0])
    page.keyboard.press("p")
    expect(page.locator("tbody tr[data-key]").first).to_have_attribute("data-key", first[0])
    expect(page).not_to_have_url(re.compile("cursor"))


def test_merged_companies_are_parted_again_in_the_history(site: str, page: Page) -> None:
    page.goto(f"{site}/leads/likya.example")
    drawer = page.locator("hunter-lead")
    drawer.get_by_role("button", name="Merge").click()
    page.get_by_role("dialog").get_by_label("Domain of the company it belongs to").fill("egeinsaat.example")
    page.get_by_role("dialog").get_by_role("button", name="Merge").click()
    expect(drawer.get_by_text("likya.example was merged into this company (this computer)")).to_be_visible()
    drawer.get_by_role("button", name="Undo the merge of likya.example").click()
    expect(page.get_by_text("The merge was undone")).to_be_visible()
    expect(page).to_have_url(re.compile(r"/leads/likya\.example"))


def test_every_row_is_as_high_as_the_next_however_long_a_name_is(site: str, page: Page, morning: Store) -> None:
    name = "Çok Uzun Adlı Anadolu Endüstriyel Yapı Malzemeleri Sanayi ve Dış Ticaret Limited Şirketi"
    with morning.write() as connection:
        connection.execute(leads_table.update().where(leads_table.c.domain == "likya.example").values(name=name))
    page.goto(f"{site}/leads/egeinsaat.example?q=example&sort=score")
    _rows(page)
    expect(page.locator("hunter-lead .big-score")).to_be_visible()
    heights = page.locator("hunter-leads tr[data-key]").evaluate_all("rows => rows.map((row) => row.offsetHeight)")
    assert len(set(heights)) == 1
    assert heights[0] <= 60
    link = page.get_by_role("link", name=name)
    link.hover()
    expect(link).to_have_attribute("title", name)


def test_a_lead_opens_beside_the_list_by_keyboard_and_gives_the_focus_back(site: str, page: Page) -> None:
    page.goto(f"{site}/leads?q=insaat")
    rows = _rows(page)
    page.keyboard.press("j")
    page.keyboard.press("j")
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile(f"/leads/{re.escape(rows[1])}"))
    drawer = page.locator("hunter-lead")
    expect(drawer.get_by_role("heading", level=2)).to_be_focused()
    expect(drawer.get_by_text("Why this score")).to_be_visible()
    points = [
        int(text.replace("−", "-").replace("+", ""))
        for text in drawer.locator(".points-figure").all_inner_texts()
        if text != "unknown"
    ]
    assert sum(points) == int(drawer.locator(".big-score .figure").inner_text())
    page.keyboard.press("Escape")
    expect(drawer).to_be_hidden()
    expect(page.locator(f"tr[data-key='{rows[1]}'] a")).to_be_focused()
    page.go_back()
    expect(drawer).to_be_visible()


def test_the_drawer_tells_who_do_why_say_referral_dynamics_evidence_history(site: str, page: Page) -> None:
    page.goto(f"{site}/leads/egeinsaat.example")
    drawer = page.locator("hunter-lead")
    expect(drawer.locator(".section-head > h3")).to_have_text(
        [
            "Who they are",
            "Why this score",
            "What to say",
            "Referral",
            "Dynamics",
            "Evidence",
            "History",
        ]
    )
    expect(drawer.locator(".quote")).not_to_be_empty()
    drawer.get_by_text("DMARC only reports").click()
    expect(drawer.get_by_text("v=DMARC1; p=none").first).to_be_visible()
    drawer.get_by_text("What if…").click()
    drawer.locator("select[name=dmarc]").select_option("reject")
    expect(drawer.get_by_text("100 (+25), P2 Competitive Takeover")).to_be_visible()
    drawer.get_by_role("button", name="Türkçe").click()
    expect(drawer.locator(".briefing")).to_have_attribute("lang", "tr")


def test_what_is_unknown_says_so_with_a_retry(site: str, page: Page, engine: Engine) -> None:
    page.goto(f"{site}/leads/likya.example")
    drawer = page.locator("hunter-lead")
    expect(drawer.locator(".points-figure", has_text="unknown").first).to_be_visible()
    drawer.get_by_role("button", name="Try again").click()
    expect(page.get_by_text("Scanning likya.example again")).to_be_visible()
    assert [one["selector"]["jobName"] for one in engine.launched] == ["rescan_domains"]


def test_markup_in_names_stays_text_everywhere(site: str, page: Page) -> None:
    page.goto(f"{site}/leads/xssmarkup.example?q=xssmarkup")
    expect(page.locator("tbody").get_by_text(XSS)).to_be_visible()
    expect(page.locator("hunter-lead").get_by_role("heading", level=2)).to_have_text(XSS)
    page.get_by_role("button", name="Edit", exact=True).click()
    expect(page.get_by_role("dialog").get_by_role("heading")).to_have_text(f"Edit {XSS}")
    assert page.locator("img").count() == 0
    assert page.title() == f"{XSS} · Hunter"


def test_a_correction_is_kept(site: str, page: Page, morning: Store) -> None:
    page.goto(f"{site}/leads/egeinsaat.example")
    page.get_by_role("button", name="Edit", exact=True).click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("City").fill("Manisa")
    dialog.get_by_role("button", name="Save").click()
    expect(dialog).to_be_hidden()
    expect(page.locator("hunter-lead .drawer-head")).to_contain_text("Manisa")


def test_dialogs_close_by_escape_and_backdrop_but_not_by_a_click_inside(site: str, page: Page) -> None:
    page.goto(f"{site}/leads")
    page.get_by_role("button", name="Add lead").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_role("heading").click()
    expect(dialog).to_be_visible()
    page.mouse.click(5, 5)
    expect(dialog).to_be_hidden()
    expect(page.get_by_role("button", name="Add lead")).to_be_focused()
    page.keyboard.press("?")
    expect(page.get_by_role("dialog", name="Keyboard")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)


def test_the_keyboard_goes_everywhere(site: str, page: Page) -> None:
    page.goto(f"{site}/leads")
    _rows(page)
    page.keyboard.press("/")
    expect(page.get_by_role("searchbox")).to_be_focused()
    page.keyboard.press("Escape")
    page.keyboard.press("f")
    expect(page.get_by_role("dialog", name="Priority")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog", name="Priority")).to_be_hidden()
    for key, title in (("r", "Referrals"), ("i", "Imports"), ("l", "Leads")):
        page.keyboard.press("g")
        page.keyboard.press(key)
        expect(page.get_by_role("heading", level=1)).to_have_text(title)
        expect(page.get_by_role("heading", level=1)).to_be_focused()


def test_many_leads_are_pushed_with_progress_that_survives_a_reload(site: str, page: Page, morning: Store) -> None:
    page.goto(f"{site}/leads?q=insaat")
    _rows(page)
    page.keyboard.press("j")
    page.keyboard.press("x")
    page.keyboard.press("j")
    page.keyboard.press("x")
    expect(page.get_by_text("2 selected")).to_be_visible()
    page.get_by_role("button", name="Select all 10 that match").click()
    page.get_by_role("region", name="Selected leads").get_by_role("button", name="Scan again").click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("Scan 10 leads again?")
    dialog.get_by_role("button", name="Scan again").click()
    progress = page.get_by_role("region", name="Work under way")
    expect(progress).to_contain_text("10 left")
    page.reload()
    expect(progress).to_contain_text("10 left")
    progress.get_by_role("button", name="Cancel").click()
    expect(progress).to_be_hidden()
    with morning.read() as connection:
        assert connection.execute(select(bulk_actions.c.state)).scalars().all() == ["cancelled"]


def test_an_export_holds_what_is_filtered(site: str, page: Page) -> None:
    page.goto(f"{site}/leads?q=insaat")
    _rows(page)
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
    assert _rows(page)[0] in lines[1]
    assert "Boğaziçi" in text


def test_a_view_is_saved_and_found_again(site: str, page: Page) -> None:
    page.goto(f"{site}/leads?q=insaat&priority=P1")
    page.get_by_role("button", name="Save this view").click()
    page.get_by_role("dialog").get_by_label("Name").fill("Sabah")
    page.get_by_role("dialog").get_by_role("button", name="Save").click()
    expect(page.get_by_text("View Sabah saved")).to_be_visible()
    page.goto(f"{site}/leads")
    page.get_by_role("button", name="Views", exact=True).click()
    page.get_by_role("link", name="Sabah").click()
    expect(page).to_have_url(re.compile("priority=P1"))


def test_a_view_is_renamed_and_keeps_what_it_finds(site: str, page: Page) -> None:
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


def test_a_second_click_on_its_button_closes_a_menu_and_a_third_opens_it(site: str, page: Page) -> None:
    page.goto(f"{site}/leads")
    button, menu = page.get_by_role("button", name="Columns", exact=True), page.get_by_role("dialog", name="Columns")
    for _ in range(2):
        button.click()
        expect(menu).to_be_visible()
        button.click()
        expect(menu).to_be_hidden()


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


def test_a_sync_tells_how_it_really_ended(site: str, page: Page, engine: Engine, morning: Store) -> None:
    page.goto(f"{site}/leads")
    page.get_by_role("button", name="Sync now").click()
    expect(page.get_by_text("Sync started")).to_be_visible()
    run_id = next(iter(engine.runs))
    engine.finish(run_id, "FAILURE")
    expect(page.get_by_text(re.compile("^The run failed"))).to_be_visible()
    expect(page.get_by_role("button", name="Sync now")).to_be_enabled()
    page.get_by_role("button", name="Messages").click()
    expect(page.get_by_role("dialog", name="Messages")).to_contain_text("The run failed")


def test_a_change_made_elsewhere_shows_up(site: str, page: Page, morning: Store) -> None:
    page.goto(f"{site}/leads?q=egeinsaat")
    _rows(page)
    page.wait_for_timeout(500)
    with morning.write() as connection:
        connection.execute(
            leads_table.update().where(leads_table.c.domain == "egeinsaat.example").values(name="Ege Yeni Ad A.Ş.")
        )
        runs.emit(connection, "leads_changed", None, {})
    expect(page.get_by_role("link", name="Ege Yeni Ad A.Ş.")).to_be_visible()


def test_a_file_is_dropped_checked_and_started(site: str, page: Page, engine: Engine) -> None:
    page.goto(f"{site}/imports")
    page.locator("input[type=file]").set_input_files(
        {"name": "fuar.csv", "mimeType": "text/csv", "buffer": b"Firma;Web\nDeneme Ltd.;deneme.example\n"}
    )
    drawer = page.locator("section.drawer")
    expect(drawer.get_by_role("heading", level=2)).to_have_text("fuar.csv")
    expect(drawer.get_by_text("Check the columns")).to_be_visible()
    expect(drawer.get_by_text("deneme.example")).to_be_visible()
    drawer.get_by_role("button", name="Take it in").click()
    expect(page.get_by_text("fuar.csv is being taken in")).to_be_visible()
    assert [one["selector"]["jobName"] for one in engine.launched] == ["import_leads"]


def test_the_language_and_the_theme_are_switched_and_remembered(site: str, page: Page) -> None:
    page.goto(f"{site}/leads")
    page.get_by_role("button", name="Türkçe").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Adaylar")
    expect(page.locator("html")).to_have_attribute("lang", "tr")
    page.get_by_role("button", name="Koyu").click()
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    page.reload()
    expect(page.get_by_role("heading", level=1)).to_have_text("Adaylar")
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")


def test_a_turkish_browser_is_spoken_to_in_turkish(site: str, page_for: PageFactory) -> None:
    page = page_for(locale="tr-TR")
    page.goto(f"{site}/leads?q=egeinsaat")
    expect(page.get_by_text("1 aday", exact=True)).to_be_visible()
    expect(page.locator("tbody")).to_contain_text("Ortak satış")


def test_an_empty_store_says_what_to_do(sqlite_store: Store, engine: Engine, page: Page) -> None:
    with serving(sqlite_store, dagster_url=engine.url) as site:
        page.goto(f"{site}/leads")
        expect(page.get_by_text("No leads yet")).to_be_visible()
        expect(page.get_by_role("link", name="Import a file")).to_be_visible()
        expect(page.locator(".health")).to_contain_text("press Sync now")


def test_a_viewer_page_weighs_little_and_does_not_jump(site: str, page: Page) -> None:
    sizes: list[int] = []
    page.on("requestfinished", lambda request: sizes.append(request.sizes()["responseBodySize"]))
    page.add_init_script(
        "window.shift = 0; new PerformanceObserver(list => list.getEntries().forEach(one => {"
        " if (!one.hadRecentInput) window.shift += one.value; })).observe({type: 'layout-shift', buffered: true})"
    )
    page.goto(f"{site}/leads")
    _rows(page)
    expect(page.locator(".bone")).to_have_count(0)
    page.wait_for_timeout(300)
    assert sum(sizes) < 150_000
    assert page.evaluate("window.shift") < 0.02


def test_the_count_is_the_number_of_leads(site: str, page: Page, morning: Store) -> None:
    with morning.read() as connection:
        count = connection.execute(select(func.count()).select_from(leads_table)).scalar_one()
    page.goto(f"{site}/leads")
    expect(page.locator(".count-line [role=status]")).to_have_text(f"{count} leads")
