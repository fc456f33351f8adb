"""What holds after every fault (I1 to I8): one function over the store and over what the services really hold."""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

import orjson
from sqlalchemy import func, select

from hunter_orchestration.dynamics.mapping import TABLES, load_mapping
from hunter_orchestration.dynamics.values import hash_of, same
from hunter_orchestration.store import Store, runs
from hunter_orchestration.store.tables.companies import companies
from hunter_orchestration.store.tables.crm import crm_audit, crm_records
from hunter_orchestration.store.tables.ingestion import quarantine, raw_leads
from hunter_orchestration.store.tables.leads import lead_counts, leads
from hunter_orchestration.store.tables.referrals import referrals
from hunter_orchestration.store.tables.scores import scores

STATES = {"pending", "in_progress", "synced", "rejected", "deferred", "conflict", "deleted_in_crm", "skipped"}
_WORST_FIRST = ("conflict", "rejected", "deferred", "in_progress", "pending", "deleted_in_crm", "synced", "skipped")
_MAPPED = load_mapping(None).mapping.tables
_NO_ATTEMPT = {"read", "choose", "recreate"}


def broken(
    store: Store,
    rows: Mapping[str, Sequence[Mapping[str, Any]]],
    *,
    typed: Mapping[tuple[str, str, str], Any] | None = None,
    fresh: bool = True,
    settled: bool = True,
    crashes: int = 0,
    served: Iterable[tuple[str, datetime]] = (),
) -> list[str]:
    """Sentences about what does not hold; none when all is well.

    Args:
        rows: every row the CRM holds, by table.
        typed: what salespeople typed last: (table, row id, column) to value.
        fresh: nobody changed the CRM since the last pull, so that the ledger must know all of it.
        settled: no push is under way or was killed, so that nothing may be in progress.
        crashes: how many pushes were killed and not yet followed by a clean one.
        served: (id, updated) of every referral Partner Center holds.
    """
    wrong: list[str] = []
    with store.read() as connection:
        ledger = [dict(r) for r in connection.execute(select(crm_records)).mappings()]
        audit = [dict(r) for r in connection.execute(select(crm_audit).order_by(crm_audit.c.id)).mappings()]
    wrong += _claims(ledger, rows, fresh)
    wrong += _keys(rows)
    wrong += _typed(rows, typed or {})
    wrong += _watermark(store, list(served))
    wrong += _eligible(store, ledger, settled)
    wrong += _attempts(audit, ledger, crashes)
    wrong += _page(store, ledger)
    return wrong


def ledger_digest(store: Store) -> str:
    """Changes with any ledger row, audit entry or due stamp: equal before and after a run that wrote nothing (I8)."""
    with store.read() as connection:
        facts = [
            [list(map(str, r)) for r in connection.execute(select(crm_records).order_by(*crm_records.primary_key))],
            connection.execute(select(func.count()).select_from(crm_audit)).scalar_one(),
            [list(map(str, r)) for r in connection.execute(
                select(companies.c.domain, companies.c.push_due_at).order_by(companies.c.domain))],
        ]  # fmt: skip
    return hashlib.sha256(orjson.dumps(facts)).hexdigest()


def _claims(ledger: list[dict[str, Any]], rows: Mapping[str, Any], fresh: bool) -> Iterable[str]:
    """I1: every record shown synced exists in the CRM, with the fields we say it has."""
    found = {(t, r[f"{t}id"]): r for t, some in rows.items() for r in some}
    fields = {t: _MAPPED[t].fields for t in TABLES}
    for record in ledger:
        if record["state"] != "synced":
            continue
        name = f"{record['table_name']} {record['external_id']}"
        row = found.get((record["table_name"], record["crm_id"]))
        if row is None:
            if fresh:
                yield f"I1: {name} is shown synced, and the CRM has no such row"
            continue
        if record["acknowledged_hash"] != hash_of(record["acknowledged"] or {}):
            yield f"I1: {name}: the acknowledged hash is not that of the acknowledged fields"
        if record["crm_version"] != row["@odata.etag"]:
            if fresh:
                yield f"I1: {name} is known in version {record['crm_version']}, the CRM has {row['@odata.etag']}"
            continue
        for field, mapped in fields[record["table_name"]].items():
            if mapped.transform == "now":
                continue
            value = row.get(_property(field) if mapped.transform in ("lookup", "currency") else field)
            if not same((record["observed"] or {}).get(field), value):
                yield f"I1: {name}.{field}: we say {record['observed'].get(field)!r}, the CRM has {value!r}"
            if field in (record["acknowledged"] or {}) and not same(record["acknowledged"][field], value):
                yield f"I1: {name}.{field} counts as confirmed, and the CRM has {value!r}"


def _property(navigation: str) -> str:
    return f"_{navigation.removesuffix('_account').removesuffix('_contact')}_value"


