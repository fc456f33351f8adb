"""The referrals inbox."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel, Field, model_validator

from hunter_orchestration.store import Connection, referral_queries, referrals
from hunter_orchestration.store.work import utc_now
from hunter_orchestration.web import cursors, launching, models, shapes
from hunter_orchestration.web.context import Context, Hunter, IdempotencyKey, Seller, Viewer, once
from hunter_orchestration.web.models import Asked, Domain, Line
from hunter_orchestration.web.problems import flag_off, not_found
from hunter_orchestration.web.routes.leads import allowed_actions, known_domain

router = APIRouter(prefix="/referrals", tags=["referrals"])

_SORTED = {
    "updated_at": datetime,
    "created_at": datetime,
    "expires_at": datetime | None,
    "deal_value": Decimal | None,
    "company_name": str,
}
"""What a cursor of each sort holds."""


class ReferralListQuery(Asked):
    """Filters, order and page of the inbox. Several values are separated by commas."""

    q: Line = ""
    type: Line | None = None
    status: Line | None = Field(default=None, examples=["New,Active"])
    category: Line | None = None
    direction: Line | None = None
    country: Line | None = None
    link: Literal["linked", "needs_domain"] | None = None
    company_domain: Domain | None = None
    expiring_days: int | None = Field(default=None, ge=0, le=3650)
    stage: Literal["accepted", "pushed", "won"] | None = Field(
        default=None, description="Those that a stage of the funnel counts."
    )
    sort: Literal["updated_at", "created_at", "expires_at", "deal_value", "company_name"] = "updated_at"
    order: Literal["asc", "desc"] = "desc"
    limit: int = Field(default=50, ge=1, le=200)
    cursor: str | None = Field(default=None, max_length=4000)

    def filter(self) -> referral_queries.ReferralFilter:
        """The filter asked for."""
        values = {
            name: tuple(part.strip() for part in asked.split(",") if part.strip())[:60]
            for name in ("type", "status", "category", "direction", "country")
            if (asked := getattr(self, name)) is not None
        }
        days = self.expiring_days
        return referral_queries.ReferralFilter(
            q=self.q.strip(),
            values=values,
            link=self.link,
            company_domain=None if self.company_domain is None else known_domain(self.company_domain),
            expires_before=None if days is None else utc_now() + timedelta(days=days),
            stage=self.stage,
        )


class LinkBody(Asked):
    """The company a referral belongs to."""

    domain: Domain


class ActionBody(Asked):
    """What to tell Partner Center."""

    action: Literal["accept", "decline", "win", "lose"]
    reason: Line | None = None
    deal_value: Decimal | None = Field(
        default=None, ge=0, max_digits=15, decimal_places=2, description="Won at this value, in its currency."
    )

    @model_validator(mode="after")
    def _value_of_a_win(self) -> ActionBody:
        if self.deal_value is not None and self.action != "win":
            raise ValueError("deal_value goes with win alone")
        return self


class Suggestion(models.OfCompany):
    """A company that a referral may belong to."""

    domain: str
    name: str
    country: str | None
    similarity: float = Field(description="0 to 100.")


class Suggestions(BaseModel):
    """Companies that a referral may belong to, the most similar first."""

    items: list[Suggestion]


@router.post("/sync", status_code=202, summary="Pull referrals now")
def sync(
    hunter: Hunter,
    person: Seller,
    request: Request,
    response: Response,
    _body: models.Nothing | None = None,
    key: IdempotencyKey = None,
) -> models.RunAnswer:
    """Answers at once with a run to follow; a second request joins the run that is at work."""
    if not hunter.settings.partner_center_enabled and not hunter.settings.demo:
        raise flag_off("Pulling referrals from Partner Center", "HUNTER_PARTNER_CENTER_ENABLED")
    hunter.limit(person, "sync", 10)
    response.status_code = 202

    def act() -> dict[str, Any]:
        return launching.sync_referrals(hunter, person).model_dump(mode="json")

    return models.RunAnswer.model_validate(once(hunter, person, key, request, {}, response, act))


@router.get("", summary="List referrals")
def list_referrals(
    hunter: Hunter, _person: Viewer, query: Annotated[ReferralListQuery, Query()]
) -> models.Page[models.Referral]:
    """Referrals by filter and order, a page at a time."""
    wanted, now, descending = query.filter(), utc_now(), query.order == "desc"
    identity = query.model_dump(mode="json", exclude={"limit", "cursor"})
    after: tuple[Any, str] | None = None
    if query.cursor is not None:
        _direction, place = cursors.decode(query.cursor, identity, _SORTED[query.sort], str)
        after = (place[0], str(place[1]))
    with hunter.read() as connection:
        rows = referral_queries.page(
            connection, wanted, query.sort, descending=descending, limit=query.limit + 1, after=after
        )
        total, exact = referral_queries.count(connection, wanted)
    shown = rows[: query.limit]
    following = None
    if len(rows) > query.limit:
        following = cursors.encode(identity, (shown[-1][query.sort], shown[-1]["id"]))
    return models.Page(
        items=[shapes.referral(row, now) for row in shown], total=total, total_exact=exact, next=following
    )


def referral_whole(hunter: Context, connection: Connection, referral_id: str) -> models.ReferralDetail:
    """A referral with its history, what was done to it from here and what may be done.

    Raises:
        ProblemError: 404.
    """
    row = referrals.one(connection, referral_id)
    if row is None:
        raise not_found(f"referral {referral_id[:60]}")
    return shapes.referral_detail(
        row,
        utc_now(),
        referral_queries.history(connection, referral_id),
        referral_queries.actions(connection, referral_id),
        allowed_actions(hunter, row),
    )


@router.get("/{referral_id}", summary="One referral whole")
def one_referral(hunter: Hunter, _person: Viewer, referral_id: str) -> models.ReferralDetail:
    """A referral with its history and what may be done to it."""
    with hunter.read() as connection:
        return referral_whole(hunter, connection, referral_id.lower())
