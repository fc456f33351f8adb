"""Referrals as the stage before leaves them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from hunter_orchestration.store import Store
from hunter_orchestration.store import referrals as referral_store
from hunter_orchestration.store.work import utc_now

DAY = datetime(2026, 11, 3, 9, tzinfo=UTC)


def referral(number: int, *emails: str, **given: Any) -> dict[str, Any]:
    """One stored referral, due for the companies stage, with one contact an address."""
    stamp = DAY + timedelta(minutes=number)
    row: dict[str, Any] = {
        "id": f"00000000-0000-4000-8000-{number:012d}",
        "engagement_id": None,
        "raw_lead_id": number,
        "name": "Deal",
        "type": "Independent",
        "qualification": None,
        "direction": "Incoming",
        "status": "New",
        "substatus": "Pending",
        "status_reason": None,
        "category": "solution_provider",
        "category_rule": "test",
        "is_open": True,
        "company_name": f"Firma {number} A.Ş.",
        "company_size": None,
        "country": "TR",
        "city": None,
        "address": None,
        "contacts": [
            {"first_name": "Ada", "last_name": "Lale", "email": email, "phone": None, "title": None, "locale": "tr-TR"}
            for email in emails
        ],
        "candidates": None,
        "consent": None,
        "needs": None,
        "notes": None,
        "external_reference_id": None,
        "organization_id": None,
        "mpn_id": None,
        "invited_by": None,
        "tenant_id": None,
        "deal_value": None,
        "currency": None,
        "closing_at": None,
        "created_at": stamp,
        "updated_at": stamp,
        "expires_at": None,
        "accepted_at": None,
        "closed_at": None,
        "etag": None,
        "unknown_values": None,
        "synced_at": utc_now(),
        "company_due_at": utc_now(),
    }
    return row | given


def keep(store: Store, rows: Sequence[Mapping[str, Any]]) -> None:
    """Store referrals."""
    with store.write() as connection:
        referral_store.save(connection, rows, [])