def _keys(rows: Mapping[str, Any]) -> Iterable[str]:
    """I2: at most one row per external key."""
    for table, some in rows.items():
        counted = Counter(r["hnt_externalid"].lower() for r in some if r.get("hnt_externalid"))
        for key, number in counted.items():
            if number > 1:
                yield f"I2: the CRM has {number} rows of {table} with the key {key}"


def _typed(rows: Mapping[str, Any], typed: Mapping[tuple[str, str, str], Any]) -> Iterable[str]:
    """I3: what a salesperson typed into a field that is the CRM's is still there."""
    found = {(t, r[f"{t}id"]): r for t, some in rows.items() for r in some}
    for (table, row_id, column), value in typed.items():
        mapped = _MAPPED[table].fields.get(column)  # type: ignore[index]
        row = found.get((table, row_id))
        theirs = mapped is None or mapped.rule in ("crm-wins-unless-empty", "create-only")
        if theirs and row is not None and value is not None and not same(row.get(column), value):
            yield f"I3: {table} {row_id}.{column} was typed as {value!r} and is {row.get(column)!r}"


def _watermark(store: Store, served: list[tuple[str, datetime]]) -> Iterable[str]:
    """I4: the watermark passed no referral that is neither stored nor quarantined."""
    if not served:
        return
    with store.read() as connection:
        value = runs.read_watermark(connection, "partnercenter", "referrals")
        known = set(connection.execute(select(referrals.c.id)).scalars())
        known |= set(connection.execute(select(quarantine.c.external_id)).scalars())
        # Stored as it came and not read yet: the next run reads it.
        waits = raw_leads.c.processed_at.is_(None)
        known |= set(connection.execute(select(raw_leads.c.external_id).where(waits)).scalars())
    if value is None:
        return
    mark = datetime.fromisoformat(value)
    for referral_id, updated in served:
        if updated < mark and referral_id not in known:
            yield f"I4: the watermark {value} passed the referral {referral_id}, which nobody has"


def _eligible(store: Store, ledger: list[dict[str, Any]], settled: bool) -> Iterable[str]:
    """I5: every company that may be pushed is accounted for, in one state or another."""
    for record in ledger:
        if record["state"] not in STATES:
            yield f"I5: {record['table_name']} {record['external_id']} is {record['state']}"
        if settled and record["state"] == "in_progress":
            yield f"I5: {record['table_name']} {record['external_id']} is in progress, and nobody works on it"
    with store.read() as connection:
        query = select(companies.c.domain).join(scores, scores.c.domain == companies.c.domain)
        query = query.where(companies.c.merged_into.is_(None), companies.c.push_due_at.is_(None))
        eligible = set(connection.execute(query).scalars())
    accounted = {r["company_domain"] for r in ledger}
    for domain in sorted(eligible - accounted)[:5]:
        yield f"I5: {domain} is eligible and not due, and the ledger knows nothing of it"


def _attempts(audit: list[dict[str, Any]], ledger: list[dict[str, Any]], crashes: int) -> Iterable[str]:
    """I6: each attempt stands in the audit before it is made, and what became of it after."""
    by_record: dict[tuple[str, str], list[dict[str, Any]]] = defaultdict(list)
    for entry in audit:
        if entry["operation"] not in _NO_ATTEMPT:
            by_record[entry["table_name"], entry["external_id"]].append(entry)
    open_attempts = 0
    for identity, entries in by_record.items():
        under_way = False
        sent = False
        for entry in entries:
            if entry["outcome"] == "sent":
                open_attempts += under_way
                under_way = sent = True
                continue
            if not sent:
                yield f"I6: {identity} has {entry['outcome']} in the audit before any attempt"
            under_way = False
        open_attempts += under_way
    if open_attempts and not crashes:
        yield f"I6: {open_attempts} attempt(s) have no outcome in the audit"
    for record in ledger:
        identity = (record["table_name"], record["external_id"])
        if record["synced_at"] is not None and not by_record.get(identity):
            yield f"I6: {identity} was synced without an attempt in the audit"


def _page(store: Store, ledger: list[dict[str, Any]]) -> Iterable[str]:
    """I7: the page's numbers are the store's."""
    states: dict[str, list[str]] = defaultdict(list)
    for record in ledger:
        states[record["company_domain"]].append(record["state"])
    with store.read() as connection:
        shown = {r.domain: r.dynamics_state for r in connection.execute(select(leads.c.domain, leads.c.dynamics_state))}
        counted = connection.execute(select(func.sum(lead_counts.c.leads))).scalar_one() or 0
    for domain, state in shown.items():
        true = min(states[domain], key=_WORST_FIRST.index) if states.get(domain) else "not_pushed"
        if state != true:
            yield f"I7: the page shows {domain} as {state}, the ledger says {true}"
    if int(counted) != len(shown):
        yield f"I7: the page counts {counted} leads, there are {len(shown)}"
