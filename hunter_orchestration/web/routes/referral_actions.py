"""What people decide about referrals: which company they belong to, and what to tell Partner Center."""

from __future__ import annotations

from functools import partial
from typing import Any

from fastapi import APIRouter, Request, Response

from hunter_orchestration.companies import decisions, matching
from hunter_orchestration.companies.domains import company_domain
from hunter_orchestration.partner_center import client, sign_in, write_back
from hunter_orchestration.store import lead_details, referrals
from hunter_orchestration.web import models
from hunter_orchestration.web.context import Context, Hunter, IdempotencyKey, Seller, Viewer, once
from hunter_orchestration.web.problems import ProblemError, flag_off, not_found
from hunter_orchestration.web.routes.leads import allowed_actions, known_domain
from hunter_orchestration.web.routes.referrals import ActionBody, LinkBody, Suggestion, Suggestions, referral_whole

router = APIRouter(prefix="/referrals", tags=["referrals"])


def _existing(hunter: Context, referral_id: str) -> Any:
    with hunter.read() as connection:
        row = referrals.one(connection, referral_id.lower())
    if row is None:
        raise not_found(f"referral {referral_id[:60]}")
    return row


def _after(hunter: Context, referral_id: str) -> models.ReferralDetail:
    with hunter.read() as connection:
        answer = referral_whole(hunter, connection, referral_id)
    hunter.tell("leads_changed", answer.company_domain, {"referral_id": referral_id})
    return answer


@router.get("/{referral_id}/suggestions", summary="Companies a referral may belong to")
def suggestions(hunter: Hunter, _person: Viewer, referral_id: str) -> Suggestions:
    """Known companies with a similar name and the same country, the most similar first."""
    row = _existing(hunter, referral_id)
    found = matching.suggestions(hunter.store, row["id"])
    return Suggestions(items=[Suggestion.model_validate(one, from_attributes=True) for one in found])


@router.post("/{referral_id}/link", summary="Link a referral to a company")
def link(hunter: Hunter, person: Seller, referral_id: str, body: LinkBody) -> models.ReferralDetail:
    """A person's link outlives every sync."""
    row = _existing(hunter, referral_id)
    known = known_domain(body.domain)
    with hunter.read() as connection:
        if lead_details.standing_for(connection, known) is None:
            raise ProblemError(
                404, "unknown_company", f"No company has the domain {known[:253]}.", "Create a lead with it instead."
            )
    decisions.link(hunter.store, row["id"], known, person.actor)
    return _after(hunter, row["id"])


@router.post("/{referral_id}/unlink", summary="Take a referral off its company")
def unlink(
    hunter: Hunter, person: Seller, referral_id: str, _body: models.Nothing | None = None
) -> models.ReferralDetail:
    """It belongs to none of the known companies until somebody links it."""
    row = _existing(hunter, referral_id)
    decisions.unlink(hunter.store, row["id"], person.actor)
    return _after(hunter, row["id"])


@router.post("/{referral_id}/create-lead", summary="Make a company of a referral")
def create_lead(hunter: Hunter, person: Seller, referral_id: str, body: LinkBody) -> models.ReferralDetail:
    """A company with the domain given, named after the referral's customer, and linked to it."""
    row = _existing(hunter, referral_id)
    named = company_domain(body.domain)
    if named.domain is None:
        why = (("domain", named.rejected or "syntax"),)
        raise ProblemError(
            422, "no_company", "This names no company's domain.", "Give a domain like firma.com.tr.", errors=why
        )
    decisions.create_lead(hunter.store, row["id"], named.domain, person.actor)
    return _after(hunter, row["id"])


@router.post("/{referral_id}/actions", summary="Accept, decline, win or lose a referral")
def act(
    hunter: Hunter,
    person: Seller,
    request: Request,
    response: Response,
    referral_id: str,
    body: ActionBody,
    key: IdempotencyKey = None,
) -> models.ReferralDetail:
    """Tell Partner Center. Only while HUNTER_PARTNER_CENTER_WRITE_BACK is on, and only what its state allows.

    A win may correct the deal's value, which is told first: a closed referral takes no other.
    """
    if not hunter.settings.partner_center_write_back:
        raise flag_off("Writing back to Partner Center", "HUNTER_PARTNER_CENTER_WRITE_BACK")
    row = _existing(hunter, referral_id)
    allowed = allowed_actions(hunter, row)
    if body.action not in allowed:
        raise ProblemError(
            409,
            "not_allowed_now",
            f"A referral that is {row['status']}/{row['substatus']} does not take {body.action}.",
            f"It takes: {', '.join(allowed) or 'nothing'}.",
        )

    def tell() -> dict[str, Any]:
        speaker = client.PartnerCenterClient(hunter.settings, sign_in.Tokens(hunter.settings))
        ask = partial(write_back.act, hunter.store, speaker, hunter.settings, row["id"], requested_by=person.actor)
        if body.deal_value is not None and body.deal_value != row["deal_value"]:
            ask(action="deal_value", deal_value=body.deal_value)
        ask(action=body.action, reason=body.reason)
        return _after(hunter, row["id"]).model_dump(mode="json")

    answer = once(hunter, person, key, request, body.model_dump(mode="json"), response, tell)
    return models.ReferralDetail.model_validate(answer)
