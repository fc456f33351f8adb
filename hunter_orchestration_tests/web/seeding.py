"""Invented leads, straight into the tables the page reads."""

from __future__ import annotations

import random
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from hunter_orchestration import turkish
from hunter_orchestration.store import Connection, Store, leads
from hunter_orchestration.store.tables.companies import companies, contacts
from hunter_orchestration.store.tables.crm import crm_audit, crm_records
from hunter_orchestration.store.tables.leads import leads as leads_table
from hunter_orchestration.store.tables.referrals import referral_history, referrals
from hunter_orchestration.store.tables.scores import scores

NOW = datetime(2026, 11, 24, 9, 0, tzinfo=UTC)


def lead(domain: str, name: str = "Ege İnşaat A.Ş.", **values: Any) -> dict[str, Any]:
    """A row of the read model with every column."""
    row: dict[str, Any] = {
        "domain": domain,
        "domain_shown": domain,
        "name": name,
        "name_key": turkish.sort_key(name),
        "search_text": turkish.fold(f"{name} {domain}"),
        "country": "TR",
        "size": None,
        "source": "import",
        "priority": "P2",
        "score": 75,
        "complete": True,
        "segment": "Migration",
        "commercial_segment": "COMPETITIVE",
        "technical_heat": "Warm",
        "commercial_heat": "HIGH",
        "provider": "Google",
        "gateway": None,
        "hoster": None,
        "referral_id": None,
        "referral_category": None,
        "referral_status": None,
        "referral_substatus": None,
        "referral_count": 0,
        "expires_at": None,
        "deal_value": None,
        "currency": None,
        "dynamics_state": "not_pushed",
        "dynamics_detail": None,
        "first_seen_at": NOW,
        "changed_at": NOW,
    }
    return row | values


def random_lead(number: int, chance: random.Random) -> dict[str, Any]:
    """A lead with many equal and empty values, so that ties and gaps are common."""
    priority = chance.choice(["P1", "P2", "P3", "P4", "P5", "P6", "P9"])
    return lead(
        f"d{chance.randrange(10**6)}-{number}.example",
        f"{chance.choice(['İnşaat', 'Çelik', 'Işık', 'Ümit'])} {chance.randrange(40)}",
        country=chance.choice([None, "TR", "DE"]),
        source=chance.choice(["import", "api"]),
        priority=priority,
        score=-1 if priority == "P9" else chance.randrange(0, 101, 5),
        segment=chance.choice([None, "Cold"]),
        commercial_segment=chance.choice([None, "GREENFIELD", "NO_GO"]),
        provider=chance.choice(["M365", "Google"]),
        gateway=chance.choice([None, "Mimecast"]),
        referral_category=chance.choice([None, "co_sell"]),
        referral_status=chance.choice([None, "New"]),
        expires_at=chance.choice([None, NOW + timedelta(days=chance.randrange(5))]),
        deal_value=chance.choice([None, Decimal(chance.randrange(5))]),
        dynamics_state=chance.choice(["synced", "not_pushed"]),
        first_seen_at=NOW - timedelta(days=chance.randrange(9)),
    )


def put(store: Store, rows: Iterable[dict[str, Any]]) -> None:
    """Insert rows of the read model."""
    with store.write() as connection:
        connection.execute(leads_table.insert(), list(rows))


def company(connection: Connection, domain: str, name: str = "Ege İnşaat ve Proje A.Ş.", **values: Any) -> None:
    """A company of an import, with its row of the read model."""
    row = {
        "domain": domain,
        "name": name,
        "name_source": "import",
        "sources": {"import": {"first": "2026-11-01T00:00:00Z", "last": "2026-11-01T00:00:00Z"}},
        "country": "TR",
        "first_seen_at": NOW,
        "changed_at": NOW,
        "activity_at": NOW,
    }
    connection.execute(companies.insert().values(**(row | values)))
    leads.refresh(connection, [domain])


def scored(connection: Connection, domain: str, **values: Any) -> None:
    """A score of a company."""
    row = {
        "domain": domain,
        "rules_version": "1",
        "input_hash": "x",
        "inputs": {
            "provider": "Google",
            "mx": True,
            "spf": True,
            "dkim": True,
            "dmarc": "none",
            "spf_includes": 2,
            "tenant_known": False,
            "co_sell": True,
        },
        "provider": "Google",
        "score": 75,
        "complete": True,
        "segment": "Migration",
        "technical_heat": "Warm",
        "commercial_segment": "COMPETITIVE",
        "commercial_heat": "HIGH",
        "priority": "P2",
        "priority_label": "Competitive Takeover",
        "breakdown": [
            {
                "rule": "provider",
                "points": 50,
                "state": "found",
                "text": {"en": "Google", "tr": "Google"},
                "could_be": None,
            }
        ],
        "scored_at": NOW,
        "changed_at": NOW,
        "priority_since": NOW,
    }
    connection.execute(scores.insert().values(**(row | values)))
    leads.refresh(connection, [domain])


def referral(connection: Connection, referral_id: str, domain: str | None, **values: Any) -> None:
    """A referral with one change in its history."""
    row: dict[str, Any] = {
        "id": referral_id,
        "raw_lead_id": 1,
        "name": "Migration",
        "type": "Shared",
        "status": "New",
        "substatus": "Pending",
        "direction": "Incoming",
        "category": "co_sell",
        "category_rule": "shared",
        "is_open": True,
        "company_name": "Ege İnşaat",
        "country": "TR",
        "contacts": [{"first_name": "Ayşe", "last_name": "Yılmaz", "email": "ayse@ege.example", "phone": None}],
        "company_domain": domain,
        "deal_value": Decimal("38000.5"),
        "currency": "EUR",
        "created_at": NOW,
        "updated_at": NOW,
        "expires_at": NOW + timedelta(days=14),
        "synced_at": NOW,
    }
    row |= values
    connection.execute(referrals.insert().values(**row))
    connection.execute(
        referral_history.insert().values(
            referral_id=referral_id, at=NOW, status=row["status"], substatus=row["substatus"], recorded_at=NOW
        )
    )


def crm_record(connection: Connection, domain: str, state: str, table: str = "account", **values: Any) -> None:
    """A ledger row and one attempt."""
    row = {
        "table_name": table,
        "external_id": domain,
        "company_domain": domain,
        "state": state,
        "crm_id": "8c6ab5a8-0000-4000-8000-000000000001",
        "changed_at": NOW,
    }
    connection.execute(crm_records.insert().values(**(row | values)))
    connection.execute(
        crm_audit.insert().values(
            at=NOW,
            actor="local",
            table_name=table,
            external_id=domain,
            company_domain=domain,
            operation="update",
            fields={"name": ["Ege", "Ege İnşaat"]},
            outcome="confirmed",
        )
    )
    leads.refresh(connection, [domain])


def contact(connection: Connection, domain: str, email: str) -> None:
    """Somebody at a company."""
    connection.execute(
        contacts.insert().values(
            company_domain=domain,
            email_hash=email,
            email=email,
            first_name="Ayşe",
            source="import",
            first_seen_at=NOW,
            changed_at=NOW,
        )
    )
