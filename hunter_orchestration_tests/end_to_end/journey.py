"""What every installation must do, whatever it stands on: the tests that the files of this folder share."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator, Mapping
from typing import Any

import psycopg2

from hunter_orchestration.commands.installation import Installation, until
from hunter_orchestration.sandbox.running import RunningSandbox

DOMAIN = "yeni-musteri.example"
PERSON = "ayse.yeni@yeni-musteri.example"
FIRST_VALUE, SECOND_VALUE = 41_000, 96_500
SOON = 75
"""Seconds within which a change must be seen everywhere: the sensor's 30, a run, and this machine's other work."""


def add_referral(box: RunningSandbox, domain: str = DOMAIN, person: str = PERSON) -> str:
    """A company that nobody knew asks for help; its mail is with Google."""
    box.records(domain, {"MX": [[1, "smtp.google.com"]], "TXT": ["v=spf1 include:_spf.google.com ~all"]})
    added = box.add_referral(
        kind="cosell_in_active",
        changes={
            "customerProfile": {
                "name": "Yeni Müşteri A.Ş.",
                "address": {"city": "İzmir", "country": "TR"},
                "team": [{"firstName": "Ayşe", "lastName": "Yeni", "email": person, "phoneNumber": "+902325550101"}],
                "ids": [],
            },
            "details": {"dealValue": FIRST_VALUE, "currency": "EUR", "notes": "Wants to leave Google."},
        },
    )
    return str(added["id"])


def row(box: RunningSandbox, table: str, external_id: str) -> dict[str, Any] | None:
    """The CRM's own row of ours, if it holds one; more than one is an error by itself."""
    found = box.call("GET", f"/dataverse/tables/{table}/rows", external_id=external_id)["rows"]
    assert len(found) <= 1, f"{table} {external_id} is in the CRM {len(found)} times"
    return dict(found[0]) if found else None


def writes(box: RunningSandbox) -> dict[str, Any]:
    """What was written in the CRM since the last look, by table."""
    counted = box.call("GET", "/dataverse/counters")["writes"]
    box.call("DELETE", "/dataverse/counters")
    return dict(counted)


def _a_referral_is_seen_by_itself(installation: Installation, box: RunningSandbox) -> str:
    """Add a referral and touch nothing: the lead is in the API, scored, and its records are in the CRM."""
    until(lambda: installation.get("/runs", limit=5)["items"], SOON, "the first sync, started by the sensor")
    installation.quiet(4 * SOON)
    referral = add_referral(box)

    def synced() -> dict[str, Any] | None:
        found = installation.lead(DOMAIN)
        return found if found and found["dynamics"]["state"] == "synced" else None

    found = until(synced, SOON, "the lead, scored and in Dynamics")
    assert found is not None
    assert found["company"]["name"] == "Yeni Müşteri A.Ş."
    assert found["lead"]["provider"] == "Google"
    assert found["lead"]["deal_value"] == FIRST_VALUE
    assert found["score"]["score"] > 0
    lead, deal = row(box, "lead", DOMAIN), row(box, "opportunity", referral)
    assert lead is not None
    assert deal is not None
    assert lead["hnt_finalscore"] == found["score"]["score"]
    assert lead["emailaddress1"] == PERSON
    assert deal["estimatedvalue"] == FIRST_VALUE
    assert row(box, "account", DOMAIN) is not None
    return referral


def _a_change_is_seen_in_both(installation: Installation, box: RunningSandbox, referral: str) -> None:
    """Change the referral and press "Sync now": the API and the CRM follow."""
    changed = box.referral(referral)["details"] | {"dealValue": SECOND_VALUE}
    box.change_referral(referral, {"details": changed})
    installation.sync()

    def followed() -> bool:
        found, deal = installation.lead(DOMAIN), row(box, "opportunity", referral)
        assert found is not None
        return found["lead"]["deal_value"] == SECOND_VALUE and (deal or {}).get("estimatedvalue") == SECOND_VALUE

    until(followed, SOON, "the new deal value in the API and in the CRM")


