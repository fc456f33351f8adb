"""What a person decides about records in Dynamics: qualify, merge, win or lose, make again what was deleted."""

from __future__ import annotations

from typing import Any, Literal

from fastapi import APIRouter
from pydantic import Field

from hunter_orchestration.dynamics import decisions
from hunter_orchestration.store import crm
from hunter_orchestration.web import models, shapes
from hunter_orchestration.web.context import Context, Hunter, Seller
from hunter_orchestration.web.models import Asked, Domain, Line
from hunter_orchestration.web.problems import flag_off, not_found
from hunter_orchestration.web.routes.leads import known_domain, standing

router = APIRouter(tags=["dynamics"])


class MergeAccountBody(Asked):
    """The company whose account stays."""

    into: Domain


class CloseBody(Asked):
    """How an opportunity ended."""

    won: bool
    reason: Line = Field(default="", description="Subject of the close activity in Dynamics.")


class RecreateBody(Asked):
    """A record that somebody deleted in Dynamics."""

    table: Literal["account", "contact", "lead", "opportunity"]
    external_id: Line


def switched_on(hunter: Context) -> None:
    """Raises ProblemError while the flag is off."""
    if not hunter.settings.dynamics_enabled:
        raise flag_off("Dynamics sync", "HUNTER_DYNAMICS_ENABLED")


def record_of(hunter: Context, table: str, external_id: str) -> models.CrmRecord:
    """The ledger row as the API shows it.

    Raises:
        ProblemError: 404.
    """
    with hunter.read() as connection:
        row = crm.record(connection, table, external_id)
    if row is None:
        raise not_found(f"{table} {external_id}")
    return shapes.crm_record(row, hunter.settings)


def _standing(hunter: Context, domain: str) -> str:
    with hunter.read() as connection:
        return standing(connection, domain)[0]


@router.post("/dynamics/leads/{domain}/qualify", summary="Qualify a lead in Dynamics")
def qualify(hunter: Hunter, person: Seller, domain: str, _body: models.Nothing | None = None) -> models.CrmRecord:
    """Qualify the company's open lead. Its account, contact and opportunity are used where they are in Dynamics."""
    switched_on(hunter)
    known = _standing(hunter, domain)
    decisions.qualify(hunter.store, hunter.settings, known, actor=person.actor)
    return record_of(hunter, "lead", known)


@router.post("/dynamics/accounts/{domain}/merge", summary="Merge two accounts in Dynamics")
def merge(hunter: Hunter, person: Seller, domain: str, body: MergeAccountBody) -> models.CrmRecord:
    """Merge the company's account into another's, by Dynamics' own merge. It follows the one that stays."""
    switched_on(hunter)
    loser, winner = known_domain(domain), known_domain(body.into)
    decisions.merge_accounts(hunter.store, hunter.settings, loser, winner, actor=person.actor)
    return record_of(hunter, "account", loser)


@router.post("/dynamics/opportunities/{referral_id}/close", summary="Win or lose an opportunity")
def close(hunter: Hunter, person: Seller, referral_id: str, body: CloseBody) -> models.CrmRecord:
    """Close the opportunity of a referral in Dynamics as won or lost."""
    switched_on(hunter)
    record_of(hunter, "opportunity", referral_id)
    options: dict[str, Any] = {"won": body.won, "reason": body.reason, "actor": person.actor}
    decisions.close_opportunity(hunter.store, hunter.settings, referral_id, **options)
    return record_of(hunter, "opportunity", referral_id)


@router.post("/dynamics/records/recreate", summary="Make a deleted record again")
def recreate(hunter: Hunter, person: Seller, body: RecreateBody) -> models.CrmRecord:
    """Have the next push create a record again that somebody deleted in Dynamics."""
    switched_on(hunter)
    record_of(hunter, body.table, body.external_id)
    decisions.recreate(hunter.store, body.table, body.external_id, actor=person.actor)
    return record_of(hunter, body.table, body.external_id)
