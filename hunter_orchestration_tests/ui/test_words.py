"""What the services call by codes stands on the page in words, in the reader's language, and fits where it stands."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from playwright.sync_api import Page, expect
from sqlalchemy import update

from hunter_orchestration.store import Store, runs
from hunter_orchestration.store.tables.crm import crm_audit, crm_records
from hunter_orchestration.store.tables.scans import scan_changes
from hunter_orchestration_tests.ui.conftest import DESK, PHONE, PageFactory
from hunter_orchestration_tests.ui.looking import settled

pytestmark = pytest.mark.slow

EVERY_FIELD = (
    "name", "customerid_account", "parentaccountid", "parentcontactid", "originatingleadid", "description",
    "estimatedvalue", "transactioncurrencyid", "estimatedclosedate", "salesstage", "closeprobability",
)  # fmt: skip


def _audit(store: Store, fields: dict[str, list[object]]) -> None:
    with store.write() as connection:
        connection.execute(update(crm_audit).values(fields=fields))


def _unfold(page: Page) -> None:
    for fold in page.locator("hunter-lead details").all():
        fold.evaluate("(one) => { one.open = true; }")


def test_evidence_tells_when_it_was_asked_for(site: str, page: Page) -> None:
    page.goto(f"{site}/leads/egeinsaat.example")
    settled(page)
    page.get_by_text("SPF found").click()
    year = datetime.now(UTC).year
    expect(page.locator("hunter-lead .point[open] .proof")).to_contain_text("valid for 1 h · asked 192.0.2.53 · ")
    expect(page.locator("hunter-lead .point[open] .proof")).to_contain_text(f" {year}, ")


def test_what_was_written_to_dynamics_stands_in_words(site: str, page_for: PageFactory, morning: Store) -> None:
    _audit(
        morning,
        {
            "hnt_prioritycategory": [816940001, 816940000],
            "address1_country": [None, "TR"],
            "donotemail": [None, True],
            "parentaccountid": [None, "3800e771-dd95-46ac-bdb1-3351ea120745"],
        },
    )
    page = page_for(locale="tr-TR")
    page.goto(f"{site}/leads/kuzeyinsaat.example")
    settled(page)
    _unfold(page)
    table = page.locator("hunter-lead table.changes").first
    expect(table.get_by_role("row", name="Öncelik P2 P1")).to_be_visible()
    expect(table.get_by_role("row", name="Ülke – Türkiye")).to_be_visible()
    expect(table.get_by_role("row", name="E-posta istemiyor – Evet")).to_be_visible()
    expect(table.get_by_role("row", name="Üst firma – 3800e771…")).to_be_visible()


def test_long_changes_keep_their_columns_readable(site: str, page: Page, morning: Store) -> None:
    _audit(morning, {name: [None, "A long text that goes on. " * 30] for name in EVERY_FIELD})
    page.goto(f"{site}/leads/kuzeyinsaat.example")
    settled(page)
    _unfold(page)
    for heading in page.locator("hunter-lead table.changes th[scope=row]").all():
        box = heading.bounding_box()
        assert box is not None
        assert box["width"] > 80


@pytest.mark.parametrize("size", [DESK, PHONE], ids=["desk", "phone"])
def test_the_activity_shows_all_its_columns_however_many_fields_were_written(
    site: str, page_for: PageFactory, morning: Store, size: dict[str, int]
) -> None:
    _audit(morning, {name: [None, "x"] for name in EVERY_FIELD})
    page = page_for(viewport=size)
    page.goto(f"{site}/crm?tab=activity")
    settled(page)
    row = page.locator("hunter-crm tbody tr[data-key]").first
    expect(row).to_contain_text("Name, Account, Parent account and 8 more")
    for shown in (row.get_by_text("bu bilgisayar").or_(row.get_by_text("this computer")), row.get_by_role("button")):
        box = shown.first.bounding_box()
        assert box is not None
        assert box["x"] + box["width"] <= size["width"]


def test_runs_and_what_they_counted_stand_in_words(site: str, page_for: PageFactory, morning: Store) -> None:
    with runs.recorded(morning, "dynamics_changes", "run-1", "schedule") as result:
        result.add("edited", 3)
        result.add("reopened", 1)
    page = page_for(locale="tr-TR")
    page.goto(f"{site}/runs")
    settled(page)
    row = page.locator("hunter-runs tbody tr[data-key]").first
    expect(row).to_contain_text("Dynamics'ten geri okuma")
    expect(row).to_contain_text("elle düzenlenen 3 · yeniden açılan 1")


def test_what_a_scan_found_before_stands_in_words(site: str, page_for: PageFactory, morning: Store) -> None:
    with morning.write() as connection:
        connection.execute(update(scan_changes).values(kind="dmarc", old="absent", new="none"))
        at = datetime.now(UTC)
        for kind, old, new in (
            ("spf", "absent", "found ~all"),
            ("dkim", "found", "absent"),
            ("mx", None, "mx.ege.example"),
        ):
            values = {"domain": "egeinsaat.example", "at": at, "kind": kind, "old": old, "new": new}
            connection.execute(scan_changes.insert().values(**values))
    page = page_for(locale="tr-TR")
    page.goto(f"{site}/leads/egeinsaat.example")
    settled(page)
    history = page.get_by_role("region", name="Geçmiş")
    for said in ("DMARC: yok → none politikası", "SPF: yok → var ~all", "DKIM: var → yok", "MX: yok → mx.ege.example"):
        expect(history).to_contain_text(said)


def test_a_missing_value_is_named_in_the_reader_s_language(site: str, page_for: PageFactory, morning: Store) -> None:
    said = "lead.lastname needs a value and Hunter has none."
    with morning.write() as connection:
        mine = crm_records.c.external_id == "torosinsaat.example"
        wrong = {"error": said, "error_code": "required_missing", "fix": "required_missing"}
        connection.execute(update(crm_records).where(mine).values(**wrong))
    page = page_for(locale="tr-TR")
    page.goto(f"{site}/crm")
    settled(page)
    row = page.locator("hunter-crm tbody tr[data-key='account torosinsaat.example']")
    expect(row).to_contain_text("Dynamics'in istediği bir alan boş.")


def test_the_page_itself_never_scrolls_at_a_desk(site: str, page: Page) -> None:
    page.goto(f"{site}/leads/egeinsaat.example")
    settled(page)
    _unfold(page)
    page.locator("hunter-lead .timeline li").last.evaluate("(one) => one.scrollIntoView({ block: 'center' })")
    assert page.evaluate("[document.scrollingElement.scrollTop, document.body.scrollTop]") == [0, 0]
