"""Killed without warning, in the middle of anything: the next run ends where an undisturbed one would have."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select, update

from hunter_orchestration.partner_center.client import PartnerCenterClient
from hunter_orchestration.partner_center.ingestion import SCOPE, SOURCE, fetch
from hunter_orchestration.partner_center.reading import read_referrals
from hunter_orchestration.store import Store
from hunter_orchestration.store.migrate import upgrade
from hunter_orchestration.store.runs import read_watermark
from hunter_orchestration.store.tables.ingestion import raw_leads
from hunter_orchestration.store.tables.operations import leases
from hunter_orchestration.store.tables.referrals import referral_history, referrals
from hunter_orchestration.store.work import utc_now
from hunter_orchestration_tests.partner_center.service import Service, referral

pytestmark = pytest.mark.slow

_WORKER = """
import sys
from hunter_orchestration.partner_center.client import PartnerCenterClient
from hunter_orchestration.partner_center.ingestion import fetch
from hunter_orchestration.partner_center.reading import read_referrals
from hunter_orchestration.settings import Settings
from hunter_orchestration.store import Store

class Good:
    def token(self, *, force=False):
        return "good"

store = Store(sys.argv[1])
fetch(store, PartnerCenterClient(Settings(partner_center_url=sys.argv[2]), Good()), run_id="worker")
read_referrals(store, run_id="worker")
"""
_OURS = {"raw_lead_id", "synced_at", "company_due_at"}


def contents(store: Store) -> dict[str, Any]:
    with store.read() as connection:
        kept = [
            {name: value for name, value in row.items() if name not in _OURS}
            for row in connection.execute(select(referrals).order_by(referrals.c.id)).mappings()
        ]
        past = connection.execute(
            select(referral_history.c.referral_id, referral_history.c.at, referral_history.c.substatus).order_by(
                referral_history.c.referral_id, referral_history.c.at
            )
        ).all()
        raw = connection.execute(
            select(raw_leads.c.external_id, raw_leads.c.payload_hash, raw_leads.c.outcome).order_by(
                raw_leads.c.external_id, raw_leads.c.payload_hash
            )
        ).all()
        return {"kept": kept, "past": past, "raw": raw, "mark": read_watermark(connection, SOURCE, SCOPE)}


@pytest.mark.parametrize("place", ["after_fetch:1", "after_fetch:3", "before_store:2", "before_store:5", "after_store"])
def test_a_sync_killed_at_a_crash_point_is_finished_by_the_next(
    service: Service, client: PartnerCenterClient, tmp_path: Path, store_url: str, place: str
) -> None:
    service.put(*(referral(number) for number in range(110)))
    service.put(referral(200, closedDateTime="soon"))
    undisturbed = Store(f"sqlite:///{tmp_path / 'undisturbed.db'}")
    upgrade(undisturbed)
    fetch(undisturbed, client)
    read_referrals(undisturbed)

    store = Store(store_url)
    upgrade(store)
    command = [sys.executable, "-c", _WORKER, store.url.render_as_string(hide_password=False), service.url]
    killed = subprocess.run(command, env=os.environ | {"HUNTER_CRASH_AT": place}, check=False, timeout=60)
    assert killed.returncode == -signal.SIGKILL
    with store.write() as connection:
        connection.execute(update(leases).values(until=utc_now()))
    fetch(store, client, run_id="next")
    read_referrals(store, run_id="next")
    assert contents(store) == contents(undisturbed)
    again = fetch(store, client, run_id="third")
    assert again.counts["stored"] == 0
    store.close()
    undisturbed.close()
