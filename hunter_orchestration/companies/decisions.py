"""What people decide about companies: links, leads made by hand, edits, merges. All outlive every sync, all audited."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from hunter_orchestration.companies import deriving
from hunter_orchestration.companies.building import EDITABLE
from hunter_orchestration.companies.country_names import country_code
from hunter_orchestration.companies.domains import company_domain, host_of
from hunter_orchestration.companies.naming import clean, is_a_name
from hunter_orchestration.errors import PermanentError
from hunter_orchestration.store import Connection, Store, companies, company_evidence, leads, runs, suppressions
from hunter_orchestration.store.work import utc_now

_LONGEST_NAME = 160


class DecisionError(PermanentError):
    """A decision can't be carried out: the message says why."""


def link(store: Store, referral_id: str, domain: str, by: str) -> str:
    """Let a referral belong to a known company, whatever its payload names; returns the company's domain.

    Raises:
        DecisionError: no such referral or company.
    """
    with store.write() as connection:
        companies.lock_writers(connection)
        company = _company(connection, domain)
        _decide(connection, referral_id, company["domain"], by, "link")
        return str(company["domain"])


def unlink(store: Store, referral_id: str, by: str) -> None:
    """Let a referral belong to no company until a person links it: what its payload names is not asked again.

    Raises:
        DecisionError: no such referral.
    """
    with store.write() as connection:
        companies.lock_writers(connection)
        _decide(connection, referral_id, None, by, "unlink")


def create_lead(store: Store, referral_id: str, text: str, by: str) -> str:
    """Link a referral to the company a text names, which comes into being if need be; returns its domain.

    Raises:
        DecisionError: no such referral, or the text names no company.
    """
    answer = company_domain(text)
    if answer.domain is None:
        raise DecisionError(
            f"{text!r} names no company domain ({answer.rejected}).", "Give a domain like firma.com.tr."
        )
    with store.write() as connection:
        companies.lock_writers(connection)
        if suppressions.load(connection).domain(answer.domain):
            raise DecisionError("This company was erased on request.", "It does not come back.")
        _decide(connection, referral_id, answer.domain, by, "create")
        return companies.standing_for(connection, [answer.domain]).get(answer.domain, answer.domain)


def edit(store: Store, domain: str, changes: Mapping[str, str | None], by: str) -> None:
    """Set fields of a company that no source overwrites from then on; ``None`` gives a field back to the sources.

    Args:
        changes: name, country (a code or a country's name), city, size, phone, website.

    Raises:
        DecisionError: no such company, an unknown field, or a value that can't be.
    """
    values = {name: _edited(name, value) for name, value in changes.items()}
    if not values:
        return
    now = utc_now()
    with store.write() as connection:
        companies.lock_writers(connection)
        company = _company(connection, domain)
        edited = dict(company["edited"] or {}) | values
        edited = {name: value for name, value in edited.items() if value is not None}
        if edited == dict(company["edited"] or {}):
            return
        companies.set_edited(connection, company["domain"], edited or None, now)
        _rebuilt(connection, [company["domain"]], now, pushed=[company["domain"]])
        after = _company(connection, domain)
        fields = {name: [company[name], after[name]] for name in values}
        companies.record(connection, now, by, "edit", company_domain=company["domain"], fields=fields)


def merge(store: Store, loser: str, winner: str, by: str) -> int:
    """Let one company be represented by another: referrals and records of both count for the winner.

    Nothing of the loser is lost, scans and scores included; ``undo_merge`` takes it back.

    Returns:
        The merge's id.

    Raises:
        DecisionError: one of them does not exist or is merged away, or both are the same.
    """
    now = utc_now()
    with store.write() as connection:
        companies.lock_writers(connection)
        lost, won = _company(connection, loser), _company(connection, winner)
        if lost["domain"] == won["domain"]:
            raise DecisionError("A company can't be merged into itself.", "Name two different ones.")
        before = {"loser": _snapshot(lost), "winner": _snapshot(won)}
        merge_id = companies.add_merge(
            connection,
            {
                "loser": lost["domain"],
                "winner": won["domain"],
                "decided_by": by,
                "decided_at": now,
                "undone_at": None,
                "before": before,
            },
        )
        companies.put_away(connection, lost["domain"], won["domain"], now)
        _move(connection, companies.merged_under(connection, lost["domain"]), lost["domain"], won["domain"])
        # The people of both are now the winner's.
        gone = [row["id"] for row in companies.contacts_of(connection, [lost["domain"]])[lost["domain"]]]
        companies.save_contacts(connection, [], gone)
        _rebuilt(connection, [won["domain"]], now, pushed=[won["domain"]], shown=[lost["domain"]])
        for domain in (lost["domain"], won["domain"]):
            fields = {"merged_into": [None, won["domain"]], "loser": [None, lost["domain"]]}
            companies.record(connection, now, by, "merge", company_domain=domain, fields=fields)
        return merge_id


