"""Leads: the list, its counts and figures, one lead whole."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal
from typing import Annotated, Any

from fastapi import APIRouter, Header, Query, Response

from hunter_orchestration.companies.domains import company_domain
from hunter_orchestration.partner_center import write_back
from hunter_orchestration.store import Connection, companies, lead_counting, lead_details, lead_queries, page_figures
from hunter_orchestration.store.lead_filters import LeadFilter
from hunter_orchestration.store.work import utc_now
from hunter_orchestration.web import cursors, figures, models, shapes
from hunter_orchestration.web.context import Context, Hunter, Viewer
from hunter_orchestration.web.lead_query import LeadFilterQuery, LeadListQuery
from hunter_orchestration.web.problems import ProblemError, not_found

router = APIRouter(prefix="/leads", tags=["leads"])

_WARN_DAYS = 3
_WEEK_DAYS = 7
_SYNC_DAYS = 14
_TOP = ("P1", "P2")
_SORTED = {
    "priority": int,
    "score": int,
    "name": str,
    "domain": str,
    "expires_at": datetime | None,
    "deal_value": Decimal | None,
    "first_seen_at": datetime,
    "changed_at": datetime,
}
"""What a cursor of these sorts holds; of all others, a text or nothing."""
IfNoneMatch = Annotated[str | None, Header(alias="If-None-Match", max_length=200)]


def known_domain(text: str) -> str:
    """A domain as the store spells it: ``Şirket.com.tr`` becomes ``xn--irket-idb.com.tr``."""
    return company_domain(text).domain or text.strip().lower()


def standing(connection: Connection, text: str) -> tuple[str, str | None]:
    """The domain of the lead meant, and the one asked for when it was merged into it.

    Raises:
        ProblemError: 404.
    """
    asked = known_domain(text)
    domain = lead_details.standing_for(connection, asked)
    if domain is None:
        raise not_found(f"lead {asked[:253]}")
    return domain, asked if domain != asked else None


@router.get("", response_model=models.Page[models.Lead], summary="List leads")
def list_leads(
    hunter: Hunter,
    _person: Viewer,
    query: Annotated[LeadListQuery, Query()],
    response: Response,
    if_none_match: IfNoneMatch = None,
) -> Any:
    """Leads by filter and order, a page at a time. Answers 304 to the ETag of an unchanged page."""
    now = utc_now()
    wanted, order = query.filter(now), query.in_order()
    identity = [query.asked(), query.sort, query.order]
    with hunter.read() as connection:
        version = page_figures.data_version(connection)
        clock = now.strftime("%Y%m%d%H%M") if query.moves else ""
        etag = f'W/"{cursors.fingerprint([identity, query.limit, query.cursor, version, clock])}"'
        if if_none_match == etag:
            return Response(status_code=304, headers={"ETag": etag})
        after = before = None
        if query.cursor is not None:
            direction, place = cursors.decode(query.cursor, identity, _SORTED.get(query.sort, str | None), int, str)
            after, before = (place, None) if direction == "n" else (None, place)
        page = lead_queries.page(connection, wanted, order, query.limit, after=after, before=before)
    response.headers["ETag"] = etag
    items = [shapes.lead(row) for row in page.rows]
    return models.Page[models.Lead].model_construct(
        items=items,
        total=page.total,
        total_exact=page.total_exact,
        next=cursors.encode(identity, order.place(page.rows[-1]), "n") if page.has_next and page.rows else None,
        previous=cursors.encode(identity, order.place(page.rows[0]), "p") if page.has_previous and page.rows else None,
    )


@router.get("/facets", summary="Count leads by filter value")
def facets(hunter: Hunter, _person: Viewer, query: Annotated[LeadFilterQuery, Query()]) -> models.Facets:
    """For each filter, its values with how many leads they would give under the other filters."""
    wanted = query.filter(utc_now())

    with hunter.read() as connection:
        version = page_figures.data_version(connection)

        def compute() -> models.Facets:
            found = lead_counting.facets(connection, wanted)
            total, exact = lead_counting.count(connection, wanted)
            names = {"segment": "technical_segment"}
            return models.Facets(
                total=total,
                total_exact=exact,
                facets={
                    names.get(column, column): [models.FacetValue(value=value, count=number) for value, number in pairs]
                    for column, pairs in found.items()
                },
            )

        return hunter.kept.get(f"facets {wanted!r}", version, compute)


@router.get("/summary", summary="Figures above the list")
def summary(hunter: Hunter, _person: Viewer) -> figures.Summary:
    """What needs somebody today, and how the leads spread."""
    with hunter.read() as connection:
        version = page_figures.data_version(connection)
        return hunter.kept.get("summary", version, lambda: _summary(hunter, connection))


def _summary(hunter: Context, connection: Connection) -> figures.Summary:
    now = utc_now()
    tomorrow = now.replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1)
    # A day from now, as the lists say "under a day": where midnight is differs from reader to reader.
    soon, today = page_figures.expiring(connection, now, _WARN_DAYS, now + timedelta(days=1))
    counts = page_figures.counts(connection)
    found = lead_counting.facets(connection, LeadFilter())
    bands = lead_counting.score_histogram(connection)
    days = [(tomorrow - timedelta(days=back)).date().isoformat() for back in range(_SYNC_DAYS, 0, -1)]
    by_day = {day: [0, 0] for day in days}
    for at, state in page_figures.syncs_by_day(connection, "raw_leads", tomorrow - timedelta(days=_SYNC_DAYS)):
        if state != "running" and at.date().isoformat() in by_day:
            by_day[at.date().isoformat()][state == "failed"] += 1

    def values(column: str) -> list[models.FacetValue]:
        return [
            models.FacetValue(value=value, count=number)
            for value, number in sorted(found[column], key=lambda pair: pair[0] or "~")
        ]

    decisions = {name: counts[key] for name, key in _DECISIONS.items()}
    return figures.Summary(
        total=counts["leads"],
        expiring=figures.Expiring(soon=soon, today=today, days=_WARN_DAYS),
        new_top=figures.NewTop(
            count=page_figures.new_of_priorities(connection, _TOP, now - timedelta(days=_WEEK_DAYS)), days=_WEEK_DAYS
        ),
        open_co_sell=[
            figures.CurrencySum(currency=currency, value=value, count=number)
            for currency, value, number in page_figures.open_value(connection, "co_sell")
        ],
        crm_decisions=figures.Decisions(**decisions, total=sum(decisions.values())),
        by_priority=values("priority"),
        by_segment=values("commercial_segment"),
        funnel=[figures.FunnelStage(stage=stage, count=number) for stage, number in page_figures.funnel(connection)],
        score_histogram=[
            figures.ScoreBand.model_validate(
                {"from": band * 10, "to": 100 if band == 9 else band * 10 + 9, "count": number}
            )
            for band, number in enumerate(bands)
        ],
        syncs=[figures.SyncDay(day=day, succeeded=good, failed=bad) for day, (good, bad) in by_day.items()],
        counts=counts,
    )


_DECISIONS = {"rejected": "rejects", "conflict": "conflicts", "deleted_in_crm": "deleted_in_crm"}


@router.get("/{domain}", summary="One lead whole")
def one_lead(hunter: Hunter, _person: Viewer, domain: str) -> models.LeadDetail:
    """Everything Hunter holds about a company. The domain of a merged one gives the one it was merged into."""
    with hunter.read() as connection:
        return detail(hunter, connection, domain)


def detail(hunter: Context, connection: Connection, text: str) -> models.LeadDetail:
    """A lead whole.

    Raises:
        ProblemError: 404.
    """
    domain, merged_from = standing(connection, text)
    row = lead_details.lead(connection, domain)
    if row is None:
        raise not_found(f"lead {domain}")
    now = utc_now()
    company = companies.one(connection, domain)
    score = lead_details.score(connection, domain)
    found = lead_details.referrals_of(connection, domain)
    histories = lead_details.histories(connection, [one["id"] for one in found])
    return models.LeadDetail(
        lead=shapes.lead(row),
        merged_from=merged_from,
        merges=[
            models.Merge(id=one["id"], loser=one["loser"], at=one["decided_at"], by=one["decided_by"])
            for one in companies.merges_into(connection, domain)
        ],
        company=None if company is None else models.Company.model_validate(dict(company)),
        contacts=[
            models.Contact(**one, refuses_contact=lead_details.refuses_contact(one))
            for one in lead_details.people(connection, domain)
        ],
        score=None if score is None else shapes.score(score, lead_details.scan(connection, domain), hunter.settings),
        scan=shapes.scan(connection, domain),
        scan_changes=[models.ScanChange.model_validate(dict(one)) for one in lead_details.changes(connection, domain)],
        score_history=[
            models.ScoreBefore.model_validate(dict(one)) for one in lead_details.scores_before(connection, domain)
        ],
        referrals=[
            shapes.referral_detail(one, now, histories.get(one["id"], []), allowed=allowed_actions(hunter, one))
            for one in found
        ],
        dynamics=shapes.dynamics_status(connection, hunter.settings, domain),
    )


def allowed_actions(hunter: Context, row: Any) -> list[str]:
    """What may be done to a referral from here; nothing while write-back is off."""
    if not hunter.settings.partner_center_write_back:
        return []
    return list(write_back.allowed_actions(row["status"], row["substatus"], row["direction"]))


@router.get("/{domain}/score", summary="Why a lead has its score")
def score_of(hunter: Hunter, _person: Viewer, domain: str) -> models.Score:
    """Every point of the score with its reason and evidence."""
    with hunter.read() as connection:
        known, _merged = standing(connection, domain)
        row = lead_details.score(connection, known)
        scan = lead_details.scan(connection, known)
    if row is None:
        raise ProblemError(404, "no_score", f"{known} is not scored yet.", "It is with the next run; or rescan it now.")
    return shapes.score(row, scan, hunter.settings)
