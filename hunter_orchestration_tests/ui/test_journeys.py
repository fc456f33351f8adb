"""What sales does in a morning, in a real browser on the real API."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect
from sqlalchemy import select

from hunter_orchestration.store import Store, runs
from hunter_orchestration.store.tables.leads import leads as leads_table
from hunter_orchestration.store.tables.operations import bulk_actions, sync_runs
from hunter_orchestration.store.work import utc_now
from hunter_orchestration_tests.ui.conftest import PageFactory
from hunter_orchestration_tests.ui.looking import leads_shown
from hunter_orchestration_tests.ui.serving import serving
from hunter_orchestration_tests.ui.world import XSS
from hunter_orchestration_tests.web.engine import Engine

pytestmark = pytest.mark.slow

NEEDS_DOMAIN = "/referrals/00000000-0000-0000-0000-000000001b58"


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


def test_a_lead_opens_beside_the_list_by_keyboard_and_gives_the_focus_back(site: str, page: Page) -> None:
    page.goto(f"{site}/leads?q=insaat")
    rows = leads_shown(page)
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
    drawer.get_by_text("DMARC only watches").click()
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
    leads_shown(page)
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
    leads_shown(page)
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


def test_a_second_click_on_its_button_closes_a_menu_and_a_third_opens_it(site: str, page: Page) -> None:
    page.goto(f"{site}/leads")
    button, menu = page.get_by_role("button", name="Columns", exact=True), page.get_by_role("dialog", name="Columns")
    for _ in range(2):
        button.click()
        expect(menu).to_be_visible()
        button.click()
        expect(menu).to_be_hidden()


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
    leads_shown(page)
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
    leads_shown(page)
    expect(page.locator(".bone")).to_have_count(0)
    page.wait_for_timeout(300)
    assert sum(sizes) < 150_000
    assert page.evaluate("window.shift") < 0.02
