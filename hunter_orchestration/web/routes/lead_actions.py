"""What people do to leads: add one, correct it, look at its domain again, merge two."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, Field, model_validator

from hunter_orchestration.companies import admission, decisions
from hunter_orchestration.errors import TransientError
from hunter_orchestration.logging import get_logger
from hunter_orchestration.web import launching, models
from hunter_orchestration.web.context import Context, Hunter, IdempotencyKey, Seller, once
from hunter_orchestration.web.models import Asked, Domain, Line, LongText
from hunter_orchestration.web.people import Person
from hunter_orchestration.web.problems import ProblemError
from hunter_orchestration.web.routes.leads import detail, known_domain, standing

router = APIRouter(tags=["leads"])

log = get_logger("hunter.web")


class NewLead(Asked):
    """A lead somebody knows of. One of domain, e-mail and website is needed; the domain is taken from the first."""

    domain: Line | None = None
    email: Line | None = None
    website: Line | None = None
    company: Line | None = None
    country: Line | None = Field(default=None, description="ISO 3166 alpha-2 or a name.")
    city: Line | None = None
    address: Line | None = None
    size: Line | None = None
    phone: Line | None = None
    first_name: Line | None = None
    last_name: Line | None = None
    title: Line | None = None
    notes: LongText | None = None

    @model_validator(mode="after")
    def _has_a_domain(self) -> NewLead:
        if not (self.domain or self.email or self.website):
            raise ValueError("one of domain, email and website is needed")
        return self


class Added(models.OfCompany):
    """The lead that was added, and the run that scores it."""

    raw_lead_id: int
    run: models.Run | None


class Edits(Asked):
    """Corrections of a company; null gives a field back to its sources."""

    name: Line | None = None
    country: Line | None = Field(default=None, pattern=r"^[A-Z]{2}$")
    city: Line | None = None
    size: Line | None = None
    phone: Line | None = None
    website: Line | None = None


class MergeBody(Asked):
    """The company that stays."""

    into: Domain


class Merged(BaseModel):
    """A merge that can be undone."""

    merge_id: int


def started(hunter: Context, person: Person) -> models.Run | None:
    """A run that takes up what was just stored; ``None`` when the engine is away, since its next tick does it too."""
    try:
        return launching.sync_referrals(hunter, person).run
    except TransientError as error:
        log.warning("no run started", reason=str(error))
        return None


@router.post("/leads", status_code=202, summary="Add a lead")
def add(
    hunter: Hunter, person: Seller, request: Request, response: Response, body: NewLead, key: IdempotencyKey = None
) -> Added:
    """Take in one lead; the same data twice is one lead."""
    response.status_code = 202

    def act() -> dict[str, Any]:
        try:
            added = admission.add_lead(hunter.store, body.model_dump(exclude_none=True), "api")
        except admission.RecordRefusedError as error:
            why = (("domain", error.reason),)
            raise ProblemError(422, "no_company", error.message, error.fix, errors=why) from None
        run = started(hunter, person)
        return Added(domain=added.domain, raw_lead_id=added.raw_lead_id, run=run).model_dump(mode="json")

    return Added.model_validate(once(hunter, person, key, request, body.model_dump(), response, act))


@router.patch("/leads/{domain}", summary="Correct a lead")
def edit(hunter: Hunter, person: Seller, domain: str, body: Edits) -> models.LeadDetail:
    """Set fields by hand; no source overwrites them afterwards."""
    fields = body.model_dump(exclude_unset=True)
    if not fields:
        raise ProblemError(422, "invalid", "No field to set.")
    with hunter.read() as connection:
        known, _merged = standing(connection, domain)
    decisions.edit(hunter.store, known, fields, person.actor)
    hunter.tell("leads_changed", known, {"domains": [known]})
    with hunter.read() as connection:
        return detail(hunter, connection, known)


@router.post("/leads/{domain}/rescan", status_code=202, summary="Scan a lead's domain again")
def rescan(
    hunter: Hunter,
    person: Seller,
    request: Request,
    response: Response,
    domain: str,
    _body: models.Nothing | None = None,
    key: IdempotencyKey = None,
) -> models.RunAnswer:
    """Look at the domain now, however fresh the last scan is."""
    hunter.limit(person, "rescan", 30)
    response.status_code = 202
    with hunter.read() as connection:
        known, _merged = standing(connection, domain)

    def act() -> dict[str, Any]:
        run = launching.launch(
            hunter, person.actor, launching.RESCAN, config=launching.rescan_config([known], extended=True)
        )
        return launching.answer(hunter, run).model_dump(mode="json")

    return models.RunAnswer.model_validate(once(hunter, person, key, request, {}, response, act))


@router.post("/leads/{domain}/merge", summary="Merge a lead into another")
def merge(hunter: Hunter, person: Seller, domain: str, body: MergeBody) -> Merged:
    """One company under two domains: both histories are kept, and it can be undone."""
    with hunter.read() as connection:
        loser, _merged = standing(connection, domain)
        winner, _merged = standing(connection, known_domain(body.into))
    if loser == winner:
        raise ProblemError(422, "invalid", "A lead can't be merged into itself.")
    merge_id = decisions.merge(hunter.store, loser, winner, person.actor)
    hunter.tell("leads_changed", winner, {"domains": [loser, winner]})
    return Merged(merge_id=int(merge_id))


@router.post("/merges/{merge_id}/undo", summary="Undo a merge")
def undo(hunter: Hunter, person: Seller, merge_id: models.Number, _body: models.Nothing | None = None) -> Merged:
    """Both companies stand again as before."""
    decisions.undo_merge(hunter.store, merge_id, person.actor)
    hunter.tell("leads_changed", None, {"merge_id": merge_id})
    return Merged(merge_id=merge_id)
