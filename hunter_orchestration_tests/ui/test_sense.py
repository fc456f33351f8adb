"""What stands on the page makes sense together: a figure and the list behind it agree, and no code is shown raw."""

from __future__ import annotations

import io
import re
from pathlib import Path

import pytest
import xlsxwriter
from playwright.sync_api import Page, expect

from hunter_orchestration.companies import imports
from hunter_orchestration.store import Store, runs
from hunter_orchestration.store.tables.leads import leads
from hunter_orchestration.store.tables.operations import sync_runs
from hunter_orchestration.store.work import utc_now
from hunter_orchestration_tests.ui.conftest import Opened, PageFactory
from hunter_orchestration_tests.ui.looking import settled, violations_in_both_schemes
from hunter_orchestration_tests.ui.serving import serving
from hunter_orchestration_tests.web.engine import Engine

ROWS = "tbody tr[data-key]"


def _figure(text: str) -> int:
    found = re.search(r"[\d.,]+", text)
    assert found is not None, text
    return int(found.group().replace(",", "").replace(".", ""))


def test_each_figure_leads_to_as_many_as_it_counts(site: str, page: Page) -> None:
    page.goto(f"{site}/leads")
    settled(page)
    page.get_by_role("button", name="More figures").click()
    tiles = page.locator("hunter-tiles")
    for name in ("Answer before they expire", "New P1 and P2 this week"):
        tile = tiles.get_by_role("link", name=name)
        counted = _figure(tile.locator(".value").inner_text())
        assert counted > 0
        tile.click()
        expect(page.locator(".count-line [role=status]")).to_have_text(re.compile(rf"^{counted} "))
        page.go_back()
    stages = tiles.locator(".funnel a")
    told = [(stage.locator("span").first.inner_text(), _figure(stage.locator(".number").inner_text()))
            for stage in stages.all()]  # fmt: skip
    assert [name for name, _ in told] == ["Referrals", "With a domain", "In Dynamics", "Accepted", "Won"]
    for at, (_name, counted) in enumerate(told):
        stages.nth(at).click()
        expect(page.locator("h1")).to_have_text("Referrals")
        if counted:
            expect(page.locator(".count-line [role=status]")).to_have_text(re.compile(rf"^{counted} "))
        else:
            expect(page.get_by_text("No referral")).to_be_visible()
        page.go_back()
        expect(page.locator("h1")).to_have_text("Leads")


def test_what_ends_within_a_day_is_the_same_in_the_figure_and_in_the_list(site: str, page_for: PageFactory) -> None:
    # Far from the server's midnight, where "today" would be another day.
    page = page_for(timezone_id="Pacific/Kiritimati")
    page.goto(f"{site}/leads")
    settled(page)
    tile = page.locator("hunter-tiles").get_by_role("link", name="Answer before they expire")
    counted = _figure(tile.locator(".note").inner_text())
    tile.click()
    expect(page.locator(ROWS).first).to_be_visible()
    assert counted > 0
    expect(page.locator(ROWS).get_by_text(re.compile("Under a day left|Expired"))).to_have_count(counted)


def test_the_rail_says_what_it_counts(site: str, page: Page) -> None:
    page.goto(f"{site}/leads")
    settled(page)
    page.locator(".rail").get_by_role("link", name=re.compile(r"^Referrals.*\d+ open referrals")).click()
    expect(page.locator("h1")).to_have_text("Referrals")
    counted = _figure(page.locator(".rail a[data-room=referrals] .count").inner_text())
    page.goto(f"{site}/referrals?status=New,Active")
    expect(page.locator(".count-line [role=status]")).to_have_text(f"{counted} referrals")


@pytest.mark.parametrize(
    ("locale", "told", "clear"),
    [
        ("en-GB", "Hunter does not take what was given for: Priority; Score from", "Clear all"),
        ("tr-TR", "Hunter şu alanlara verilen değeri kabul etmiyor: Öncelik; En az puan", "Tümünü temizle"),
    ],
)
def test_a_bookmark_with_filters_that_do_not_exist_is_mended_by_a_click(
    site: str, page_for: PageFactory, opened: Opened, locale: str, told: str, clear: str
) -> None:
    opened.allowed.append("422")
    page = page_for(locale=locale)
    page.goto(f"{site}/leads?priority=P9&score_min=abc")
    failure = page.locator("main [role=alert]")
    expect(failure).to_contain_text(told)
    assert "Input should" not in failure.inner_text()
    failure.get_by_role("button", name=clear).click()
    expect(page.locator(ROWS).first).to_be_visible()


