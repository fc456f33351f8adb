"""Referrals tied to companies: by domain, by rank, once, and never over a person's decision."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from hunter_orchestration.companies import stage
from hunter_orchestration.companies.admission import add_lead
from hunter_orchestration.companies.domains import email_hash
from hunter_orchestration.store import Store, companies, company_evidence, referrals, scans
from hunter_orchestration.store.leads import refresh
from hunter_orchestration.store.migrate import upgrade
from hunter_orchestration.store.work import Window, utc_now
from hunter_orchestration_tests.companies.samples import DAY, keep, referral


def company(store: Store, domain: str) -> dict[str, Any]:
    with store.read() as connection:
        row = companies.one(connection, domain)
    assert row is not None
    return dict(row)


def stored(store: Store, number: int) -> dict[str, Any]:
    with store.read() as connection:
        row = referrals.one(connection, referral(number)["id"])
    assert row is not None
    return dict(row)


def snapshot(store: Store, *domains: str) -> list[dict[str, Any]]:
    return [company(store, domain) for domain in domains]


def test_a_referral_belongs_to_the_domain_of_its_first_usable_contact(store: Store) -> None:
    keep(store, [referral(1, "ada@gmail.com", "Ada <ada@firma.com.tr>")])
    counts = stage.run(store).counts
    assert (counts["picked"], counts["linked"], counts["created"]) == (1, 1, 1)
    found = stored(store, 1)
    assert (found["domain"], found["domain_source"], found["company_domain"], found["linked_by"]) == (
        "firma.com.tr",
        "contact_email",
        "firma.com.tr",
        "auto",
    )
    assert found["company_due_at"] is None
    assert company(store, "firma.com.tr")["name"] == "Firma 1 A.Ş."


def test_namibias_code_is_a_country_and_not_a_word_for_nothing(store: Store) -> None:
    keep(store, [referral(1, "ada@firma.com.na", country="NA")])
    stage.run(store)
    assert company(store, "firma.com.na")["country"] == "NA"


def test_a_second_run_writes_nothing(store: Store) -> None:
    keep(store, [referral(number, f"a{number}@firma.com.tr") for number in range(5)])
    stage.run(store)
    before = snapshot(store, "firma.com.tr")
    assert not any(stage.run(store).counts.values())
    assert snapshot(store, "firma.com.tr") == before


def test_a_window_looks_again_and_changes_nothing_that_stands(store: Store) -> None:
    keep(store, [referral(number, f"a{number}@firma.com.tr") for number in range(5)])
    stage.run(store)
    before = snapshot(store, "firma.com.tr")
    counts = stage.run(store, window=Window(DAY, DAY + timedelta(hours=1))).counts
    assert (counts["picked"], counts["changed"], counts["decisions"]) == (5, 0, 0)
    assert snapshot(store, "firma.com.tr") == before


def test_a_referral_without_a_domain_is_kept_with_the_reason(store: Store) -> None:
    keep(store, [referral(1, "ada@hotmail.com.tr"), referral(2)])
    counts = stage.run(store).counts
    assert (counts["needs_domain"], counts["created"]) == (2, 0)
    assert stored(store, 1)["domain_rejected"] == "free-mail"
    assert stored(store, 2)["domain_rejected"] == "empty"
    with store.read() as connection:
        assert [row["id"] for row in company_evidence.unlinked(connection)] == [referral(2)["id"], referral(1)["id"]]


def test_aggregates_count_every_referral_and_sum_open_deals_by_currency(store: Store) -> None:
    keep(
        store,
        [
            referral(1, "a@firma.com.tr", deal_value=Decimal("100.50"), currency="TRY", category="co_sell"),
            referral(2, "b@firma.com.tr", deal_value=Decimal(200), currency="TRY"),
            referral(3, "c@firma.com.tr", deal_value=Decimal(70), currency="EUR"),
            referral(4, "d@firma.com.tr", deal_value=Decimal(999), currency="EUR", is_open=False, status="Closed"),
        ],
    )
    stage.run(store)
    found = company(store, "firma.com.tr")
    assert found["open_deal_value"] == {"EUR": 70, "TRY": 300.5}
    assert (found["referral_count"], found["open_referral_count"], found["has_open_co_sell"]) == (4, 3, True)
    assert found["leading_referral_id"] == referral(3)["id"]
    assert found["first_seen_at"] == DAY + timedelta(minutes=1)
    assert found["activity_at"] == DAY + timedelta(minutes=4)


def test_an_engagement_seen_from_two_sides_is_one_deal(store: Store) -> None:
    deal: dict[str, Any] = {"engagement_id": "e", "deal_value": Decimal("75000.5"), "currency": "EUR"}
    keep(store, [referral(1, "a@firma.com.tr", **deal), referral(2, "a@firma.com.tr", **deal)])
    stage.run(store)
    found = company(store, "firma.com.tr")
    assert (found["open_deal_value"], found["referral_count"]) == ({"EUR": 75000.5}, 2)


def test_the_last_open_referral_closing_changes_who_leads_and_asks_for_a_score(store: Store) -> None:
    keep(store, [referral(1, "a@firma.com.tr", category="co_sell")])
    stage.run(store)
    with store.write() as connection:
        companies.mark_due(connection, ["firma.com.tr"], "score_due_at", None)  # type: ignore[arg-type]
    keep(store, [referral(1, "a@firma.com.tr", category="co_sell", is_open=False, status="Closed")])
    stage.run(store)
    found = company(store, "firma.com.tr")
    assert (found["has_open_co_sell"], found["open_referral_count"]) == (False, 0)
    assert found["score_due_at"] is not None
    assert found["push_due_at"] is not None


def test_a_referrals_name_comes_before_a_records_and_that_before_the_domain(store: Store) -> None:
    add_lead(store, {"domain": "firma.com.tr"}, "api")
    assert (company(store, "firma.com.tr")["name"], company(store, "firma.com.tr")["name_source"]) == (
        "firma.com.tr",
        "domain",
    )
    add_lead(store, {"domain": "firma.com.tr", "company": "Firma"}, "api")
    assert company(store, "firma.com.tr")["name_source"] == "api"
    keep(store, [referral(1, "a@firma.com.tr", company_name="Firma Anonim Şirketi")])
    stage.run(store)
    add_lead(store, {"domain": "firma.com.tr", "company": "FRM"}, "api")
    found = company(store, "firma.com.tr")
    assert (found["name"], found["name_source"]) == ("Firma Anonim Şirketi", "referral")
    assert set(found["sources"]) == {"api", "partnercenter"}


def test_people_of_the_customer_are_contacts_once_an_address(store: Store) -> None:
    keep(store, [referral(1, "Ada@Firma.com.tr", "x@gmail.com"), referral(2, "ada@firma.com.tr")])
    stage.run(store)
    with store.read() as connection:
        people = companies.contacts_of(connection, ["firma.com.tr"])["firma.com.tr"]
    assert {person["email"] for person in people} == {"ada@firma.com.tr", "x@gmail.com"}
    assert {person["email_hash"] for person in people} == {email_hash("ada@firma.com.tr"), email_hash("x@gmail.com")}


def test_a_corrected_address_moves_the_referral_and_leaves_no_empty_company(store: Store) -> None:
    keep(store, [referral(1, "a@frima.com.tr")])
    stage.run(store)
    keep(store, [referral(1, "a@firma.com.tr")])
    counts = stage.run(store).counts
    assert (counts["created"], counts["removed"]) == (1, 1)
    with store.read() as connection:
        assert companies.one(connection, "frima.com.tr") is None
        assert companies.contacts_of(connection, ["frima.com.tr"]) == {}


def test_a_second_referral_does_not_ask_for_a_second_scan(store: Store) -> None:
    keep(store, [referral(1, "a@firma.com.tr")])
    stage.run(store)
    later = utc_now() + timedelta(days=7)
    planned = company(store, "firma.com.tr")["scan_due_at"]
    assert planned is not None
    with store.write() as connection:
        scans.schedule(connection, [("firma.com.tr", planned, later)])
    keep(store, [referral(2, "b@firma.com.tr")])
    stage.run(store)
    assert company(store, "firma.com.tr")["scan_due_at"] == later


def test_a_change_while_the_stage_runs_stays_due(store: Store) -> None:
    keep(store, [referral(1, "a@firma.com.tr")])
    with store.write() as connection:
        rows = company_evidence.due_referrals(connection, None, utc_now())
    keep(store, [referral(1, "b@firma.com.tr")])
    with store.write() as connection:
        company_evidence.clear_due(connection, rows)
    assert stored(store, 1)["company_due_at"] is not None


def test_a_stated_tenant_is_kept_with_its_source(store: Store) -> None:
    add_lead(store, {"domain": "firma.com.tr", "tenant_id": "{11111111-2222-3333-4444-555555555555}"}, "api")
    found = company(store, "firma.com.tr")
    assert (found["tenant_id"], found["tenant_source"]) == ("11111111-2222-3333-4444-555555555555", "api")


def test_a_tenants_initial_domain_is_kept_as_evidence_and_makes_no_company(store: Store) -> None:
    keep(store, [referral(1, "ada@contoso.onmicrosoft.com", "ada@contoso.com.tr"), referral(2, "x@y.onmicrosoft.com")])
    counts = stage.run(store).counts
    assert (counts["created"], counts["needs_domain"]) == (1, 1)
    found = company(store, "contoso.com.tr")
    assert (found["tenant_name"], found["tenant_id"]) == ("contoso.onmicrosoft.com", None)


@pytest.mark.slow
def test_many_referrals_are_taken_in_chunks_without_loss(sqlite_store: Store) -> None:
    keep(sqlite_store, [referral(number, f"a@firma{number % 700}.com.tr") for number in range(2500)])
    counts = stage.run(sqlite_store).counts
    assert (counts["picked"], counts["linked"], counts["created"]) == (2500, 2500, 700)
    with sqlite_store.write() as connection:
        refresh(connection, ["firma0.com.tr"])
    assert company(sqlite_store, "firma0.com.tr")["referral_count"] == 4


def test_progress_goes_on_while_companies_are_rebuilt(sqlite_store: Store) -> None:
    rows = [referral(number, f"a{number}@firma{number}.com.tr") for number in range(1500)]
    keep(sqlite_store, [*rows, referral(1500, "")])
    told: list[tuple[int, int | None]] = []
    stage.run(sqlite_store, progress=lambda done, total: told.append((done, total)))
    assert told == [(0, 1000), (0, 1501), (1001, 1501), (1501, 1501)]


class StoppedError(Exception):
    """A run ended in the middle."""


@pytest.mark.slow
def test_a_run_stopped_anywhere_and_resumed_ends_as_an_undisturbed_one(sqlite_store: Store, tmp_path: Path) -> None:
    undisturbed = Store(f"sqlite:///{tmp_path / 'other.db'}")
    upgrade(undisturbed)
    rows = [referral(number, f"a{number}@firma{number % 1500}.com.tr") for number in range(3000)]
    for store in (sqlite_store, undisturbed):
        keep(store, rows)
    stage.run(undisturbed)

    stops = iter(range(3))

    def stop(done: int, total: int | None) -> None:
        if next(stops, None) is not None:
            raise StoppedError

    for _ in range(3):
        with pytest.raises(StoppedError):
            stage.run(sqlite_store, progress=stop)
    stage.run(sqlite_store, progress=stop)
    moving = {"changed_at", "scan_due_at", "score_due_at", "push_due_at"}
    domains = [f"firma{number}.com.tr" for number in range(1500)]
    seen = []
    for store in (sqlite_store, undisturbed):
        with store.read() as connection:
            found = companies.by_domain(connection, domains)
            assert company_evidence.due_referrals(connection, None, utc_now()) == []
        seen.append({key: {name: row[name] for name in row if name not in moving} for key, row in found.items()})
    undisturbed.close()
    assert len(seen[0]) == 1500
    assert seen[0] == seen[1]
