"""Forgetting a person or a company reaches everything stored, and the next sync does not bring it back."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from sqlalchemy import select

from hunter_orchestration.companies import admission, decisions, erasure, imports, stage
from hunter_orchestration.companies.domains import email_hash
from hunter_orchestration.store import Store, companies, raw_leads, runs
from hunter_orchestration.store.raw_leads import Payload
from hunter_orchestration.store.tables import metadata
from hunter_orchestration.store.tables.companies import erasures
from hunter_orchestration.store.work import utc_now
from hunter_orchestration_tests.companies.samples import keep, referral
from hunter_orchestration_tests.companies.test_stage import company, stored

ADA = "nevra.pamuk@firma.com.tr"
PAYLOAD = {
    "id": referral(1)["id"],
    "customerProfile": {
        "name": "Firma A.Ş.",
        "team": [
            {
                "firstName": "Nevra",
                "lastName": "Pamuk",
                "email": "Nevra.Pamuk@firma.com.tr",
                "phoneNumber": "0212 555 11 22",
            },
            {"firstName": "Can", "lastName": "Er", "email": "can@firma.com.tr"},
        ],
    },
    "details": {"notes": "Call Nevra Pamuk (nevra.pamuk@firma.com.tr)."},
}


def everything(store: Store) -> str:
    with store.read() as connection:
        return "\n".join(
            str(tuple(row)) for table in metadata.sorted_tables for row in connection.execute(select(table))
        ).lower()


def filled(store: Store, tmp_path: Path) -> None:
    now = utc_now()
    with store.write() as connection:
        payload = Payload(PAYLOAD["id"], "0" * 64, PAYLOAD, now)  # type: ignore[arg-type]
        raw_leads.keep(connection, "partnercenter", [payload], now=now, pass_started=now)
        runs.emit(connection, "alert", None, {"text": f"New mail from {ADA}"})
    contact = {
        "first_name": "Nevra",
        "last_name": "Pamuk",
        "phone": "0212 555 11 22",
        "title": "CTO",
        "locale": "tr-TR",
    }
    notes = f"Call Nevra Pamuk ({ADA})."
    keep(store, [referral(1, contacts=[contact | {"email": ADA}], notes=notes), referral(2, "can@firma.com.tr")])
    rows = f"Firma,E-posta,Notlar\nFirma,{ADA},Nevra Pamuk knows\nX,nothing,{ADA}\n"
    with io.BytesIO(rows.encode()) as content:
        import_id = imports.receive(store, tmp_path, "x.csv", content)
    imports.run(store, tmp_path, import_id)
    stage.run(store)
    admission.add_lead(store, {"email": ADA, "company": "Firma", "first_name": "Nevra", "last_name": "Pamuk"}, "api")


def test_a_person_is_gone_from_every_table_and_the_deals_stay(store: Store, tmp_path: Path) -> None:
    filled(store, tmp_path)
    assert "nevra.pamuk" in everything(store)
    done = erasure.forget(store, "Nevra Pamuk <Nevra.Pamuk@firma.com.tr>", "admin", home=tmp_path)
    assert done.kind == "email"
    assert {"raw_leads", "referrals", "contacts", "events", "import_rejects", "company_mentions"} <= set(done.counts)
    held = everything(store)
    assert "nevra" not in held
    assert "pamuk" not in held
    assert email_hash(ADA) not in held
    assert email_hash(ADA)[:16] not in held
    assert "0212 555 11 22" not in held
    assert "can@firma.com.tr" in held
    assert stored(store, 1)["company_domain"] == "firma.com.tr"
    assert company(store, "firma.com.tr")["referral_count"] == 2
    with store.read() as connection:
        assert connection.execute(select(erasures.c.requested_by)).scalars().all() == ["admin"]


def test_a_person_does_not_come_back_with_the_next_sync_import_or_lead(store: Store, tmp_path: Path) -> None:
    filled(store, tmp_path)
    erasure.forget(store, ADA, "admin", home=tmp_path)
    scrubbed = erasure.scrubber(store)(PAYLOAD)
    assert scrubbed["customerProfile"]["team"] == [{"firstName": "Can", "lastName": "Er", "email": "can@firma.com.tr"}]
    filled_again = f"E-posta,Domain,Adı\n{ADA},firma.com.tr,Nevra\n{ADA},,Nevra\n"
    import_id = imports.receive(store, tmp_path, "y.csv", io.BytesIO(filled_again.encode()))
    counts = imports.run(store, tmp_path, import_id).counts
    assert counts["rejected"] == 1
    keep(store, [referral(3, ADA)])
    stage.run(store)
    with pytest.raises(admission.RecordRefusedError):
        admission.add_lead(store, {"email": ADA}, "api")
    with store.read() as connection:
        people = companies.contacts_of(connection, ["firma.com.tr"])["firma.com.tr"]
    assert [person["email"] for person in people] == ["can@firma.com.tr"]


def test_a_company_is_gone_and_does_not_come_back(store: Store, tmp_path: Path) -> None:
    filled(store, tmp_path)
    decisions.edit(store, "firma.com.tr", {"city": "Ankara"}, "ada")
    erasure.forget(store, "https://www.firma.com.tr", "admin", home=tmp_path)
    assert "firma.com.tr" not in everything(store)
    keep(store, [referral(4, "can@firma.com.tr")])
    stage.run(store)
    found = stored(store, 4)
    assert (found["company_domain"], found["domain_rejected"]) == (None, "suppressed")
    with pytest.raises(admission.RecordRefusedError):
        admission.add_lead(store, {"domain": "firma.com.tr"}, "api")
    with pytest.raises(decisions.DecisionError):
        decisions.create_lead(store, referral(4)["id"], "firma.com.tr", "ada")


@pytest.mark.parametrize("subject", ["", "Nevra Pamuk", "gmail.com", "linkedin.com", "com.tr", "127.0.0.1"])
def test_what_is_no_person_and_no_company_is_not_erased(sqlite_store: Store, subject: str) -> None:
    with pytest.raises(erasure.ErasureError):
        erasure.forget(sqlite_store, subject, "admin")


def test_another_person_of_a_similar_address_stays(sqlite_store: Store) -> None:
    admission.add_lead(sqlite_store, {"email": "xada@firma.com.tr"}, "api")
    admission.add_lead(sqlite_store, {"email": "ada@firma.com.tr"}, "api")
    erasure.forget(sqlite_store, "ada@firma.com.tr", "admin")
    with sqlite_store.read() as connection:
        people = companies.contacts_of(connection, ["firma.com.tr"])["firma.com.tr"]
    assert [person["email"] for person in people] == ["xada@firma.com.tr"]
