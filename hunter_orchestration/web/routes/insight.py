"""Arguing with a score and talking to the customer: what-if, what would move a lead, the sales briefing."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Response
from pydantic import BaseModel, Field

from hunter_orchestration.scoring import briefing as briefings
from hunter_orchestration.scoring import briefing_pdf as briefing_pdfs
from hunter_orchestration.scoring import rules
from hunter_orchestration.scoring import what_if as what_ifs
from hunter_orchestration.scoring.templates import Language
from hunter_orchestration.store import Connection, companies, lead_details
from hunter_orchestration.web.context import Context, Hunter, Viewer
from hunter_orchestration.web.models import Asked
from hunter_orchestration.web.problems import ProblemError
from hunter_orchestration.web.routes.leads import standing

router = APIRouter(prefix="/leads", tags=["insight"])


class WhatIfBody(Asked):
    """Inputs to change; what is left out stays as it is, null means unknown."""

    provider: rules.Provider | None = None
    mx: bool | None = None
    spf: bool | None = None
    dkim: bool | None = None
    dmarc: Literal["reject", "quarantine", "none", "absent"] | None = None
    spf_includes: int | None = Field(default=None, ge=0, le=100)
    tenant_known: bool | None = None
    co_sell: bool | None = None


class WhatIf(BaseModel):
    """The score as it is and as it would be."""

    now: dict[str, Any]
    then: dict[str, Any]
    difference: int = Field(examples=[15])


class Moves(BaseModel):
    """What would move the lead, each with the score it would lead to."""

    items: list[dict[str, Any]]


class Briefing(BaseModel):
    """What to say to this customer."""

    domain: str
    lang: Language
    briefing: dict[str, Any]


class BriefingQuery(Asked):
    """Language of the briefing."""

    lang: Language = "en"


def _scored(connection: Connection, domain: str) -> tuple[str, Any]:
    known, _merged = standing(connection, domain)
    row = lead_details.score(connection, known)
    if row is None:
        raise ProblemError(404, "no_score", f"{known} is not scored yet.", "It is with the next run; or rescan it now.")
    return known, row


@router.post("/{domain}/what-if", summary="Score with other inputs")
def what_if(hunter: Hunter, _person: Viewer, domain: str, body: WhatIfBody) -> WhatIf:
    """What the score would be if these inputs were others. Nothing is stored."""
    with hunter.read() as connection:
        _known, row = _scored(connection, domain)
    changes = body.model_dump(exclude_unset=True)
    in_force = rules.rules_to_show(hunter.settings.rules_file)
    return WhatIf.model_validate(what_ifs.compare(row["inputs"], changes, in_force))


@router.get("/{domain}/moves", summary="What would move this lead")
def moves(hunter: Hunter, _person: Viewer, domain: str) -> Moves:
    """Single changes that would change the score, the largest first."""
    with hunter.read() as connection:
        _known, row = _scored(connection, domain)
    in_force = rules.rules_to_show(hunter.settings.rules_file)
    return Moves(items=[dict(one) for one in what_ifs.moves(what_ifs.checked_inputs(row["inputs"]), in_force)])


def _briefing(hunter: Context, domain: str, lang: Language) -> tuple[str, dict[str, Any]]:
    with hunter.read() as connection:
        known, row = _scored(connection, domain)
        facts = {
            "lead": _plain(lead_details.lead(connection, known)),
            "company": _plain(companies.one(connection, known)),
            "contacts": [dict(one) for one in lead_details.people(connection, known)],
            "score": _plain(row),
            "scan": _plain(lead_details.scan(connection, known)),
            "scan_changes": [dict(one) for one in lead_details.changes(connection, known)],
            "referrals": [dict(one) for one in lead_details.referrals_of(connection, known)],
        }
    return known, dict(briefings.briefing(facts, lang, hunter.settings))


def _plain(row: Any) -> dict[str, Any] | None:
    return None if row is None else dict(row)


@router.get("/{domain}/briefing", summary="Sales briefing")
def briefing(hunter: Hunter, _person: Viewer, domain: str, query: Annotated[BriefingQuery, Query()]) -> Briefing:
    """One line to open with, why this segment and provider, security, script, questions, offer, next step."""
    known, text = _briefing(hunter, domain, query.lang)
    return Briefing(domain=known, lang=query.lang, briefing=text)


@router.get(
    "/{domain}/briefing.pdf",
    summary="Sales briefing as PDF",
    response_class=Response,
    responses={
        200: {
            "content": {"application/pdf": {"schema": {"type": "string", "format": "binary"}}},
            "description": "The file.",
        }
    },
)
def briefing_pdf(hunter: Hunter, _person: Viewer, domain: str, query: Annotated[BriefingQuery, Query()]) -> Response:
    """The briefing on paper."""
    known, text = _briefing(hunter, domain, query.lang)
    headers = {"Content-Disposition": f'inline; filename="briefing-{known}-{query.lang}.pdf"'}
    return Response(bytes(briefing_pdfs.pdf(text)), media_type="application/pdf", headers=headers)
