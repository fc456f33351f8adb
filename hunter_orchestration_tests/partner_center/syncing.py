"""What the tests of ingestion share: a whole sync, and what the store holds after it."""

from __future__ import annotations

from typing import Any

from hunter_orchestration.partner_center.client import PartnerCenterClient
from hunter_orchestration.partner_center.ingestion import SCOPE, SOURCE, fetch
from hunter_orchestration.partner_center.reading import read_referrals
from hunter_orchestration.store import Store, referrals
from hunter_orchestration.store.runs import read_watermark
from hunter_orchestration.store.work import StageResult, Window
from hunter_orchestration_tests.partner_center.service import Service


def sync(store: Store, client: PartnerCenterClient, window: Window | None = None) -> tuple[StageResult, StageResult]:
    fetched = fetch(store, client, window=window)
    assert fetched.adds_up("fetched", "stored", "unchanged", "quarantined")
    taken = read_referrals(store, window=window)
    assert taken.adds_up("picked", "stored", "superseded", "quarantined")
    return fetched, taken


def rows_of(store: Store, limit: int = 10_000) -> dict[str, dict[str, Any]]:
    with store.read() as connection:
        return {row["id"]: dict(row) for row in referrals.listed(connection, limit=limit)}


def names_of(store: Store) -> dict[str, str]:
    return {key: row["name"] for key, row in rows_of(store).items()}


def expected_names(service: Service) -> dict[str, str]:
    return {key: row["name"] for key, row in service.rows.items()}


def watermark_of(store: Store) -> str | None:
    with store.read() as connection:
        return read_watermark(connection, SOURCE, SCOPE)
