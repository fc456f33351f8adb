"""What people decide about CRM records: which row is meant, try again, create again, merge, qualify, win, lose.

Each decision is audited under the name of who made it. Actions that can't be repeated are looked up before they are
done, and looked up again when no answer came.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from hunter_orchestration.dynamics.client import DataverseClient
from hunter_orchestration.dynamics.items import Held
from hunter_orchestration.dynamics.mapping import TABLES
from hunter_orchestration.dynamics.refusals import CrmRefusedError, UnreachableError
from hunter_orchestration.dynamics.search import CrmRow, by_ids
from hunter_orchestration.dynamics.session import Session, audit_entry, opened
from hunter_orchestration.dynamics.values import clean, clip, hash_of
from hunter_orchestration.errors import HunterError, PermanentError
from hunter_orchestration.settings import Settings
from hunter_orchestration.store import Store, crm, leads, runs
from hunter_orchestration.store.work import utc_now

_QUALIFIED = 3
_WON, _CANCELED = 3, 4
_SUBJECT = 200
"""Length of an activity's subject (contract section 11, Errors)."""


class NoSuchRecordError(PermanentError):
    """The ledger has no such record, or it is not in the CRM."""


class NotPossibleError(PermanentError):
    """The decision does not fit the state of the record."""


def resolve_conflict(
    store: Store, settings: Settings, table: str, external_id: str, crm_id: str | None, *, actor: str
) -> dict[str, Any]:
    """Say which of the candidates a record is; ``None`` has the next push make a new one. Returns the ledger row.

    Raises:
        NoSuchRecordError: unknown record. NotPossibleError: it is no conflict, or the row is no candidate.
    """
    with store.write() as connection:
        record = _known(crm.record(connection, table, external_id), table, external_id)
        if record["state"] != "conflict":
            raise NotPossibleError(f"The {table} {external_id} is {record['state']}, not a conflict.")
        crm_id = crm_id.strip().lower() if crm_id else None
        offered = {c.get("crm_id") for c in record["candidates"] or ()}
        if crm_id is not None and crm_id not in offered:
            raise NotPossibleError(f"{crm_id} is none of the candidates of the {table} {external_id}.")
        record.update(
            crm_id=crm_id, crm_version=None, observed=None, acknowledged={}, acknowledged_hash=hash_of({}),
            state="pending", error_code=None if crm_id else "create_new", error=None, fix=None, candidates=None,
            next_attempt_at=None, changed_at=utc_now(), wanted_hash=None,
        )  # fmt: skip
        crm.save(connection, [record])
        crm.audit(
            connection,
            [audit_entry(record, actor, "choose", "confirmed", detail=f"chosen: {crm_id or 'a new record'}")],
        )
        crm.mark_due(connection, [record["company_domain"]])
        leads.refresh_crm_states(connection, [record["company_domain"]])
    return record


def retry(store: Store, domains: Sequence[str] | None = None, *, actor: str = "hunter") -> int:
    """Have the next push try rejected and deferred records again, of some companies or of all; how many companies."""
    with store.write() as connection:
        found = crm.reset_attempts(connection, ["rejected", "deferred"], domains)
        crm.mark_due(connection, found)
        leads.refresh_crm_states(connection, found)
        if found:
            runs.emit(connection, "leads_changed", None, {"domains": sorted(found)[:100], "count": len(found)})
    return len(found)


def recreate(store: Store, table: str, external_id: str, *, actor: str) -> dict[str, Any]:
    """Have the next push create a record again that somebody deleted in the CRM. Returns the ledger row.

    Raises:
        NoSuchRecordError, NotPossibleError: unknown, or not deleted.
    """
    with store.write() as connection:
        record = _known(crm.record(connection, table, external_id), table, external_id)
        if record["state"] != "deleted_in_crm":
            raise NotPossibleError(f"The {table} {external_id} is {record['state']}, not deleted in the CRM.")
        record.update(
            crm_id=None, crm_version=None, observed=None, acknowledged={}, acknowledged_hash=hash_of({}),
            crm_state=None, state="pending", error_code=None, error=None, fix=None, next_attempt_at=None,
            changed_at=utc_now(),
        )  # fmt: skip
        crm.save(connection, [record])
        crm.audit(connection, [audit_entry(record, actor, "recreate", "confirmed", detail="asked for again")])
        crm.mark_due(connection, [record["company_domain"]])
        leads.refresh_crm_states(connection, [record["company_domain"]])
    return record