def test_a_question_about_many_leads_names_its_filters_in_words(site: str, page_for: PageFactory) -> None:
    page = page_for(locale="tr-TR")
    page.goto(f"{site}/leads?segment=GREENFIELD,COMPETITIVE,NO_GO,LOW_INTENT&age_days=400&score_max=100")
    settled(page)
    page.locator("thead input[type=checkbox]").check()
    page.locator(".bulk button.link").first.click()
    page.locator(".bulk").get_by_role("button", name="Yeniden tara").click()
    dialog = page.get_by_role("dialog")
    said = "Segment: Yeni alan, Rakipte, Uygun değil, Düşük niyet; Puan: 0–100; İlk görülme: son 400 gün"
    expect(dialog).to_contain_text(said)
    for code in ("GREENFIELD", "score_max", "age_days"):
        assert code not in dialog.inner_text()


def _changes(store: Store, domain: str, **values: object) -> None:
    """A lead changes elsewhere, and every open page is told."""
    with store.write() as connection:
        if values:
            connection.execute(leads.update().where(leads.c.domain == domain).values(**values))
        runs.emit(connection, "leads_changed", None, {})


def test_an_open_lead_is_drawn_anew_only_when_it_changed_and_keeps_what_was_asked(
    site: str, page: Page, morning: Store
) -> None:
    page.goto(f"{site}/leads/egeinsaat.example")
    drawer = page.locator("hunter-lead")
    drawer.locator("summary", has_text="What if").click()
    drawer.locator("select[name=provider]").select_option("M365")
    answer = drawer.locator("details[data-name=what-if] [role=status]")
    expect(answer).to_contain_text(re.compile(r"P\d"))
    before = answer.inner_text()
    drawer.locator("h2").focus()
    drawer.locator("h3").first.evaluate("element => element.dataset.mine = 'yes'")
    with page.expect_response(lambda one: one.url.endswith("/leads/egeinsaat.example")):
        _changes(morning, "egeinsaat.example")
    page.wait_for_timeout(300)
    expect(drawer.locator("h3[data-mine]")).to_have_count(1)
    _changes(morning, "egeinsaat.example", name="Ege İnşaat Holding")
    expect(drawer.locator("h2")).to_have_text("Ege İnşaat Holding")
    expect(drawer.locator("select[name=provider]")).to_have_value("M365")
    expect(answer).to_have_text(before)


def test_what_is_unknown_says_what_it_could_make_of_the_lead(site: str, page: Page) -> None:
    page.goto(f"{site}/leads/likya.example")
    drawer = page.locator("hunter-lead")
    whole = "Incomplete: with all that is still unknown, the score could be 0 to 90 (P1, P2, P3, P4, P5, P6)"
    expect(drawer.get_by_text(whole)).to_be_visible()
    spf = drawer.locator("details[data-name='point spf']")
    spf.locator("summary").click()
    expect(spf).to_contain_text("Once this is known, the score is 0 to 10 (P6).")
    mail = drawer.locator("details[data-name='point mx']")
    mail.locator("summary").click()
    expect(mail).to_contain_text("we can't tell whether there is mail at all")


def test_a_dialog_gives_the_focus_back_though_its_button_was_drawn_anew(site: str, page: Page, morning: Store) -> None:
    page.goto(f"{site}/leads/egeinsaat.example")
    drawer = page.locator("hunter-lead")
    drawer.get_by_role("button", name="Merge", exact=True).click()
    _changes(morning, "egeinsaat.example", name="Ege İnşaat Holding")
    expect(drawer.locator("h2")).to_have_text("Ege İnşaat Holding")
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)
    expect(drawer.get_by_role("button", name="Merge", exact=True)).to_be_focused()


def test_a_lead_added_with_turkish_letters_is_named_with_them(site: str, page: Page) -> None:
    page.goto(f"{site}/leads")
    settled(page)
    page.get_by_role("button", name="Add lead").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Domain, e-mail address or web site").fill("https://www.şişecam.example/iletişim")
    dialog.get_by_role("button", name="Add", exact=True).click()
    expect(page.locator(".toast")).to_contain_text("şişecam.example was added")
    expect(page).to_have_url(re.compile("/leads/xn--"))
    expect(page.locator("hunter-lead")).to_contain_text("şişecam.example")


def test_who_asked_for_a_run_is_never_a_code(site: str, page: Page, morning: Store) -> None:
    askers = ("sync_referrals_every_10_minutes", "push_leads_hourly", "folder", None, "Dünya Gezgin (9e8d7c6b)")
    with morning.write() as connection:
        connection.execute(
            sync_runs.insert(),
            [
                {"kind": "raw_leads", "state": "succeeded", "requested_by": asker, "started_at": utc_now(),
                 "finished_at": utc_now()}
                for asker in askers
            ],
        )  # fmt: skip
    page.set_viewport_size({"width": 1920, "height": 1000})
    page.goto(f"{site}/runs?tab=syncs")
    settled(page)
    said = page.locator("tbody td.c-who").all_inner_texts()[: len(askers)]
    assert sorted(said) == ["Dünya Gezgin", "engine", "schedule", "schedule", "watched folder"]


