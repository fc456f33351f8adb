"""The whole chain as one process runs it: from Partner Center to Dynamics and back. A test starts it and kills it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from typing import Any

from sqlalchemy import select, update

from hunter_orchestration.companies import erasure
from hunter_orchestration.companies import stage as companies_stage
from hunter_orchestration.dynamics import stage as dynamics_stage
from hunter_orchestration.dynamics.mapping import TABLES
from hunter_orchestration.partner_center.client import PartnerCenterClient
from hunter_orchestration.partner_center.ingestion import fetch
from hunter_orchestration.partner_center.reading import read_referrals
from hunter_orchestration.partner_center.sign_in import Tokens
from hunter_orchestration.sandbox.running import RunningSandbox
from hunter_orchestration.scanning import stage as scanning_stage
from hunter_orchestration.scoring import stage as scoring_stage
from hunter_orchestration.settings import Settings, load_settings
from hunter_orchestration.store import Store
from hunter_orchestration.store.migrate import upgrade
from hunter_orchestration.store.runs import recorded
from hunter_orchestration.store.tables.companies import companies
from hunter_orchestration.store.tables.crm import crm_records
from hunter_orchestration.store.tables.leads import leads
from hunter_orchestration.store.tables.operations import leases
from hunter_orchestration.store.tables.referrals import referrals
from hunter_orchestration.store.tables.scans import scans
from hunter_orchestration.store.tables.scores import scores
from hunter_orchestration.store.work import StageResult, utc_now
from hunter_orchestration_tests import invariants


def variables(box: RunningSandbox, store: Store, **more: str) -> dict[str, str]:
    """``HUNTER_*`` variables of a chain from this sandbox into this store and back."""
    return {
        **box.settings(),
        "HUNTER_REFRESH_TOKEN": box.refresh_token(),
        "HUNTER_DATABASE_URL": store.url.render_as_string(hide_password=False),
        "HUNTER_PARTNER_CENTER_ENABLED": "true",
        "HUNTER_DYNAMICS_ENABLED": "true",
        "HUNTER_PARTNER_CENTER_PAGE_SIZE": "10",
        **more,
    }


def settings_of(box: RunningSandbox, store: Store, **more: str) -> Settings:
    """The same as settings of this process."""
    named = {name.removeprefix("HUNTER_").lower(): value for name, value in variables(box, store, **more).items()}
    return load_settings(**named)


def run(store: Store, settings: Settings, run_id: str, *, push: bool = True) -> dict[str, StageResult]:
    """Every stage once, in order, each recorded as a run of the engine does."""
    client = PartnerCenterClient(settings, Tokens(settings))
    stages: dict[str, Any] = {
        "raw_leads": lambda: fetch(store, client, run_id=run_id, scrub=erasure.scrubber(store)),
        "referrals": lambda: read_referrals(store, run_id=run_id),
        "companies": lambda: companies_stage.run(store),
        "domain_scans": lambda: scanning_stage.run(store, settings, run_id=run_id),
        "lead_scores": lambda: scoring_stage.run(store, settings),
    }
    if push:
        stages["dynamics_records"] = lambda: dynamics_stage.push(store, settings, run_id=run_id)
        stages["dynamics_changes"] = lambda: dynamics_stage.pull(store, settings, run_id=run_id)
    results = {}
    try:
        for kind, stage in stages.items():
            with recorded(store, kind, run_id) as result:
                done = stage()
                result.counts, result.facts = done.counts, done.facts
            results[kind] = done
    finally:
        client.close()
    return results


def start(given: Mapping[str, str], crash_at: str | None = None) -> subprocess.Popen[bytes]:
    """The chain in a process of its own; with a place, it kills itself there."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("HUNTER_CRASH")}
    environment |= given
    if crash_at is not None:
        environment["HUNTER_CRASH_AT"] = crash_at
    return subprocess.Popen(
        [sys.executable, "-m", __name__], env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    )


def killed_at(given: Mapping[str, str], place: str) -> None:
    """Run the chain until it kills itself at a place."""
    process = start(given, place)
    _, errors = process.communicate(timeout=120)
    assert process.returncode == -signal.SIGKILL, f"{place} was not reached: {errors.decode()[-2000:]}"


def leases_end(store: Store) -> None:
    """Time passes until what a dead process held is free again."""
    with store.write() as connection:
        connection.execute(update(leases).values(until=utc_now()))


def contents(store: Store) -> dict[str, Any]:
    """What must be the same whatever happened on the way, without stamps and ids of our own."""
    queries = {
        "referrals": select(referrals.c.id, referrals.c.status, referrals.c.company_domain, referrals.c.deal_value),
        "companies": select(companies.c.domain, companies.c.name, companies.c.open_referral_count),
        "scans": select(scans.c.domain, scans.c.provider, scans.c.spf_state).where(scans.c.is_current),
        "scores": select(scores.c.domain, scores.c.score, scores.c.priority, scores.c.complete),
        "leads": select(leads.c.domain, leads.c.score, leads.c.dynamics_state, leads.c.referral_id),
        "records": select(crm_records.c.table_name, crm_records.c.external_id, crm_records.c.state),
    }
    with store.read() as connection:
        return {name: sorted(map(tuple, connection.execute(query)), key=str) for name, query in queries.items()}


def crm_rows(box: RunningSandbox) -> dict[str, list[dict[str, Any]]]:
    """Every row the organisation holds."""
    return {t: box.call("GET", f"/dataverse/tables/{t}/rows", limit=100_000)["rows"] for t in TABLES}


def crm_writes(box: RunningSandbox) -> dict[str, Any]:
    """What was written in the organisation since the last look."""
    counted = box.call("GET", "/dataverse/counters")["writes"]
    box.call("DELETE", "/dataverse/counters")
    return dict(counted)


def check(store: Store, box: RunningSandbox, **options: Any) -> None:
    """Assert the invariants I1 to I7 over the store, Partner Center and the organisation."""
    from hunter_orchestration.partner_center.resource import parse_stamp

    served = [(r["id"], parse_stamp(r["updatedDateTime"])) for r in box.referrals() if r["kind"] != "microsoft_side"]
    wrong = invariants.broken(store, crm_rows(box), served=served, **options)
    assert not wrong, "\n".join(wrong)


def settles(store: Store, box: RunningSandbox, settings: Settings, *, crashes: int = 0) -> None:
    """Assert I8: a clean run converges, and the one after it writes nothing here or there."""
    leases_end(store)
    run(store, settings, "clean")
    crm_writes(box)
    before, ledger = contents(store), invariants.ledger_digest(store)
    again = run(store, settings, "repeat")
    assert crm_writes(box) == {}
    assert again["raw_leads"].counts["stored"] == 0
    assert contents(store) == before
    assert invariants.ledger_digest(store) == ledger
    check(store, box, crashes=crashes)


def _main() -> None:
    settings = load_settings()
    store = Store(settings.store_url)
    upgrade(store)
    run(store, settings, f"process-{os.getpid()}")
    store.close()


if __name__ == "__main__":
    _main()