def qualify(
    store: Store, settings: Settings, domain: str, *, actor: str, client: DataverseClient | None = None
) -> dict[str, Any]:
    """Qualify a company's lead through QualifyLead. Its account and contact are used where they are in the CRM; an
    opportunity is made only when none of ours is there. Returns the ledger row of the lead.

    Raises:
        NoSuchRecordError, NotPossibleError: not in the CRM, or closed. As ``stage.push`` for the organisation.
    """
    with opened(store, settings, actor=actor, client=client) as session:
        lead = _in_crm(store, "lead", domain)
        row = _row(session, "lead", lead)
        if row.statecode == 1:
            return _learn(session, "lead", lead, row, "qualify", "recovered")
        if row.statecode:
            raise NotPossibleError(f"The lead {domain} is closed in the CRM.", "Reopen it there first.")
        with store.read() as connection:
            there = [
                row for row in crm.ledger(connection, [domain], []).values()
                if row["crm_id"] and row["state"] != "deleted_in_crm"
            ]  # fmt: skip
            held = {t: [row for row in there if row["table_name"] == t] for t in TABLES}
        body: dict[str, Any] = {
            "CreateAccount": not held["account"],
            "CreateContact": not held["contact"],
            "CreateOpportunity": not held["opportunity"],
            "Status": _QUALIFIED,
        }
        if held["account"]:
            account = {"@odata.type": "Microsoft.Dynamics.CRM.account", "accountid": held["account"][0]["crm_id"]}
            body["OpportunityCustomerId"] = account
        entity_set = session.organisation.metadata.tables["lead"].entity_set
        _act(session, f"{entity_set}({row.id})/Microsoft.Dynamics.CRM.QualifyLead", body, lead, "qualify")
        row = _row(session, "lead", lead)
        if row.statecode != 1:
            raise UnreachableError(f"The lead {domain} is not qualified in the CRM.", "Try again.")
        return _learn(session, "lead", lead, row, "qualify", "confirmed")


def close_opportunity(
    store: Store,
    settings: Settings,
    referral_id: str,
    *,
    won: bool,
    actor: str,
    reason: str = "",
    client: DataverseClient | None = None,
) -> dict[str, Any]:
    """Win or lose an opportunity because a person says so. Returns its ledger row.

    Raises:
        NoSuchRecordError, NotPossibleError: not in the CRM, or closed the other way.
    """
    with opened(store, settings, actor=actor, client=client) as session:
        record = _in_crm(store, "opportunity", referral_id)
        row = _row(session, "opportunity", record)
        operation, wanted = ("won", 1) if won else ("lost", 2)
        if row.statecode == wanted:
            return _learn(session, "opportunity", record, row, operation, "recovered")
        if row.statecode:
            raise NotPossibleError(f"The opportunity {referral_id} is closed in the CRM.", "Reopen it there first.")
        entity_set = session.organisation.metadata.tables["opportunity"].entity_set
        words = clean(reason) or ("Won" if won else "Lost")
        activity = {"subject": clip(" ".join(words.split()), _SUBJECT)}
        if activity["subject"] != words:
            activity["description"] = words
        activity["opportunityid@odata.bind"] = f"/{entity_set}({row.id})"
        body = {"Status": _WON if won else _CANCELED, "OpportunityClose": activity}
        name = "WinOpportunity" if won else "LoseOpportunity"
        _act(session, name, body, record, operation)
        row = _row(session, "opportunity", record)
        if row.statecode != wanted:
            raise UnreachableError(f"The opportunity {referral_id} is still open in the CRM.", "Try again.")
        return _learn(session, "opportunity", record, row, operation, "confirmed")


