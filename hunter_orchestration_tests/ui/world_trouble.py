"""The invented morning's trouble: what needs a domain, what was refused, what ran."""

from __future__ import annotations

from datetime import datetime, timedelta
from uuid import UUID

from hunter_orchestration.store import Connection
from hunter_orchestration.store.tables.crm import crm_differences
from hunter_orchestration.store.tables.ingestion import import_rejects, imports, quarantine, watermarks
from hunter_orchestration.store.tables.operations import sync_runs
from hunter_orchestration.store.tables.referrals import referrals


def needs_domain(connection: Connection, now: datetime) -> None:
    """Referrals that belong to no company yet."""
    for number, name in enumerate(("Ege İnşaat Proje", "Adı Bilinmeyen Ticaret")):
        connection.execute(
            referrals.insert().values(
                id=str(UUID(int=7000 + number)),
                raw_lead_id=1,
                name="Azure",
                type="Independent",
                status="New",
                substatus="Pending",
                direction="Incoming",
                category="marketplace",
                category_rule="independent-direct-microsoft",
                is_open=True,
                company_name=name,
                country="TR",
                contacts=[],
                domain_rejected="free-mail",
                created_at=now - timedelta(hours=6),
                updated_at=now - timedelta(hours=6),
                expires_at=now + timedelta(days=6),
                synced_at=now,
            )
        )


def trouble(connection: Connection, now: datetime) -> None:
    """What waits for a person: a difference, a quarantined record, a file with rejects."""
    connection.execute(
        crm_differences.insert().values(
            found_at=now - timedelta(hours=2),
            table_name="account",
            external_id="truvayapi.example",
            company_domain="truvayapi.example",
            kind="field",
            field="name",
            claimed="Truva Yapı ve İnşaat",
            found="Truva Yapi",
        )
    )
    connection.execute(
        quarantine.insert().values(
            source="partnercenter",
            external_id="0b9f",
            reason="no_identity",
            detail="The referral has no id.",
            payload={"name": "<b>no id</b>"},
            reader_version=1,
            state="open",
            first_at=now - timedelta(hours=4),
            last_at=now - timedelta(hours=1),
        )
    )
    made = connection.execute(
        imports.insert().values(
            filename="fuar-2026.csv",
            content_hash="x",
            state="done",
            encoding="windows-1254",
            separator=";",
            columns={"domain": "Web", "company": "Firma"},
            counts={"rows": 120, "stored": 112, "unchanged": 6, "rejected": 2},
            requested_by="local",
            created_at=now - timedelta(days=1),
            finished_at=now - timedelta(days=1) + timedelta(seconds=3),
        )
    )
    import_id = made.inserted_primary_key[0] if made.inserted_primary_key else 1
    for line in (17, 48):
        connection.execute(
            import_rejects.insert().values(
                import_id=import_id,
                line=line,
                reason="empty",
                detail="The row names no domain, e-mail address or web site.",
                row={"Firma": "Adsız", "Web": ""},
            )
        )


def runs(connection: Connection, now: datetime) -> None:
    """Syncs of two weeks, one of them failed."""
    for number in range(40):
        at = now - timedelta(minutes=2) - timedelta(hours=8 * number)
        run_id = str(UUID(int=3000 + number))
        failed = number == 7
        for kind, counts in (
            ("raw_leads", {"read": 12, "stored": 3, "unchanged": 9}),
            ("dynamics_records", {"picked": 6, "created": 2, "updated": 3, "rejected": 1}),
        ):
            connection.execute(
                sync_runs.insert().values(
                    kind=kind,
                    run_id=run_id,
                    requested_by="schedule" if number else "local",
                    state="failed" if failed else "succeeded",
                    started_at=at - timedelta(seconds=14),
                    finished_at=at,
                    counts=None if failed else counts,
                    error="Partner Center answered 503; the next tick tries again." if failed else None,
                )
            )
    connection.execute(
        watermarks.insert().values(
            source="partnercenter", scope="referrals", value=now.isoformat(), updated_at=now - timedelta(minutes=2)
        )
    )