def _the_next_run_writes_nothing(installation: Installation, box: RunningSandbox) -> None:
    """With nothing changed a run of the whole chain sends no write and changes no lead."""
    installation.quiet()
    installation.sync()
    before = installation.get("/leads", limit=200)
    writes(box)
    run = installation.sync()
    assert run["state"] == "succeeded", run
    assert writes(box) == {}
    assert installation.get("/leads", limit=200) == before
    counts = {stage["kind"]: stage["counts"] for stage in run["stages"]}
    assert set(counts) == {"raw_leads", "referrals", "companies", "domain_scans", "lead_scores", "dynamics_records"}
    assert not counts["raw_leads"].get("stored"), counts


def test_a_referral_travels_by_itself_and_a_repeat_writes_nothing(
    installation: Installation, box: RunningSandbox
) -> None:
    referral = _a_referral_is_seen_by_itself(installation, box)
    _a_change_is_seen_in_both(installation, box, referral)
    _the_next_run_writes_nothing(installation, box)


def test_a_run_whose_process_was_killed_is_finished_without_a_person(
    installation: Installation, box: RunningSandbox
) -> None:
    """kill -9 of the process of a run, while it waits for Partner Center: nobody has to help."""
    installation.quiet()
    referral = add_referral(box, "kesinti.example", "can@kesinti.example")
    slow = box.fault("partner_center", "slow", times=None, seconds=5)

    def stage_under_way() -> str | None:
        running: list[dict[str, Any]] = installation.get("/status")["running"]
        return next((stage["run_id"] for stage in running if stage["kind"] == "raw_leads"), None)

    run_id = until(stage_under_way, SOON, "a run that fetches")
    for worker in installation.run_workers():
        worker.kill()
    box.call("DELETE", f"/faults/{slow}")
    until(lambda: row(box, "opportunity", referral), 2 * SOON, "what the killed run had begun")
    assert installation.get(f"/runs/{run_id}")["state"] == "failed"


CANARY = "canary-8f1c2e-never-shown"
_TOKEN = re.compile(rb"eyJ[A-Za-z0-9_-]{16,}\.eyJ[A-Za-z0-9_-]{16,}")


def test_no_secret_is_in_any_file_database_or_answer(installation: Installation, box: RunningSandbox) -> None:
    """After runs that went well and one that met broken answers, no secret is in a file, a database or an answer."""
    box.fault("entra", "status", times=2, status=500)
    box.fault("partner_center", "half_body", times=2)
    installation.sync()
    box.clear()
    secrets = [CANARY, box.client_secret, installation.environment["HUNTER_REFRESH_TOKEN"]]
    told = {str(path): path.read_bytes() for path in installation.home.rglob("*") if path.is_file()}
    told |= {
        path: installation.ask("GET", path).content
        for path in ("/api/v1/status", "/api/v1/runs", "/api/v1/syncs", "/api/openapi.json", "/api/v1/none", "/")
    }
    told |= dict(_dumps(installation.environment))
    assert len(told) > 20
    shown = [name for name, content in told.items() if any(secret.encode() in content for secret in secrets)]
    shown += [name for name, content in told.items() if _TOKEN.search(content)]
    assert shown == []


def _dumps(environment: Mapping[str, str]) -> Iterator[tuple[str, bytes]]:
    """Every table of the PostgreSQL databases of an installation, as text."""
    if "DAGSTER_PG_DB" not in environment:
        return
    for database in (environment["DAGSTER_PG_DB"], environment["HUNTER_DATABASE_URL"].rpartition("/")[2]):
        connection = psycopg2.connect(
            host=environment["DAGSTER_PG_HOST"],
            port=environment["DAGSTER_PG_PORT"],
            user=environment["DAGSTER_PG_USER"],
            dbname=database,
        )
        with connection, connection.cursor() as cursor:
            cursor.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
            for (table,) in cursor.fetchall():
                text = io.BytesIO()
                cursor.copy_expert(f'COPY "{table}" TO STDOUT', text)
                yield f"{database}.{table}", text.getvalue()
        connection.close()
