"""The audit of everything tried in Dynamics, over all companies: read page by page, or taken away as a file."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Annotated, Any, Literal

import orjson
from fastapi import APIRouter, Query
from fastapi.responses import StreamingResponse
from pydantic import AwareDatetime, BaseModel, Field

from hunter_orchestration.store import crm
from hunter_orchestration.store.work import utc_now
from hunter_orchestration.web import cursors, models
from hunter_orchestration.web.context import Hunter, Seller, Viewer
from hunter_orchestration.web.models import Asked, Line
from hunter_orchestration.web.routes.leads import known_domain

router = APIRouter(tags=["dynamics"])

_EXPORTS_A_MINUTE = 6
_CHUNK = 2000


class AuditQuery(Asked):
    """Which entries. ``since`` and ``until`` are UTC unless they say otherwise."""

    domain: Line | None = None
    table: Literal["account", "contact", "lead", "opportunity"] | None = None
    outcome: Literal["sent", "confirmed", "recovered", "rejected", "deferred", "unknown"] | None = None
    actor: Line | None = None
    since: AwareDatetime | None = None
    until: AwareDatetime | None = None

    def chosen(self) -> dict[str, Any]:
        """As ``store.crm`` takes it."""
        asked = self.model_dump(include=set(AuditQuery.model_fields))
        if self.domain is not None:
            asked["domain"] = known_domain(self.domain)
        return asked


class AuditPage(AuditQuery):
    """A page of them, newest first."""

    limit: int = Field(default=100, ge=1, le=500)
    cursor: str | None = Field(default=None, max_length=4000)


class AuditEntry(models.CrmAttempt, models.OfCompany):
    """One attempt, with its company and run."""

    id: int
    domain: str
    run_id: str | None


class AuditList(BaseModel):
    """Attempts, newest first."""

    items: list[AuditEntry]
    next: str | None = None


def _shown(row: Any) -> dict[str, Any]:
    names = [name for name in AuditEntry.model_fields if name not in ("table", "domain")]
    return {name: row[name] for name in names} | {"table": row["table_name"], "domain": row["company_domain"]}


@router.get("/dynamics/audit", summary="Everything tried in Dynamics")
def audit(hunter: Hunter, _person: Viewer, query: Annotated[AuditPage, Query()]) -> AuditList:
    """Every attempt on every company's records: who, when, old and new values, what Dynamics answered."""
    chosen = query.chosen()
    identity = ["audit", sorted((name, str(value)) for name, value in chosen.items())]
    before: int | None = None
    if query.cursor is not None:
        _direction, place = cursors.decode(query.cursor, identity, int)
        before = int(place[0])
    with hunter.read() as connection:
        rows = crm.audit_entries(connection, newest_first=True, beyond=before, limit=query.limit + 1, **chosen)
    shown = rows[: query.limit]
    following = cursors.encode(identity, (shown[-1]["id"],)) if len(rows) > query.limit else None
    return AuditList(items=[AuditEntry(**_shown(row)) for row in shown], next=following)


@router.get(
    "/dynamics/audit.jsonl",
    summary="The audit as a file",
    response_class=StreamingResponse,
    responses={200: {"content": {"application/x-ndjson": {"schema": {"type": "string"}}}, "description": "The file."}},
)
def export(hunter: Hunter, person: Seller, query: Annotated[AuditQuery, Query()]) -> StreamingResponse:
    """A JSON line for each attempt, oldest first. Streamed; at most 6 downloads a minute."""
    hunter.limit(person, "export", _EXPORTS_A_MINUTE)
    chosen = query.chosen()

    def lines() -> Iterator[bytes]:
        after = 0
        while True:
            with hunter.read() as connection:
                rows = crm.audit_entries(connection, beyond=after, limit=_CHUNK, **chosen)
            if not rows:
                return
            yield b"".join(orjson.dumps(_shown(row), default=_plain) + b"\n" for row in rows)
            after = rows[-1]["id"]

    name = f"hunter-dynamics-audit-{utc_now():%Y%m%d-%H%M}.jsonl"
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    return StreamingResponse(lines(), media_type="application/x-ndjson", headers=headers)


def _plain(value: object) -> str:
    return value.isoformat() if isinstance(value, datetime) else str(value)
