"""From rows of the store to answers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any
from urllib.parse import quote

from hunter_orchestration.partner_center.models import until_expiry
from hunter_orchestration.scoring import explanation, rules, what_if
from hunter_orchestration.settings import Settings
from hunter_orchestration.store import Connection, companies, lead_details, leads, page_state
from hunter_orchestration.store.lead_filters import NOT_SCORED
from hunter_orchestration.web import dagster_client, models

Row = Mapping[Any, Any]

_LEAD = tuple(models.Lead.model_fields)


def lead(row: Row) -> models.Lead:
    """A row of the list."""
    values = {name: row[name] for name in _LEAD}
    if values["priority"] == NOT_SCORED:
        values["priority"] = None
    if values["score"] < 0:
        values["score"] = None
    return models.Lead.model_construct(**values)


def _contact(row: Row) -> models.Person | None:
    for person in row["contacts"] or ():
        if isinstance(person, dict):
            name = " ".join(str(person[part]) for part in ("first_name", "last_name") if person.get(part))
            return models.Person(name=name or None, email=person.get("email"), phone=person.get("phone"))
    return None


def days_left(row: Row, now: datetime) -> int | None:
    """Whole days left to answer; only a New referral has any."""
    return until_expiry(row["expires_at"], now) if row["status"] == "New" else None


def _referral_values(row: Row, now: datetime) -> dict[str, Any]:
    made = ("days_left", "contact", "domain_shown")
    domain = row["company_domain"]
    return {name: row[name] for name in models.Referral.model_fields if name not in made} | {
        "days_left": days_left(row, now),
        "contact": _contact(row),
        "domain_shown": None if domain is None else leads.shown(domain),
    }


def referral(row: Row, now: datetime) -> models.Referral:
    """A referral of the inbox."""
    return models.Referral(**_referral_values(row, now))


def referral_detail(
    row: Row, now: datetime, history: Iterable[Row], actions: Iterable[Row] = (), allowed: Sequence[str] = ()
) -> models.ReferralDetail:
    """A referral whole."""
    own = ("history", "actions", "allowed_actions")
    more = {
        name: row[name]
        for name in models.ReferralDetail.model_fields
        if name not in models.Referral.model_fields and name not in own
    }
    return models.ReferralDetail(
        **_referral_values(row, now),
        **more,
        history=[models.ReferralChange.model_validate(dict(one)) for one in history],
        actions=[models.ReferralActed.model_validate(dict(one)) for one in actions],
        allowed_actions=list(allowed),
    )


def record_link(settings: Settings, table: str, crm_id: str | None) -> str | None:
    """Where the record opens in Dynamics."""
    if not crm_id or not settings.dynamics_url:
        return None
    return f"{settings.dynamics_url}/main.aspx?pagetype=entityrecord&etn={quote(table)}&id={quote(crm_id)}"


def crm_record(row: Row, settings: Settings) -> models.CrmRecord:
    """A ledger row."""
    values = {
        name: row[name]
        for name in models.CrmRecord.model_fields
        if name not in ("table", "domain", "link", "name", "priority", "candidates")
    }
    return models.CrmRecord(
        **values,
        table=row["table_name"],
        domain=row["company_domain"],
        name=row.get("name"),
        priority=row.get("priority"),
        link=record_link(settings, row["table_name"], row["crm_id"]),
        candidates=None if row["candidates"] is None else [_candidate(row, one, settings) for one in row["candidates"]],
    )


def _candidate(row: Row, one: Any, settings: Settings) -> Any:
    link = record_link(settings, row["table_name"], one.get("crm_id")) if isinstance(one, dict) else None
    return one | {"link": link} if link else one


def dynamics_status(connection: Connection, settings: Settings, domain: str) -> models.DynamicsStatus:
    """Everything about a company in Dynamics."""
    row = lead_details.lead(connection, domain)
    attempts = [
        models.CrmAttempt(
            table=one["table_name"],
            **{name: one[name] for name in models.CrmAttempt.model_fields if name != "table"},
        )
        for one in lead_details.crm_history(connection, domain)
    ]
    return models.DynamicsStatus(
        domain=domain,
        state=row["dynamics_state"] if row is not None else "not_pushed",
        enabled=settings.dynamics_enabled,
        records=[crm_record(one, settings) for one in lead_details.crm_rows(connection, domain)],
        merged_accounts=[crm_record(one, settings) for one in _merged_accounts(connection, domain)],
        history=attempts,
    )


def _merged_accounts(connection: Connection, domain: str) -> list[Row]:
    """A company that is merged away leaves its account behind: only a person may merge that, too."""
    losers = [one["loser"] for one in companies.merges_into(connection, domain)]
    return [
        row
        for loser in losers
        for row in lead_details.crm_rows(connection, loser)
        if row["table_name"] == "account" and row["state"] == "synced"
    ]


def score(row: Row, scan_row: Row | None, settings: Settings) -> models.Score:
    """A score, each point with its evidence, and what the unknown could still make of it."""
    values = {name: row[name] for name in models.Score.model_fields if name != "reach"}
    inputs = what_if.checked_inputs(row["inputs"])
    findings = None if scan_row is None else scan_row["findings"]
    try:
        in_force = rules.rules_to_show(settings.rules_file)
    except rules.RulesError:
        # A lead is shown whatever becomes of the rules file.
        values["breakdown"] = explanation.evidenced(row["breakdown"], findings)
        return models.Score(**values, reach=None)
    values["breakdown"] = explanation.evidenced(row["breakdown"], findings, inputs, in_force)
    return models.Score(**values, reach=explanation.reach(inputs, in_force))


def scan(connection: Connection, domain: str) -> models.Scan | None:
    """The current scan with the slow findings."""
    row = lead_details.scan(connection, domain)
    if row is None:
        return None
    details = {
        one["kind"]: models.SlowFinding(state=one["state"], facts=one["facts"], fetched_at=one["fetched_at"])
        for one in lead_details.slow_findings(connection, domain)
    }
    return models.Scan(**{name: row[name] for name in models.Scan.model_fields if name != "details"}, details=details)


def sync(row: Row) -> models.Sync:
    """A recorded stage."""
    return models.Sync(**{name: row[name] for name in models.Sync.model_fields})


def run(found: dagster_client.Run, connection: Connection, base_url: str) -> models.Run:
    """A run with what its stages recorded."""
    return runs([found], connection, base_url)[0]


def runs(found: Sequence[dagster_client.Run], connection: Connection, base_url: str) -> list[models.Run]:
    """Runs with what their stages recorded, one query for all."""
    stages: dict[str, list[models.Sync]] = {}
    for row in page_state.stages_of(connection, [one.id for one in found]) if found else ():
        stages.setdefault(row["run_id"], []).append(sync(row))
    answers = []
    for one in found:
        own = stages.get(one.id, [])
        error = next((stage.error for stage in own if stage.error), None)
        if error is None and one.state == "failed":
            error = "The run failed; its log in Dagster tells why."
        answers.append(
            models.Run(
                id=one.id,
                job=one.job,
                state=one.state,  # type: ignore[arg-type]
                started_at=one.started_at,
                finished_at=one.finished_at,
                requested_by=one.requested_by,
                steps=[models.Step(**step) for step in one.steps],
                stages=own,
                error=error,
                url=f"{base_url}/runs/{one.id}",
            )
        )
    return answers


def bulk(row: Row) -> models.Bulk:
    """An action over many leads."""
    counts = dict(row["counts"])
    counts["left"] = max(0, counts.get("total", 0) - counts.get("done", 0) - counts.get("failed", 0))
    return models.Bulk(**{name: row[name] for name in models.Bulk.model_fields if name != "counts"}, counts=counts)
