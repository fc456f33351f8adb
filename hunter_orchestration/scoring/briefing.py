"""The sales briefing of a lead: what to say, in which order, what to offer and by when, with its arithmetic."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Any, TypeVar

from hunter_orchestration.errors import PermanentError
from hunter_orchestration.scoring import deadlines
from hunter_orchestration.scoring.rules import rules_to_show
from hunter_orchestration.scoring.situation import Situation, situation
from hunter_orchestration.scoring.templates import (
    ChangeKind,
    Conditions,
    Language,
    Line,
    Sources,
    Templates,
    sources_to_show,
)
from hunter_orchestration.settings import Settings
from hunter_orchestration.store.work import utc_now

Row = TypeVar("Row", bound=Conditions)


class BriefingError(PermanentError):
    """There is nothing to brief about: the lead has no score."""


def briefing(
    facts: Mapping[str, Any], lang: Language, settings: Settings, *, now: datetime | None = None
) -> dict[str, Any]:
    """What sales says to this customer.

    Args:
        facts: ``lead``, ``company``, ``score``, ``scan`` (rows of the store, or ``None``) and ``contacts``,
            ``scan_changes``, ``referrals`` (lists of rows).
        lang: ``tr`` or ``en``.
        settings: names the rules, template and offers files.
        now: aware; the current time unless given.

    Returns:
        opening, why_segment, why_provider, urgency: texts; security: {risk: low, medium or high, summary, angle,
        action}; script, questions: lists of texts; offer: {key, name, description, price: a number or None,
        currency, unit}; potential: {value: 0..100, parts: [{text, points}]}, the points adding up to the value;
        next_step: {text, by: ISO date or None}; and for the printed page lang, company, domain, score, category,
        label, complete, as_of (ISO date), headings.

    Raises:
        BriefingError: the lead has no score yet.
        RulesError, TemplatesError: a file people edit is broken and was not read before; the message names file, line
            and reason.
    """
    score = facts.get("score")
    if score is None:
        raise BriefingError("There is no briefing for a lead without a score.", "Scan and score it first.")
    now = now or utc_now()
    category = rules_to_show(settings.rules_file).category_of(score["commercial_segment"])
    sources = sources_to_show(settings.briefing_file, settings.offers_file)
    lead = situation(facts, category, sources.templates, lang, now)
    return {
        **_said(sources, lead, lang, now.date()),
        "lang": lang,
        "company": lead.values["company"],
        "domain": lead.values["domain"],
        "score": score["score"],
        "category": category.category,
        "label": lead.values["label"],
        "complete": lead.answers["complete"],
        "as_of": now.date().isoformat(),
        "headings": {name: words.said(lang) for name, words in sources.templates.headings.items()},
    }


def _said(sources: Sources, lead: Situation, lang: Language, today: date) -> dict[str, Any]:
    templates = sources.templates
    step = _first(templates.next_step, lead)
    by = lead.by
    if by is None and step.every_days is not None and lead.since is not None:
        by = deadlines.next_turn(lead.since.date(), step.every_days, today)

    def one(rows: Sequence[Line]) -> str:
        return _text(_first(rows, lead), lead, templates, lang)

    def every(rows: Sequence[Line]) -> list[str]:
        return [_text(row, lead, templates, lang) for row in rows if lead.holds(row)]

    security = templates.security
    return {
        "opening": one(templates.opening),
        "why_segment": one(templates.why_segment),
        "why_provider": one(templates.why_provider),
        "security": {
            "risk": _first(security.risk, lead).risk,
            "summary": " ".join(every(security.summary)),
            "angle": one(security.angle),
            "action": one(security.action),
        },
        "script": every(templates.script),
        "questions": every(templates.questions)[: templates.most_questions],
        "offer": _offer(sources, lead, lang),
        "potential": _potential(templates, lead, lang),
        "urgency": one(templates.urgency),
        "next_step": {"text": _text(step, lead, templates, lang), "by": by.isoformat() if by else None},
    }


def _first(rows: Sequence[Row], lead: Situation) -> Row:
    return next(row for row in rows if lead.holds(row))


def _text(row: Line, lead: Situation, templates: Templates, lang: Language) -> str:
    values = dict(lead.values)
    for kind in row.changes or ():
        if kind in lead.changes:
            old, new = (_value(kind, value, templates, lang) for value in lead.changes[kind])
            values |= {"changed": templates.change_kinds[kind].said(lang), "old": old, "new": new}
            break
    return row.said(lang).format(**values)


def _value(kind: ChangeKind, value: str, templates: Templates, lang: Language) -> str:
    """A value of a change in words: ``valid -all`` as "valid (-all)", a provider by its name."""
    if kind == "provider" and value in templates.providers:
        return templates.providers[value].name.said(lang)
    words = templates.change_values.get("any", {}) | templates.change_values.get(kind, {})
    state, _, rest = value.partition(" ")
    if state not in words:
        return value
    return words[state].said(lang) + (f" ({rest})" if rest else "")


def _offer(sources: Sources, lead: Situation, lang: Language) -> dict[str, Any]:
    key = _first(sources.templates.offers, lead).offer
    offer = sources.offers[key]
    return {
        "key": key,
        "name": offer.name.said(lang),
        "description": offer.description.said(lang),
        "price": None if offer.price is None else float(offer.price),
        "currency": offer.currency,
        "unit": offer.unit.said(lang),
    }


def _potential(templates: Templates, lead: Situation, lang: Language) -> dict[str, Any]:
    parts = [
        {"text": _text(row, lead, templates, lang), "points": row.points}
        for row in templates.potential
        if lead.holds(row)
    ]
    total = sum(row.points for row in templates.potential if lead.holds(row))
    if total > 100:
        parts.append({"text": templates.potential_ceiling.said(lang), "points": 100 - total})
    elif total < 0:
        parts.append({"text": templates.potential_floor.said(lang), "points": -total})
    return {"value": max(0, min(100, total)), "parts": parts}