def test_a_wrong_file_is_discarded(site: str, page: Page, engine: Engine) -> None:
    page.goto(f"{site}/imports")
    page.locator("input[type=file]").set_input_files(
        {"name": "yanlış.csv", "mimeType": "text/csv", "buffer": "Ürün;Fiyat\nKalem;3\n".encode("windows-1254")}
    )
    side = page.locator(".drawer")
    expect(side).to_contain_text("Waiting for you")
    side.get_by_role("button", name="Discard the file").click()
    expect(side).to_contain_text("Cancelled")
    expect(side.get_by_role("button", name="Take it in")).to_have_count(0)
    assert engine.launched == []


def test_refused_rows_say_why_in_the_readers_language(
    morning: Store, engine: Engine, page_for: PageFactory, tmp_path: Path
) -> None:
    text = "Firma;Web;E-posta\nIşıl Yapı;isilyapi.example;\n=Adsız;;\nBedava Ltd;;ali@gmail.com\n"
    import_id = imports.receive(morning, tmp_path, "fuar.csv", io.BytesIO(text.encode("windows-1254")))
    imports.run(morning, tmp_path, import_id)
    page = page_for(locale="tr-TR")
    with serving(morning, dagster_url=engine.url, home=tmp_path) as site:
        page.goto(f"{site}/imports/{import_id}")
        side = page.locator(".drawer")
        expect(side).to_contain_text("ücretsiz e-posta adresi bir şirket göstermez")
        expect(side).to_contain_text("Bedava Ltd · ali@gmail.com")
        with page.expect_download() as download:
            side.get_by_role("link", name="Reddedilen satırları indir").click()
        lines = Path(download.value.path()).read_text("utf-8-sig").splitlines()
    assert lines == [
        "Satır;Ret nedeni",
        "3;alan adı, web sitesi ya da e-posta adresi içermiyor;'=Adsız;;",
        "4;ücretsiz e-posta adresi bir şirket göstermez;Bedava Ltd;;ali@gmail.com",
    ]


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("boş.csv", b"", "empty"),
        ("bozuk.xlsx", b"PK\x03\x04 not a workbook at all", "workbook"),
        ("resim.csv", b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\x00\x00\x00\x01\x00", "text"),
    ],
)
def test_a_file_that_holds_no_table_is_refused_in_plain_words(
    site: str, page: Page, opened: Opened, name: str, content: bytes, told: str
) -> None:
    opened.allowed += ["409", "422", "400"]
    page.goto(f"{site}/imports")
    page.locator("input[type=file]").set_input_files(
        {"name": name, "mimeType": "application/octet-stream", "buffer": content}
    )
    toast = page.locator(".toast.bad")
    expect(toast).to_be_visible()
    assert told in toast.inner_text()
    expect(page.get_by_role("button", name="Choose a file")).to_be_enabled()


def test_a_workbook_with_turkish_headings_is_recognised(site: str, page: Page) -> None:
    content = io.BytesIO()
    with xlsxwriter.Workbook(content, {"in_memory": True}) as book:
        sheet = book.add_worksheet()
        sheet.write_row(0, 0, ["Firma Adı", "Web Sitesi", "E-posta", "Ülke"])
        sheet.write_row(1, 0, ["Işık Ölçüm A.Ş.", "https://isikolcum.example", "bilgi@isikolcum.example", "TR"])
    page.goto(f"{site}/imports")
    page.locator("input[type=file]").set_input_files(
        {"name": "fuar.xlsx", "mimeType": "application/octet-stream", "buffer": content.getvalue()}
    )
    side = page.locator(".drawer")
    for field, heading in (
        ("company", "Firma Adı"),
        ("website", "Web Sitesi"),
        ("email", "E-posta"),
        ("country", "Ülke"),
    ):
        expect(side.locator(f"select[name={field}]")).to_have_value(heading)
    expect(side).to_contain_text("Işık Ölçüm A.Ş.")
    assert violations_in_both_schemes(page) == []


def test_on_a_phone_the_first_leads_are_in_view(site: str, page_for: PageFactory) -> None:
    page = page_for(viewport={"width": 390, "height": 844}, locale="tr-TR", has_touch=True)
    page.goto(f"{site}/leads")
    settled(page)
    top = page.locator(ROWS).first.bounding_box()
    assert top is not None
    assert top["y"] < 600
    last = page.get_by_role("button", name="Diğer filtreler")
    last.focus()
    expect(last).to_be_in_viewport(ratio=0.9)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_more_downloads_than_the_server_gives_out_in_a_minute_are_told_in_words(site: str, page: Page) -> None:
    page.goto(f"{site}/leads")
    settled(page)
    for _ in range(6):
        with page.expect_download() as download:
            page.get_by_role("button", name="Export", exact=True).click()
            page.get_by_role("link", name="CSV, columns on screen").click()
        assert download.value.failure() is None
    page.get_by_role("button", name="Export", exact=True).click()
    page.get_by_role("link", name="CSV, columns on screen").click()
    expect(page.get_by_text("That was a lot at once. Wait a moment, then try again.").first).to_be_visible()
