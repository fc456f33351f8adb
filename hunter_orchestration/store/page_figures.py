"""The figures above the lists: what needs somebody today, how much is open, how the engine has been running."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal

from sqlalchemy import Connection, RowMapping, case, func, select

from hunter_orchestration.store.lead_counting import count
from hunter_orchestration.store.lead_filters import LeadFilter
from hunter_orchestration.store.tables.crm import crm_differences, crm_records
from hunter_orchestration.store.tables.ingestion import imports, quarantine, watermarks
from hunter_orchestration.store.tables.leads import lead_counts, leads
from hunter_orchestration.store.tables.operations import events, sync_runs
from hunter_orchestration.store.tables.referrals import referrals
from hunter_orchestration.store.tables.scores import score_history


def data_version(connection: Connection) -> str:
    """Text that changes whenever a lead or anything the page was told of did; two index look-ups in one query."""
    newest, last = connection.execute(
        select(
            select(func.max(leads.c.changed_at)).scalar_subquery(),
            select(func.max(events.c.id)).scalar_subquery(),
        )
    ).one()
    return f"{newest.timestamp() if newest else 0}-{last or 0}"


def last_event_id(connection: Connection) -> int:
    """The newest event's id, 0 before the first."""
    return int(connection.execute(select(func.coalesce(func.max(events.c.id), 0))).scalar_one())


def expiring(connection: Connection, now: datetime, days: int, end_of_today: datetime) -> tuple[int, int]:
    """New referrals that expire within so many days, and those of them that do today. Overdue ones count."""
    query = select(func.count(), func.count(case((referrals.c.expires_at < end_of_today, 1)))).where(
        referrals.c.status == "New", referrals.c.expires_at < now + timedelta(days=days)
    )
    soon, today = connection.execute(query).one()
    return int(soon), int(today)


def new_of_priorities(connection: Connection, priorities: Sequence[str], since: datetime) -> int:
    """Leads first seen since a time that have one of the priorities."""
    number, _exact = count(connection, LeadFilter(values={"priority": tuple(priorities)}, first_seen_since=since))
    return number


def open_value(connection: Connection, category: str) -> list[tuple[str, Decimal, int]]:
    """Sum and number of open deals of a category by currency, the largest first.

    Referrals of one engagement are one deal seen from several sides: the one that changed last counts.
    """
    c = referrals.c
    newest = func.row_number().over(partition_by=func.coalesce(c.engagement_id, c.id), order_by=c.updated_at.desc())
    deals = (
        select(c.currency, c.deal_value, newest.label("place"))
        .where(c.category == category, c.is_open, c.deal_value.is_not(None), c.currency.is_not(None))
        .subquery()
    )
    query = (
        select(deals.c.currency, func.sum(deals.c.deal_value), func.count())
        .where(deals.c.place == 1)
        .group_by(deals.c.currency)
    )
    rows = [(str(currency), Decimal(value), int(number)) for currency, value, number in connection.execute(query)]
    return sorted(rows, key=lambda row: -row[1])


def crm_records_by_state(connection: Connection, states: Sequence[str]) -> dict[str, int]:
    """CRM records in each of the states."""
    query = (
        select(crm_records.c.state, func.count())
        .where(crm_records.c.state.in_(list(states)))
        .group_by(crm_records.c.state)
    )
    return {state: int(number) for state, number in connection.execute(query)}


def funnel(connection: Connection) -> list[tuple[str, int]]:
    """Referrals, those tied to a company, those accepted, those whose company is in the CRM, those won."""
    c, of_crm = referrals.c, crm_records.c
    synced = select(of_crm.referral_id).where(of_crm.referral_id.is_not(None), of_crm.state == "synced")
    total, accepted, won, unlinked, pushed = connection.execute(
        select(
            func.count(),
            func.count(case((c.accepted_at.is_not(None) | (c.status == "Active"), 1))),
            func.count(case((c.substatus == "Won", 1))),
            select(func.count()).where(referrals.alias().c.company_domain.is_(None)).scalar_subquery(),
            select(func.count()).select_from(synced.distinct().subquery()).scalar_subquery(),
        ).select_from(referrals)
    ).one()
    return [
        ("referrals", int(total)),
        ("linked", int(total - unlinked)),
        ("accepted", int(accepted)),
        ("pushed", int(pushed)),
        ("won", int(won)),
    ]


def syncs_by_day(connection: Connection, kind: str, since: datetime) -> list[tuple[datetime, str]]:
    """When each recorded run of a kind started since a time, and how it ended."""
    query = (
        select(sync_runs.c.started_at, sync_runs.c.state)
        .where(sync_runs.c.kind == kind, sync_runs.c.started_at >= since)
        .order_by(sync_runs.c.started_at)
        .limit(50_000)
    )
    return [(row.started_at, row.state) for row in connection.execute(query)]


def counts(connection: Connection) -> dict[str, int]:
    """The numbers beside the rooms' names."""

    c, of_crm = referrals.c, crm_records.c
    numbers = {
        "leads": select(func.coalesce(func.sum(lead_counts.c.leads), 0)),
        "referrals": select(func.count()).where(c.status.in_(("New", "Active"))),
        "needs_domain": select(func.count()).where(c.company_domain.is_(None), c.is_open),
        "imports": select(func.count()).select_from(imports),
        "quarantine": select(func.count()).where(quarantine.c.state == "open"),
        "rejects": select(func.count()).where(of_crm.state == "rejected"),
        "conflicts": select(func.count()).where(of_crm.state == "conflict"),
        "deleted_in_crm": select(func.count()).where(of_crm.state == "deleted_in_crm"),
        "differences": select(func.count()).where(crm_differences.c.mended_at.is_(None)),
    }
    query = select(*(number.scalar_subquery().label(name) for name, number in numbers.items()))
    return {name: int(number) for name, number in connection.execute(query).mappings().one().items()}


def watermark(connection: Connection, source: str) -> RowMapping | None:
    """How far a source has been read, and when that was last stored."""
    query = select(watermarks).where(watermarks.c.source == source).order_by(watermarks.c.updated_at.desc()).limit(1)
    return connection.execute(query).mappings().first()


def last_runs(connection: Connection, kinds: Sequence[str]) -> Mapping[str, dict[str, RowMapping]]:
    """For each kind its newest recorded run (``last``) and its newest that succeeded (``success``)."""
    found: dict[str, dict[str, RowMapping]] = {}
    for kind in kinds:
        of_kind = select(sync_runs).where(sync_runs.c.kind == kind).order_by(sync_runs.c.started_at.desc()).limit(1)
        last = connection.execute(of_kind).mappings().first()
        success = connection.execute(of_kind.where(sync_runs.c.state == "succeeded")).mappings().first()
        found[kind] = {name: row for name, row in (("last", last), ("success", success)) if row is not None}
    return found


def running(connection: Connection, since: datetime) -> Sequence[RowMapping]:
    """Recorded runs that started since a time and have not ended."""
    query = select(sync_runs).where(sync_runs.c.started_at >= since, sync_runs.c.state == "running")
    return connection.execute(query.order_by(sync_runs.c.started_at.desc()).limit(20)).mappings().all()


def rules_version(connection: Connection) -> str | None:
    """The rules the newest score was made with."""
    query = select(score_history.c.rules_version).order_by(score_history.c.at.desc()).limit(1)
    return connection.execute(query).scalar_one_or_none()