def undo_merge(store: Store, merge_id: int, by: str) -> None:
    """Let a company that was merged away stand for itself again, with everything that names it.

    Raises:
        DecisionError: no such merge, or it was undone already.
    """
    now = utc_now()
    with store.write() as connection:
        companies.lock_writers(connection)
        found = companies.merge_by_id(connection, merge_id)
        if found is None or found["undone_at"] is not None:
            raise DecisionError(f"Merge {merge_id} does not exist or was undone.", "See hunter companies show.")
        loser, winner = str(found["loser"]), str(found["winner"])
        holder = companies.standing_for(connection, [winner]).get(winner, winner)
        companies.end_merge(connection, merge_id, now)
        companies.bring_back(connection, loser, now)
        _move(connection, companies.merged_under(connection, loser), holder, loser)
        _rebuilt(connection, [holder, loser], now, pushed=[holder, loser], shown=[loser])
        companies.plan_scans(connection, [loser], now)
        for domain in (loser, winner):
            fields = {"merged_into": [winner, None], "loser": [loser, None]}
            companies.record(connection, now, by, "unmerge", company_domain=domain, fields=fields)


def _decide(connection: Connection, referral_id: str, target: str | None, by: str, action: str) -> None:
    now = utc_now()
    rows = company_evidence.referrals_by_id(connection, [referral_id])
    if not rows:
        raise DecisionError(f"There is no referral {referral_id}.", "Look it up in the inbox.")
    companies.save_link(connection, referral_id, target, by, now)
    decisions = deriving.decide(connection, rows, suppressions.load(connection))
    _rebuilt(connection, decisions.affected, now, pushed=decisions.affected)
    fields = {"company_domain": [rows[0]["company_domain"], decisions.companies[referral_id]]}
    companies.record(connection, now, by, action, company_domain=target, referral_id=referral_id, fields=fields)


def _move(connection: Connection, named: Sequence[str], holder: str, target: str) -> None:
    """Let everything that names some domains count for another company than its holder so far."""
    rows = company_evidence.counted_for(connection, [holder])
    deriving.decide(connection, rows, suppressions.load(connection))
    company_evidence.move_mentions(connection, dict.fromkeys(named, target))


def _rebuilt(
    connection: Connection, domains: Iterable[str], now: datetime, *, pushed: Iterable[str], shown: Iterable[str] = ()
) -> None:
    wanted = set(domains)
    deriving.rebuild(connection, wanted, now, suppressions.load(connection), pushed=pushed)
    leads.refresh(connection, shown)
    runs.emit(connection, "leads_changed", None, {"domains": len(wanted), "by": "decision"})


def _company(connection: Connection, domain: str) -> Mapping[Any, Any]:
    """The company a domain stands for, merges followed."""
    name = company_domain(domain).domain or domain
    name = companies.standing_for(connection, [name]).get(name, name)
    found = companies.one(connection, name)
    if found is None:
        raise DecisionError(f"There is no company {domain!r}.", "Look it up with hunter companies list.")
    return found


def _edited(name: str, value: str | None) -> str | None:
    if name not in EDITABLE:
        raise DecisionError(f"{name!r} can't be set.", f"These can: {', '.join(EDITABLE)}.")
    if value is None or not value.strip():
        return None
    text = clean(value)
    if text is None:
        raise DecisionError(f"{value!r} says nothing.", "Leave the field empty to give it back to the sources.")
    if name == "name" and (not is_a_name(text) or len(text) > _LONGEST_NAME):
        raise DecisionError("This is no company name.", f"Give up to {_LONGEST_NAME} characters with two letters.")
    if name == "country":
        code = country_code(text)
        if code is None:
            raise DecisionError(f"{text!r} is no country.", "Give a code like TR.")
        return code
    if name == "website" and host_of(text)[0] is None:
        raise DecisionError(f"{text!r} is no website.", "Give an address like https://www.firma.com.tr.")
    return text


def _snapshot(company: Mapping[Any, Any]) -> dict[str, Any]:
    return {name: company[name] for name in ("domain", "name", "name_source", "country", "referral_count", "edited")}
