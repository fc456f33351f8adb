"""Payloads that could not be understood."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field

from hunter_orchestration.store import page_state
from hunter_orchestration.store import quarantine as queries
from hunter_orchestration.web import cursors, models
from hunter_orchestration.web.context import Admin, Hunter, Seller, Viewer
from hunter_orchestration.web.models import Asked
from hunter_orchestration.web.problems import not_found

router = APIRouter(prefix="/quarantine", tags=["quarantine"])


class QuarantineQuery(Asked):
    """Filter and page."""

    state: Literal["open", "resolved", "discarded"] | None = "open"
    limit: int = Field(default=50, ge=1, le=200)
    cursor: str | None = Field(default=None, max_length=4000)


class Quarantined(BaseModel):
    """A payload set aside."""

    id: int
    source: str
    external_id: str
    reason: str
    detail: str
    state: str
    attempts: int
    first_at: datetime
    last_at: datetime


class QuarantinedWhole(Quarantined):
    """With the payload."""

    payload: Any | None


class QuarantineList(BaseModel):
    """Payloads set aside, last seen first."""

    items: list[Quarantined]
    total: int
    next: str | None = None


class RetryBody(Asked):
    """Which to read again; all open ones when left out."""

    ids: list[Annotated[int, Field(ge=1, le=2**53 - 1)]] | None = Field(default=None, max_length=1000)


class Retried(BaseModel):
    """How many are read again with the next run."""

    count: int


@router.get("", summary="List quarantined payloads")
def list_quarantine(hunter: Hunter, _person: Viewer, query: Annotated[QuarantineQuery, Query()]) -> QuarantineList:
    """What could not be understood, and why."""
    identity = ["quarantine", query.state]
    before: Any = None
    if query.cursor is not None:
        _direction, before = cursors.decode(query.cursor, identity, datetime, int)
    with hunter.read() as connection:
        rows = page_state.quarantined(connection, query.state, query.limit + 1, before)
        total = page_state.quarantine_total(connection, query.state)
    shown = rows[: query.limit]
    following = None
    if len(rows) > query.limit:
        following = cursors.encode(identity, (shown[-1]["last_at"], shown[-1]["id"]))
    return QuarantineList(
        items=[Quarantined(**{name: row[name] for name in Quarantined.model_fields}) for row in shown],
        total=total,
        next=following,
    )


@router.get("/{quarantine_id}", summary="One quarantined payload")
def one(hunter: Hunter, _person: Admin, quarantine_id: models.Number) -> QuarantinedWhole:
    """With the payload as it came, for whoever may see it."""
    with hunter.read() as connection:
        row = queries.one(connection, quarantine_id)
    if row is None:
        raise not_found(f"quarantine entry {quarantine_id}")
    return QuarantinedWhole(**{name: row[name] for name in QuarantinedWhole.model_fields})


@router.post("/retry", summary="Read quarantined payloads again")
def retry(hunter: Hunter, _person: Seller, body: RetryBody | None = None) -> Retried:
    """Mark entries to be read again with the next run."""
    with hunter.store.write() as connection:
        count = queries.retry(connection, None if body is None else body.ids)
    return Retried(count=int(count))
