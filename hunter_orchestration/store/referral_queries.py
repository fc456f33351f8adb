"""The referrals inbox: lists by filter, sort and place, and its counts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from sqlalchemy import Column, ColumnElement, Connection, RowMapping, and_, func, or_, select

from hunter_orchestration.store.tables.crm import crm_records
from hunter_orchestration.store.tables.referrals import referral_actions, referral_history, referrals

SORTS: Mapping[str, Column[Any]] = {
    "updated_at": referrals.c.updated_at,
    "created_at": referrals.c.created_at,
    "expires_at": referrals.c.expires_at,
    "deal_value": referrals.c.deal_value,
    "company_name": referrals.c.company_name,
}
"""Names the API sorts by."""

COUNT_LIMIT = 10_000
"""A filter that finds more referrals is told as "at least" this many."""


@dataclass(frozen=True, slots=True)
class ReferralFilter:
    """One filter of the inbox. ``q`` is looked for in company name, referral name, domain and id; ``stage`` finds what
    ``page_figures.funnel`` counts there."""

    q: str = ""
    values: Mapping[str, tuple[str, ...]] | None = None
    link: Literal["linked", "needs_domain"] | None = None
    company_domain: str | None = None
    expires_before: datetime | None = None
    stage: Literal["accepted", "pushed", "won"] | None = None


def _conditions(wanted: ReferralFilter) -> list[ColumnElement[bool]]:
    c = referrals.c
    parts: list[ColumnElement[bool]] = [c[name].in_(values) for name, values in (wanted.values or {}).items()]
    if wanted.link == "linked":
        parts.append(c.company_domain.is_not(None))
    elif wanted.link == "needs_domain":
        parts.append(c.company_domain.is_(None))
    if wanted.company_domain is not None:
        parts.append(c.company_domain == wanted.company_domain)
    if wanted.expires_before is not None:
        parts += [c.status == "New", c.expires_at < wanted.expires_before]
    if wanted.stage == "accepted":
        parts.append(c.accepted_at.is_not(None) | (c.status == "Active"))
    elif wanted.stage == "pushed":
        parts.append(c.id.in_(select(crm_records.c.referral_id).where(crm_records.c.state == "synced")))
    elif wanted.stage == "won":
        parts.append(c.substatus == "Won")
    return [*parts, *(_holds(word) for word in wanted.q.split()[:8])]


_TURKISH = str.maketrans("İIıŞşĞğÜüÖöÇç", "iiissgguuoocc")
_SPELT_TWO_WAYS = frozenset("ıisşgğuüoöcç")


def _plain(text: str) -> str:
    return text.translate(_TURKISH).lower()


def _holds(word: str) -> ColumnElement[bool]:
    """A name, the domain or the id holds the word; Turkish letters and their ASCII forms are one."""
    c, plain = referrals.c, _plain(word).replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    found: list[ColumnElement[bool]] = [column.ilike(f"%{plain}%", escape="\\") for column in (c.company_domain, c.id)]
    # Thirteen replacements a row are dear, so a cheap pattern leaves few rows to them.
    coarse = "%" + "".join("_" if letter in _SPELT_TWO_WAYS else letter for letter in plain) + "%"
    for column in (c.company_name, c.name):
        folded: ColumnElement[Any] = column
        for letter, written in _TURKISH.items():
            folded = func.replace(folded, chr(letter), chr(written))
        found.append(and_(column.ilike(coarse, escape="\\"), func.lower(folded).like(f"%{plain}%", escape="\\")))
    return or_(*found)


def count(connection: Connection, wanted: ReferralFilter) -> tuple[int, bool]:
    """How many match, and whether that is exact."""
    query = select(referrals.c.id).where(*_conditions(wanted)).limit(COUNT_LIMIT + 1)
    found = int(connection.execute(select(func.count()).select_from(query.subquery())).scalar_one())
    return min(found, COUNT_LIMIT), found <= COUNT_LIMIT


def page(
    connection: Connection,
    wanted: ReferralFilter,
    sort: str,
    *,
    descending: bool,
    limit: int,
    after: tuple[Any, str] | None = None,
) -> Sequence[RowMapping]:
    """At most ``limit`` referrals after a place, (sorted value, id); empty values come last."""
    column = SORTS[sort]
    query = select(referrals).where(*_conditions(wanted))
    if after is not None:
        value, referral_id = after
        beyond = referrals.c.id < referral_id if descending else referrals.c.id > referral_id
        if value is None:
            query = query.where(column.is_(None), beyond)
        else:
            further = column < value if descending else column > value
            query = query.where(or_(further, and_(column == value, beyond), column.is_(None)))
    query = query.order_by(
        column.desc().nulls_last() if descending else column.asc().nulls_last(),
        referrals.c.id.desc() if descending else referrals.c.id.asc(),
    )
    return connection.execute(query.limit(limit)).mappings().all()


def history(connection: Connection, referral_id: str) -> Sequence[RowMapping]:
    """Its changes, oldest first."""
    query = select(referral_history).where(referral_history.c.referral_id == referral_id)
    return connection.execute(query.order_by(referral_history.c.at, referral_history.c.id)).mappings().all()


def actions(connection: Connection, referral_id: str) -> Sequence[RowMapping]:
    """What people did to it from here, newest first."""
    query = select(referral_actions).where(referral_actions.c.referral_id == referral_id)
    return connection.execute(query.order_by(referral_actions.c.at.desc()).limit(100)).mappings().all()
