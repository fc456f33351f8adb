"""A lead's situation: the answers to the questions that the briefing's rows ask, and what fills their placeholders.

Nothing is guessed here: a lookup that failed, or a domain that was never scanned, is unknown.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any, get_args

from hunter_orchestration.scanning.findings import inputs_of
from hunter_orchestration.scoring import deadlines
from hunter_orchestration.scoring.rules import Category
from hunter_orchestration.scoring.templates import ChangeKind, Conditions, Language, Templates
from hunter_orchestration.store.lead_details import refuses_contact

_RECENT = timedelta(days=60)
_EXPIRING = timedelta(days=7)
_LONGEST = 200
_REQUESTS = ("marketplace", "solution_provider")
"""Categories of referrals in which the customer itself asked; the others are deals of partners and of Microsoft."""
_LISTS = ("commercial_segments", "providers", "mail", "spf", "dkim", "dmarc")


@dataclass(frozen=True, slots=True)
class Situation:
    """Answers by the names of ``Conditions`` (lists in the singular of what they ask), and the words for placeholders.

    ``since`` is when its category became what it is, ``due`` when the first call had to be made, ``by`` the day to act
    by: each may be empty.
    """

    answers: Mapping[str, Any]
    changes: Mapping[str, tuple[str, str]]
    employees: int | None
    values: Mapping[str, str]
    since: datetime | None
    due: datetime | None
    by: date | None

    def holds(self, row: Conditions) -> bool:
        """Whether every condition of the row holds."""
        for name, asked in row.asked:
            if name == "changes":
                held = any(kind in self.changes for kind in asked)
            elif name == "employees_from":
                held = self.employees is not None and self.employees >= asked
            elif name in _LISTS:
                held = self.answers[name] in asked
            else:
                held = self.answers[name] is asked
            if not held:
                return False
        return True


def situation(
    facts: Mapping[str, Any], category: Category, templates: Templates, lang: Language, now: datetime
) -> Situation:
    """The situation of a lead from what ``store.lead_details`` holds of it.

    Args:
        facts: lead, company, score, scan (rows or ``None``), contacts, scan_changes, referrals (rows).
        category: the category its score gives it.
        now: aware; what is overdue or recent is judged by it.
    """
    lead, company, score = facts.get("lead") or {}, facts.get("company") or {}, facts.get("score") or {}
    scan = facts.get("scan")
    referrals: Sequence[Mapping[str, Any]] = facts.get("referrals") or ()
    mail = _mail(scan)
    co_sell = bool(company.get("has_open_co_sell"))
    tenant_known = bool((score.get("inputs") or {}).get("tenant_known"))
    changes = _changes(facts.get("scan_changes") or (), now)
    deal = _deal(lead, lang)
    expires = _expires(lead, referrals, now)
    since = score.get("priority_since")
    people: Sequence[Mapping[str, Any]] = facts.get("contacts") or ()
    willing = [person for person in people if not refuses_contact(person)]
    refused = bool(people) and not willing
    due = None if refused else _due(since, category)
    by = _by(due, expires, now)
    contact = _contact(willing)
    hoster = _clean(mail["hoster"])
    answers = {
        "commercial_segments": score.get("commercial_segment"),
        "providers": mail["provider"],
        "mail": mail["mail"],
        "spf": mail["spf"],
        "dkim": mail["dkim"],
        "dmarc": mail["dmarc"],
        "gateway": bool(mail["gateway"]),
        "hoster": bool(hoster),
        "many_includes": mail["includes"] > 3,
        "partial": mail["pct"] is not None,
        "gaps": mail["spf"] in ("absent", "faulty", "open")
        or mail["dkim"] == "absent"
        or mail["dmarc"] in ("none", "faulty", "absent"),
        "complete": bool(score.get("complete")) and scan is not None,
        "tenant_known": tenant_known,
        "mail_elsewhere": tenant_known and mail["mail"] == "found" and mail["provider"] not in ("M365", "Unknown"),
        "co_sell": co_sell,
        "open_referral": any(row.get("is_open") for row in referrals),
        "new_referral": any(_waits(row) for row in referrals),
        "customer_request": any(row.get("is_open") and row.get("category") in _REQUESTS for row in referrals),
        "expiring": expires is not None and expires - now <= _EXPIRING,
        "deal": deal is not None,
        "contact": contact is not None,
        "refuses_contact": refused,
        "overdue": due is not None and due < now,
        "dated": by is not None,
        "timed": due is not None,
    }
    named = templates.providers[mail["provider"]]
    own_name = (
        hoster if mail["provider"] == "Hosting" else _clean(mail["service"]) if mail["provider"] == "Other" else ""
    )
    hours, rhythm = category.act_within_hours, category.rhythm_tr if lang == "tr" else category.rhythm
    domain = _clean(lead.get("domain_shown")) or _clean(company.get("domain")) or _clean(score.get("domain"))
    values = {
        "company": _clean(lead.get("name")) or _clean(company.get("name")) or domain,
        "domain": domain,
        "provider": own_name or named.name.said(lang),
        "on_provider": templates.named_on.said(lang).replace("{name}", own_name) if own_name else named.at.said(lang),
        "score": str(score.get("score", 0)),
        "category": category.category,
        "label": category.label_tr if lang == "tr" else category.label,
        "window": deadlines.said_window(hours, lang) if hours else rhythm or "",
        "contact": contact or "",
        "gateway": _clean(mail["gateway"]),
        "includes": str(mail["includes"]),
        "pct": str(mail["pct"] or ""),
        "deal": deal or "",
        "expires": deadlines.said_date(expires.astimezone(UTC).date(), lang) if expires else "",
        "due": deadlines.said_date(due.date(), lang) if due else "",
        "by": deadlines.said_date(by, lang) if by else "",
    }  # fmt: skip
    return Situation(answers, changes, _employees(company.get("size") or lead.get("size")), values, since, due, by)


def _mail(scan: Mapping[str, Any] | None) -> dict[str, Any]:
    unknown = {"provider": "Unknown", "mail": "unknown", "spf": "unknown", "dkim": "unknown", "dmarc": "unknown",
               "gateway": None, "hoster": None, "service": None, "includes": 0, "pct": None}  # fmt: skip
    if scan is None:
        return unknown
    read = inputs_of(scan)
    findings: Mapping[str, Any] = scan.get("findings") or {}
    pct = (findings.get("dmarc") or {}).get("pct")
    enforced = read["dmarc"] in ("reject", "quarantine")
    return {
        "provider": read["provider"],
        "mail": _answered(read["mx"]),
        "spf": _spf(scan, read["spf"]),
        "dkim": _answered(read["dkim"]),
        "dmarc": "faulty" if scan["dmarc_state"] in ("malformed", "multiple") else read["dmarc"] or "unknown",
        "gateway": scan["gateway"],
        "hoster": scan["hoster"],
        "service": findings.get("service"),
        "includes": read["spf_includes"],
        "pct": pct if enforced and isinstance(pct, int) and 0 <= pct < 100 else None,
    }


def _spf(scan: Mapping[str, Any], found: bool | None) -> str:
    if scan["spf_all"] == "+all":
        return "open"
    if scan["spf_state"] in ("multiple", "syntax", "too_many_lookups", "include_missing"):
        return "faulty"
    return _answered(found)


def _answered(found: bool | None) -> str:
    return {True: "found", False: "absent"}.get(found, "unknown") if found is not None else "unknown"


def _changes(rows: Sequence[Mapping[str, Any]], now: datetime) -> dict[str, tuple[str, str]]:
    recent: dict[str, tuple[str, str]] = {}
    known = get_args(ChangeKind)
    for row in rows:
        if row["kind"] in known and row["kind"] not in recent and now - row["at"] <= _RECENT:
            recent[row["kind"]] = (_clean(row["old"]) or "–", _clean(row["new"]) or "–")
    return recent


def _waits(referral: Mapping[str, Any]) -> bool:
    """Whether it is for us to accept or decline: what we sent out ourselves is for others to answer."""
    return referral.get("status") == "New" and referral.get("direction") != "Outgoing"


def _deal(lead: Mapping[str, Any], lang: Language) -> str | None:
    value = lead.get("deal_value")
    if value is None:
        return None
    try:
        amount = Decimal(str(value))
    except InvalidOperation:
        return None
    if not amount.is_finite() or amount <= 0:
        return None
    return deadlines.said_amount(amount, _clean(lead.get("currency")), lang)


def _expires(lead: Mapping[str, Any], referrals: Sequence[Mapping[str, Any]], now: datetime) -> datetime | None:
    stamps = [row["expires_at"] for row in referrals if _waits(row) and row.get("expires_at")]
    if not referrals and lead.get("expires_at"):
        stamps = [lead["expires_at"]]
    ahead = [stamp for stamp in stamps if stamp >= now]
    return min(ahead) if ahead else None


def _due(since: datetime | None, category: Category) -> datetime | None:
    if category.act_within_hours is None or since is None:
        return None
    return deadlines.within(since, category.act_within_hours)


def _by(due: datetime | None, expires: datetime | None, now: datetime) -> date | None:
    """The day to act by: what is overdue is for the next working day, and never after a referral expired."""
    today = now.astimezone(UTC).date()
    days = [max(due.date(), deadlines.workday_on_or_after(today))] if due else []
    if expires:
        days.append(max(deadlines.workday_on_or_before(expires.astimezone(UTC).date()), today))
    return min(days) if days else None


def _contact(contacts: Sequence[Mapping[str, Any]]) -> str | None:
    for person in contacts:
        name = " ".join(filter(None, (_clean(person.get("first_name")), _clean(person.get("last_name")))))
        if name:
            return name
    return None


def _employees(size: object) -> int | None:
    """The least number of employees a stated size means: ``251to1000employees`` is 251, ``Morethan500`` is 501."""
    numbers = re.findall(r"\d+", str(size).replace(".", "").replace(",", "")[:60]) if size else []
    if not numbers:
        return None
    return int(numbers[0]) + ("morethan" in str(size).lower().replace(" ", ""))


def _clean(value: object) -> str:
    """Text of others on one line, cut to a length that fits a sentence."""
    text = " ".join("".join(char if char.isprintable() else " " for char in str(value or "")).split())
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"
