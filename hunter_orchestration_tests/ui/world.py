"""An invented morning of a partner: leads with scans and real scores, referrals, CRM trouble, a file, runs."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from hunter_orchestration.scoring.engine import Inputs, score
from hunter_orchestration.scoring.rules import rules_in_force
from hunter_orchestration.store import Connection, Store, leads
from hunter_orchestration.store.tables.companies import companies, contacts
from hunter_orchestration.store.tables.crm import crm_audit, crm_records
from hunter_orchestration.store.tables.leads import leads as leads_table
from hunter_orchestration.store.tables.referrals import referral_history, referrals
from hunter_orchestration.store.tables.scans import domain_details, scan_changes, scans
from hunter_orchestration.store.tables.scores import scores
from hunter_orchestration_tests.ui.world_trouble import needs_domain, runs, trouble

XSS = "<img src=x onerror=\"document.title='broken'\"> & Ortakları"


@dataclass(frozen=True)
class Invented:
    """A company and what is known of it."""

    domain: str
    name: str
    provider: str
    spf: bool | None = True
    dkim: bool | None = True
    dmarc: str | None = "none"
    category: str | None = None
    status: str = "Active"
    substatus: str = "Accepted"
    days: int | None = None
    value: int | None = None
    crm: str | None = None
    error: str | None = None
    gateway: str | None = None
    hours: float = 1
    city: str = "İzmir"


FIRST = (
    Invented(
        "akdenizinsaat.example",
        "Akdeniz İnşaat Sanayi A.Ş.",
        "Local",
        dmarc="absent",
        category="co_sell",
        status="New",
        substatus="Pending",
        days=2,
        value=64000,
        crm="synced",
        hours=0.07,
    ),
    Invented(
        "bogaziciyapi.example",
        "Boğaziçi Yapı İnşaat Ltd.",
        "Local",
        dkim=True,
        dmarc="absent",
        category="co_sell",
        status="New",
        substatus="Pending",
        days=9,
        value=28000,
        crm="synced",
        city="İstanbul",
    ),
    Invented("egeinsaat.example", "Ege İnşaat ve Proje A.Ş.", "Google", category="co_sell", value=38000),
    Invented(
        "marmaragrup.example",
        "Marmara İnşaat Grubu",
        "Google",
        category="co_sell",
        value=120000,
        crm="conflict",
        error="2 row(s) in the CRM may be this record.",
        gateway="Mimecast",
        hours=3,
        city="Bursa",
    ),
    Invented(
        "torosinsaat.example",
        "Toros İnşaat Malzemeleri",
        "Yandex",
        dmarc="quarantine",
        category="marketplace",
        status="New",
        substatus="Pending",
        days=0,
        value=9000,
        crm="rejected",
        error="Country is missing.",
        hours=3,
        city="Adana",
    ),
    Invented(
        "kuzeyinsaat.example",
        "Kuzey İnşaat Taahhüt A.Ş.",
        "Zoho",
        dmarc="reject",
        category="co_sell",
        value=15500,
        crm="synced",
        hours=5,
    ),
    Invented(
        "anadoluinsaat.example",
        "Anadolu İnşaat Holding",
        "M365",
        dkim=False,
        category="co_sell",
        value=87000,
        crm="synced",
        hours=22,
        city="Ankara",
    ),
    Invented(
        "pamukkale.example",
        "Pamukkale İnşaat A.Ş.",
        "M365",
        spf=False,
        dkim=True,
        dmarc="none",
        category="solution_provider",
        crm="deferred",
        gateway="Proofpoint",
        hours=23,
    ),
    Invented("truvayapi.example", "Truva Yapı ve İnşaat", "M365", dmarc="reject", crm="synced", hours=40),
    Invented("likya.example", "Likya İnşaat Ltd.", "Unknown", spf=None, dkim=None, dmarc=None, hours=60),
    Invented("isikcelik.example", "Işık Çelik Isı Sistemleri", "Hosting", dmarc="absent", hours=80),
    Invented("xssmarkup.example", XSS, "Other", spf=False, dkim=False, dmarc="absent", hours=90),
)


def fill(store: Store, *, more: int = 0, now: datetime | None = None) -> None:
    """Put the morning into an empty store; ``more`` adds that many companies made by chance (always the same)."""
    now = now or datetime.now(UTC)
    with store.write() as connection:
        for number, one in enumerate((*FIRST, *_chance(more))):
            _company(connection, one, number, now)
        needs_domain(connection, now)
        trouble(connection, now)
        runs(connection, now)
        everyone = (*FIRST, *_chance(more))
        leads.refresh(connection, [one.domain for one in everyone])
        for one in everyone:
            changed = now - timedelta(hours=one.hours)
            connection.execute(
                leads_table.update().where(leads_table.c.domain == one.domain).values(changed_at=changed)
            )


def _chance(count: int) -> Iterator[Invented]:
    chance = random.Random(7)
    heads = ("Doğan", "Şahin", "Yıldız", "Çınar", "Öztürk", "Güneş", "Irmak", "Ünal", "Kaya", "Demir")
    kinds = ("Makine", "Tekstil", "Lojistik", "Gıda", "Yazılım", "Enerji", "Mobilya", "Kimya")
    for number in range(count):
        category = chance.choice((None, None, "co_sell", "marketplace", "solution_provider"))
        yield Invented(
            f"firma{number}.example",
            f"{chance.choice(heads)} {chance.choice(kinds)} {number}",
            chance.choice(("M365", "Google", "Yandex", "Zoho", "Hosting", "Local", "Amazon")),
            spf=chance.random() < 0.8,
            dkim=chance.random() < 0.6,
            dmarc=chance.choice(("reject", "quarantine", "none", "absent")),
            category=category,
            value=chance.randrange(2, 90) * 1000 if category else None,
            crm=chance.choice((None, None, "synced")),
            hours=chance.randrange(1, 400),
        )


def _company(connection: Connection, one: Invented, number: int, now: datetime) -> None:
    at = now - timedelta(hours=one.hours)
    referral_id = str(UUID(int=number + 1)) if one.category else None
    connection.execute(
        companies.insert().values(
            domain=one.domain,
            name=one.name,
            name_source="partnercenter" if one.category else "import",
            sources={"partnercenter" if one.category else "import": {"first": at.isoformat(), "last": at.isoformat()}},
            country="TR",
            city=one.city,
            size="51to250employees",
            phone="+90 232 000 00 00",
            website=f"https://www.{one.domain}",
            first_seen_at=at,
            changed_at=at,
            activity_at=at,
            leading_referral_id=referral_id,
            referral_count=1 if referral_id else 0,
            open_referral_count=1 if referral_id else 0,
            has_open_co_sell=one.category == "co_sell",
        )
    )
    connection.execute(
        contacts.insert().values(
            company_domain=one.domain,
            email_hash=f"ayse@{one.domain}",
            email=f"ayse@{one.domain}",
            first_name="Ayşe",
            last_name="Yılmaz",
            title="BT Müdürü",
            phone="+90 232 000 00 01",
            source="partnercenter",
            first_seen_at=at,
            changed_at=at,
        )
    )
    if referral_id:
        _referral(connection, referral_id, one, at, now)
    _scan(connection, one, at)
    _score(connection, one, at)
    if one.crm:
        _crm(connection, one, at, now)


def _referral(connection: Connection, referral_id: str, one: Invented, at: datetime, now: datetime) -> None:
    # A referral of "today" ends in some hours, whatever the time of day.
    expires = now + timedelta(days=one.days, hours=5) if one.days is not None else None
    connection.execute(
        referrals.insert().values(
            id=referral_id,
            raw_lead_id=1,
            name="Microsoft 365 migration",
            type="Shared" if one.category == "co_sell" else "Independent",
            status=one.status,
            substatus=one.substatus,
            direction="Incoming",
            category=one.category,
            category_rule="shared",
            is_open=True,
            company_name=one.name,
            country="TR",
            city=one.city,
            contacts=[{"first_name": "Ayşe", "last_name": "Yılmaz", "email": f"ayse@{one.domain}", "phone": None}],
            company_domain=one.domain,
            linked_by="auto",
            deal_value=None if one.value is None else Decimal(one.value),
            currency="EUR" if one.value else None,
            created_at=at,
            updated_at=at,
            expires_at=expires,
            synced_at=at,
        )
    )
    connection.execute(
        referral_history.insert().values(
            referral_id=referral_id, at=at, status=one.status, substatus=one.substatus, recorded_at=at
        )
    )


def _scan(connection: Connection, one: Invented, at: datetime) -> None:
    unknown = one.provider == "Unknown"

    def answer(name: str, kind: str, found: bool | None, *records: str) -> dict[str, Any]:
        state = "unknown" if found is None else "found" if found else "absent"
        return {
            "name": name,
            "type": kind,
            "state": state,
            "records": list(records) if found else [],
            "ttl": 3600 if found else None,
            "resolver": "192.0.2.53",
            "at": at.timestamp(),
            **({"reason": "timeout"} if found is None else {}),
        }

    has_dmarc = None if one.dmarc is None else one.dmarc != "absent"
    connection.execute(
        scans.insert().values(
            domain=one.domain,
            scanned_at=at,
            expires_at=at + timedelta(days=7),
            is_current=True,
            complete=not unknown,
            provider=one.provider,
            gateway=one.gateway,
            mx_state="unknown" if unknown else "found",
            spf_state="unknown" if one.spf is None else "found" if one.spf else "absent",
            spf_all="~all" if one.spf else None,
            spf_includes=2 if one.spf else 0,
            dkim_found=one.dkim,
            dmarc_state="unknown" if has_dmarc is None else "found" if has_dmarc else "absent",
            dmarc_policy=one.dmarc if has_dmarc else None,
            findings={
                "evidence": [
                    answer(one.domain, "MX", None if unknown else True, f"10 mx.{one.domain}"),
                    answer(one.domain, "TXT", one.spf, "v=spf1 include:_spf.google.example include:mail.example ~all"),
                    answer(f"google._domainkey.{one.domain}", "TXT", one.dkim, "v=DKIM1; k=rsa; p=MIGfMA0GCSq"),
                    answer(f"_dmarc.{one.domain}", "TXT", has_dmarc, f"v=DMARC1; p={one.dmarc}"),
                ]
            },
            lookups=23,
            seconds=0.4,
        )
    )
    connection.execute(
        scan_changes.insert().values(domain=one.domain, at=at, kind="dmarc", old="absent", new=one.dmarc)
    )
    connection.execute(
        domain_details.insert().values(
            domain=one.domain,
            kind="registration",
            state="found",
            facts={"registrar": "Invented Registrar", "created": "2009-04-01", "expires": "2027-04-01"},
            fetched_at=at,
            expires_at=at + timedelta(days=30),
        )
    )


def _score(connection: Connection, one: Invented, at: datetime) -> None:
    inputs = Inputs(
        provider=one.provider,
        mx=None if one.provider == "Unknown" else True,
        spf=one.spf,
        dkim=one.dkim,
        dmarc=one.dmarc,
        spf_includes=2 if one.spf else 0,
        tenant_known=False,
        co_sell=one.category == "co_sell",
    )
    rules = rules_in_force(None)
    result = score(inputs, rules)
    connection.execute(
        scores.insert().values(
            domain=one.domain,
            rules_version=rules.stamp,
            input_hash="x",
            inputs={name: getattr(inputs, name) for name in Inputs.__dataclass_fields__},
            provider=result.provider,
            score=result.score,
            complete=result.complete,
            segment=result.segment,
            technical_heat=result.technical_heat,
            commercial_segment=result.commercial_segment,
            commercial_heat=result.commercial_heat,
            priority=result.priority_category,
            priority_label=result.priority_label,
            breakdown=[
                {name: getattr(point, name) for name in ("rule", "points", "state", "text", "could_be")}
                for point in result.breakdown
            ],
            scored_at=at,
            changed_at=at,
            priority_since=at,
        )
    )


def _crm(connection: Connection, one: Invented, at: datetime, now: datetime) -> None:
    candidates = [
        {"crm_id": str(UUID(int=900 + number)), "name": one.name, "city": city, "owner": "Deniz Kaya"}
        for number, city in enumerate(("Bursa", "İstanbul"))
    ]
    connection.execute(
        crm_records.insert().values(
            table_name="account",
            external_id=one.domain,
            company_domain=one.domain,
            state=one.crm,
            crm_id=str(UUID(int=500)) if one.crm == "synced" else None,
            crm_state="active" if one.crm == "synced" else None,
            error=one.error,
            error_code="0x80040265" if one.crm == "rejected" else None,
            fix="plugin_refused" if one.crm == "rejected" else None,
            candidates=candidates if one.crm == "conflict" else None,
            next_attempt_at=now + timedelta(minutes=12) if one.crm == "deferred" else None,
            attempts=1,
            synced_at=at if one.crm == "synced" else None,
            changed_at=at,
        )
    )
    connection.execute(
        crm_audit.insert().values(
            at=at,
            actor="local",
            table_name="account",
            external_id=one.domain,
            company_domain=one.domain,
            operation="update",
            fields={"name": ["Ege", one.name], "address1_country": [None, "TR"]},
            outcome="rejected" if one.crm == "rejected" else "confirmed",
            status=400 if one.crm == "rejected" else 204,
            detail=one.error,
        )
    )