def merge_accounts(
    store: Store, settings: Settings, loser: str, winner: str, *, actor: str, client: DataverseClient | None = None
) -> dict[str, Any]:
    """Merge a company's account into another's through the Merge action. Returns the ledger row of the loser, which
    follows the winner from now on.

    Raises:
        NoSuchRecordError, NotPossibleError: one is not in the CRM, or they are one already.
    """
    with opened(store, settings, actor=actor, client=client) as session:
        record, target = _in_crm(store, "account", loser), _in_crm(store, "account", winner)
        if record["crm_id"] == target["crm_id"]:
            return record
        row = _row(session, "account", record)
        if row.master is None:
            kind = {"@odata.type": "Microsoft.Dynamics.CRM.account"}
            body = {
                "Target": {**kind, "accountid": target["crm_id"]},
                "Subordinate": {**kind, "accountid": record["crm_id"]},
                "PerformParentingChecks": False,
            }
            _act(session, "Merge", body, record, "merge")
            row = _row(session, "account", record)
        if row.master != target["crm_id"]:
            raise UnreachableError(f"The account {loser} is not merged in the CRM.", "Try again.")
        record.update(state="skipped", error_code="merged_in_crm", error=None, fix="merged_in_crm")
        found = _row(session, "account", target)
        result = _learn(session, "account", record, found, "merge", "confirmed")
        with store.write() as connection:
            crm.mark_due(connection, [loser, winner])
        return result


def _act(session: Session, path: str, body: Mapping[str, Any], record: Mapping[str, Any], operation: str) -> None:
    """One action, audited before it is sent. A lost answer is left to the caller, who looks at the row."""

    def audited(outcome: str, detail: str | None = None, **more: Any) -> None:
        with session.store.write() as connection:
            crm.audit(connection, [session.entry(record, operation, outcome, detail=detail, **more)])

    audited("sent")
    try:
        session.client.post(path, body)
    except CrmRefusedError as error:
        audited("rejected", error.refusal.message, code=error.refusal.code, status=error.refusal.status)
        raise
    except UnreachableError:
        audited("unknown", "no answer; the row was looked at")
    except HunterError as error:
        audited("deferred", error.message)
        raise


def _learn(
    session: Session, table: str, record: dict[str, Any], row: CrmRow, operation: str, outcome: str
) -> dict[str, Any]:
    held = Held.from_row(session.organisation.renderers[table], row, record["external_id"], record["observed"])
    record.update(held.ledger_values(table))
    record.update(changed_at=utc_now(), lease_token=session.token, synced_at=utc_now())
    with session.store.write() as connection:
        session.renew(connection)
        crm.save(connection, [record])
        crm.audit(connection, [session.entry(record, operation, outcome)])
        leads.refresh_crm_states(connection, [record["company_domain"]])
        runs.emit(connection, "leads_changed", record["company_domain"], {"count": 1})
    return record


def _known(record: dict[str, Any] | None, table: str, external_id: str) -> dict[str, Any]:
    if record is None:
        raise NoSuchRecordError(f"Hunter knows no {table} {external_id} in the CRM.", "Push the company first.")
    return record


def _in_crm(store: Store, table: str, external_id: str) -> dict[str, Any]:
    with store.read() as connection:
        record = _known(crm.record(connection, table, external_id), table, external_id)
    if not record["crm_id"] or record["state"] == "deleted_in_crm":
        raise NoSuchRecordError(f"The {table} {external_id} is not in the CRM.", "Push the company first.")
    return record


def _row(session: Session, table: str, record: Mapping[str, Any]) -> CrmRow:
    row = by_ids(session.client, session.organisation.renderers[table], [record["crm_id"]]).get(record["crm_id"])
    if row is None:
        raise NoSuchRecordError(f"The {table} {record['external_id']} was deleted in the CRM.", "Pull, then decide.")
    return row
