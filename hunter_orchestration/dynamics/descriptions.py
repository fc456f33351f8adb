"""A lead's description: the sales briefing as plain text, for those who work in the CRM and never open Hunter.

The same inputs give the same text: the day it was written for is that of the newest thing it speaks of, never today,
so that a push of an unchanged company writes nothing.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from hunter_orchestration.dynamics.mapping import Mapping as FieldMappings
from hunter_orchestration.scoring import deadlines
from hunter_orchestration.scoring.briefing import briefing
from hunter_orchestration.scoring.rules import rules_in_force
from hunter_orchestration.scoring.templates import Language, sources_in_force
from hunter_orchestration.settings import Settings

SOURCE = "lead.briefing"
_SCORE = ("domain", "score", "commercial_segment", "complete", "inputs", "changed_at", "priority_since")
_SCAN = ("provider", "gateway", "hoster", "mx_state", "spf_state", "spf_all", "spf_includes", "dkim_found",
         "dmarc_state", "dmarc_policy")  # fmt: skip
_REFERRAL: Mapping[str, str] = {"en": "Referral", "tr": "Yönlendirme"}


class Descriptions:
    """Writes descriptions in the mapping's language.

    Args:
        settings: names the rules, template and offers files.

    Raises:
        TemplatesError: one of them can't be used, and the mapping asks for briefings.
    """

    def __init__(self, mapping: FieldMappings, settings: Settings) -> None:
        self.language: Language = mapping.language
        self.asked = any(SOURCE in field.source for table in mapping.tables.values() for field in table.fields.values())
        self._settings = settings
        self.digest = ""
        """Changes with what the files say; empty when no field asks for a briefing."""
        if self.asked:
            said = sources_in_force(settings.briefing_file, settings.offers_file).model_dump_json()
            self.digest = hashlib.sha256(f"{self.language}{said}".encode()).hexdigest()[:16]

    def label(self, company: Mapping[str, Any]) -> str:
        """The label of a company's category."""
        if self.language == "en":
            return str(company["score_priority_label"])
        return rules_in_force(self._settings.rules_file).category_of(company["score_commercial_segment"]).label_tr

    def text(
        self,
        company: Mapping[str, Any],
        leading: Mapping[str, Any] | None,
        people: Sequence[Mapping[str, Any]],
        deals: Sequence[Mapping[str, Any]],
        changes: Sequence[Mapping[str, Any]],
    ) -> str | None:
        """The description of a company's lead; ``None`` when no field of the mapping asks for it.

        Args:
            company: a row of ``store.crm.company_rows``.
            leading: the leading referral.
            people: whom sales may call, first the one to ask for.
            changes: what scans saw change, newest first.
        """
        if not self.asked:
            return None
        score = {name: company[f"score_{name}"] for name in _SCORE}
        told = briefing(
            {
                "lead": {
                    "domain_shown": company["shown_domain"],
                    "deal_value": leading["deal_value"] if leading else None,
                    "currency": leading["currency"] if leading else None,
                },
                "company": company,
                "score": score,
                "scan": _scan(company),
                "contacts": people,
                "scan_changes": changes,
                "referrals": deals,
            },
            self.language,
            self._settings,
            now=_newest(score, deals, changes),
        )
        return _written(told, leading, self.language)


def _newest(
    score: Mapping[str, Any], deals: Sequence[Mapping[str, Any]], changes: Sequence[Mapping[str, Any]]
) -> datetime:
    moments: list[datetime] = [
        score["changed_at"],
        *(deal["updated_at"] for deal in deals),
        *(change["at"] for change in changes[:1]),
    ]
    return max(moments)


def _scan(company: Mapping[str, Any]) -> dict[str, Any] | None:
    if company["scan_mx_state"] is None:
        return None
    findings = {"dmarc": {"pct": company["scan_pct"]}, "service": company["scan_service"]}
    return {name: company[f"scan_{name}"] for name in _SCAN} | {"findings": findings}


def _written(told: Mapping[str, Any], leading: Mapping[str, Any] | None, language: Language) -> str:
    """What matters most stands first: a column too short for all of it loses the last questions."""
    said: Mapping[str, str] = told["headings"]
    security, offer, step = told["security"], told["offer"], told["next_step"]
    by = f" ({said['by']} {deadlines.said_date(date.fromisoformat(step['by']), language)})" if step["by"] else ""
    risk = said[f"risk_{security['risk']}"]
    doubt = "" if told["complete"] else f" ({said['incomplete']})"
    lines = [
        f"{told['category']} {told['label']}, {said['score']} {told['score']}{doubt}",
        *_referral(leading, language),
        f"{said['opening']}: {told['opening']}",
        f"{said['next_step']}: {step['text']}{by}",
        "",
        f"{said['why']}: {told['why_segment']} {told['why_provider']}",
        f"{said['security']} ({risk}): {security['summary']} {security['angle']} {security['action']}",
        f"{said['offer']}: {offer['name']}, {_price(offer, said, language)}. {offer['description']}",
        f"{said['urgency']}: {told['urgency']}",
        "",
        f"{said['questions']}:",
        *(f"- {question}" for question in told["questions"]),
        "",
        f"{said['as_of']}: {deadlines.said_date(date.fromisoformat(told['as_of']), language)}",
    ]
    return "\n".join(lines)


def _referral(leading: Mapping[str, Any] | None, language: Language) -> list[str]:
    if leading is None:
        return []
    parts = [leading["category"].replace("_", "-"), leading["status"]]
    if leading["deal_value"]:
        parts.append(deadlines.said_amount(Decimal(leading["deal_value"]), leading["currency"] or "", language))
    return [f"{_REFERRAL[language]}: {', '.join(parts)}"]


def _price(offer: Mapping[str, Any], said: Mapping[str, str], language: Language) -> str:
    if offer["price"] is None:
        return said["on_request"]
    amount = deadlines.said_amount(Decimal(str(offer["price"])), offer["currency"], language)
    return f"{amount} {said['per']} {offer['unit']}"
