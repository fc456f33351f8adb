"""Downloads of the filtered list."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from typing import Annotated, Literal

from fastapi import APIRouter, Query
from fastapi.responses import StreamingResponse
from pydantic import Field, field_validator

from hunter_orchestration.scoring.templates import Language
from hunter_orchestration.store import lead_queries
from hunter_orchestration.store.lead_filters import LeadFilter
from hunter_orchestration.store.work import utc_now
from hunter_orchestration.web.context import Hunter, Seller
from hunter_orchestration.web.exports import COLUMNS, WRITERS
from hunter_orchestration.web.lead_query import LeadOrderQuery
from hunter_orchestration.web.models import Line

router = APIRouter(prefix="/leads", tags=["leads"])

_EXPORTS_A_MINUTE = 6
_MOST_DOMAINS = 1000


class ExportQuery(LeadOrderQuery):
    """Filter, order and columns of a download."""

    columns: Line | None = Field(default=None, description="Names separated by commas; all when left out.")
    lang: Language = "en"
    domains: str | None = Field(
        default=None, max_length=20_000, pattern=r"^[^\x00]*$", description="Only these leads of the filter, by domain."
    )

    @field_validator("columns")
    @classmethod
    def _known(cls, value: str | None) -> str | None:
        unknown = {part.strip() for part in (value or "").split(",") if part.strip()} - set(COLUMNS)
        if unknown:
            raise ValueError(f"unknown: {', '.join(sorted(unknown))[:100]}; known: {', '.join(COLUMNS)}")
        return value

    def filter(self, now: datetime) -> LeadFilter:
        """The filter at a time, within the domains named."""
        wanted = super().filter(now)
        named = [one.strip().lower() for one in (self.domains or "").split(",") if one.strip()]
        return wanted if self.domains is None else replace(wanted, domains=tuple(named[:_MOST_DOMAINS]))

    def chosen(self) -> list[str]:
        """The columns in the order asked for."""
        return list(dict.fromkeys(part.strip() for part in (self.columns or "").split(",") if part.strip())) or [
            *COLUMNS
        ]


def _download(hunter: Hunter, person: Seller, query: ExportQuery, kind: Literal["csv", "xlsx"]) -> StreamingResponse:
    hunter.limit(person, "export", _EXPORTS_A_MINUTE)
    write, media_type = WRITERS[kind]
    wanted, order = query.filter(utc_now()), query.in_order()

    def pieces() -> Iterator[bytes]:
        with hunter.read() as connection:
            yield from write(lead_queries.stream(connection, wanted, order), query.chosen(), query.lang)

    name = f"hunter-leads-{utc_now():%Y%m%d-%H%M}.{kind}"
    return StreamingResponse(
        pieces(), media_type=media_type, headers={"Content-Disposition": f'attachment; filename="{name}"'}
    )


@router.get(
    "/export.csv",
    summary="Leads as CSV",
    response_class=StreamingResponse,
    responses={200: {"content": {"text/csv": {"schema": {"type": "string"}}}, "description": "The file."}},
)
def export_csv(hunter: Hunter, person: Seller, query: Annotated[ExportQuery, Query()]) -> StreamingResponse:
    """Every lead of the filter, in order. Streamed; at most 6 downloads a minute."""
    return _download(hunter, person, query, "csv")


@router.get(
    "/export.xlsx",
    summary="Leads as XLSX",
    response_class=StreamingResponse,
    responses={
        200: {
            "content": {WRITERS["xlsx"][1]: {"schema": {"type": "string", "format": "binary"}}},
            "description": "The file.",
        }
    },
)
def export_xlsx(hunter: Hunter, person: Seller, query: Annotated[ExportQuery, Query()]) -> StreamingResponse:
    """Every lead of the filter, in order. Streamed; at most 6 downloads a minute."""
    return _download(hunter, person, query, "xlsx")
