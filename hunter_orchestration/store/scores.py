"""Scores: what is due, what they are computed from, writing them, and how they turned out."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, RowMapping, and_, case, func, or_, select, update

from hunter_orchestration.store.tables.companies import companies
from hunter_orchestration.store.tables.crm import crm_audit, crm_records
from hunter_orchestration.store.tables.scans import scans
from hunter_orchestration.store.tables.scores import score_history, scores
from hunter_orchestration.store.upsert import insert, upsert
from hunter_orchestration.store.work import Window

_SCAN_COLUMNS = [column for column in scans.c if column.name not in ("id", "domain", "findings")]


def mark_other_rules(connection: Connection, rules_version: str, now: datetime) -> int:
    """Make every company due whose score comes from other rules, unless it is merged; returns how many."""
    # The merged ones are few: as a condition of the update, or with IS NOT NULL, SQLite would read every company.
    merged = select(companies.c.domain).where(companies.c.merged_into > "")
    other = select(scores.c.domain).where(
        or_(scores.c.rules_version < rules_version, scores.c.rules_version > rules_version),
        scores.c.domain.not_in(merged),
    )
    return connection.execute(
        update(companies)
        .where(companies.c.domain.in_(other), companies.c.score_due_at.is_(None))
        .values(score_due_at=now)
    ).rowcount


def due(connection: Connection, limit: int) -> Sequence[RowMapping]:
    """Companies whose score is due, with all a score is computed from."""
    return _with_inputs(connection, companies.c.score_due_at.is_not(None), companies.c.score_due_at, limit)


def of_window(connection: Connection, window: Window, after: str, limit: int) -> Sequence[RowMapping]:
    """Companies active in a window, by domain, from the one behind ``after``."""
    inside = and_(
        companies.c.activity_at >= window.start, companies.c.activity_at < window.end, companies.c.domain > after
    )
    return _with_inputs(connection, inside, companies.c.domain, limit)


def of_domains(connection: Connection, domains: Iterable[str]) -> Sequence[RowMapping]:
    """Named companies, with all a score is computed from."""
    names = list(domains)
    return _with_inputs(connection, companies.c.domain.in_(names), companies.c.domain, len(names))


def all_inputs(connection: Connection, after: str, limit: int) -> Sequence[RowMapping]:
    """Inputs that current scores were computed from, by domain, from the one behind ``after``; none that is merged."""
    merged = select(companies.c.domain).where(companies.c.merged_into > "")
    return (
        connection.execute(
            select(scores.c.domain, scores.c.inputs, scores.c.score, scores.c.priority)
            .where(scores.c.domain > after, scores.c.domain.not_in(merged))
            .order_by(scores.c.domain)
            .limit(limit)
        )
        .mappings()
        .all()
    )


def _with_inputs(connection: Connection, condition: Any, order: Any, limit: int) -> Sequence[RowMapping]:
    query = (
        select(
            companies.c.domain, companies.c.tenant_id.label("stated_tenant_id"), companies.c.has_open_co_sell,
            companies.c.score_due_at, companies.c.merged_into, scans.c.id.label("scan_id"), *_SCAN_COLUMNS,
            scores.c.rules_version, scores.c.input_hash, scores.c.score, scores.c.priority,
            scores.c.changed_at.label("score_changed_at"), scores.c.priority_since,
        )
        .select_from(
            companies.outerjoin(scans, and_(scans.c.domain == companies.c.domain, scans.c.is_current)).outerjoin(
                scores, scores.c.domain == companies.c.domain
            )
        )
        .where(condition)
        .order_by(order)
        .limit(limit)
    )  # fmt: skip
    return connection.execute(query).mappings().all()


def save(connection: Connection, rows: Sequence[Mapping[str, Any]], moved: Sequence[Mapping[str, Any]]) -> None:
    """Write scores by company, and a line of history for each that moved."""
    upsert(connection, scores, rows, key=("domain",))
    if moved:
        connection.execute(insert(connection, score_history), [dict(row) for row in moved])


def clear_due(connection: Connection, stamps: Mapping[str, datetime]) -> None:
    """Take companies off the work list, except those that became due again since they were read.

    The stage upstream stamps whole chunks at once, so a statement for each distinct stamp is far less than one a row.
    """
    by_stamp: dict[datetime, list[str]] = defaultdict(list)
    for domain, stamp in stamps.items():
        by_stamp[stamp].append(domain)
    for stamp, domains in by_stamp.items():
        connection.execute(
            update(companies)
            .where(companies.c.domain.in_(domains), companies.c.score_due_at == stamp)
            .values(score_due_at=None)
        )


def mark_push_due(connection: Connection, domains: Sequence[str], now: datetime) -> None:
    """Make companies due for the CRM."""
    if domains:
        connection.execute(update(companies).where(companies.c.domain.in_(domains)).values(push_due_at=now))


def outcomes(connection: Connection) -> Sequence[RowMapping]:
    """How many opportunities were won and lost, by the priority and the score band of ten their lead had.

    The score is the one that stood when the opportunity was first sent, since winning it changes the score (the
    tenant becomes known). Where the audit doesn't reach back so far, the earliest score kept stands for it. The bands
    start at 0, 10, …, 90; the last one holds 100.
    """
    sent = (
        select(func.min(crm_audit.c.at))
        .where(
            crm_audit.c.company_domain == crm_records.c.company_domain,
            crm_audit.c.table_name == crm_records.c.table_name,
            crm_audit.c.external_id == crm_records.c.external_id,
        )
        .correlate(crm_records)
        .scalar_subquery()
    )
    kept = select(score_history.c.id).where(score_history.c.domain == crm_records.c.company_domain)
    then = kept.where(score_history.c.at <= sent).order_by(score_history.c.at.desc(), score_history.c.id.desc())
    earliest = kept.order_by(score_history.c.at, score_history.c.id)
    chosen = func.coalesce(
        then.limit(1).correlate(crm_records).scalar_subquery(),
        earliest.limit(1).correlate(crm_records).scalar_subquery(),
    )
    decided = (
        select(crm_records.c.company_domain, crm_records.c.crm_state, chosen.label("history_id"))
        .where(crm_records.c.table_name == "opportunity", crm_records.c.crm_state.in_(("won", "lost")))
        .subquery()
    )
    value = func.coalesce(score_history.c.score, scores.c.score)
    judged = (
        select(
            func.coalesce(score_history.c.priority, scores.c.priority).label("priority"),
            case((value >= 90, 90), else_=value // 10 * 10).label("band"),
            decided.c.crm_state,
        )
        .select_from(
            decided.outerjoin(score_history, score_history.c.id == decided.c.history_id).outerjoin(
                scores, scores.c.domain == decided.c.company_domain
            )
        )
        .where(value.is_not(None))
        .subquery()
    )
    columns = (judged.c.priority, judged.c.band, judged.c.crm_state)
    query = select(*columns, func.count().label("records")).group_by(*columns).order_by(*columns)
    return connection.execute(query).mappings().all()
