"""From the store to the records the CRM should hold: which ones a company has, under which key, with which facts.

One query a subject and chunk. Nothing here knows the CRM's columns; ``values`` renders the facts into them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from hunter_orchestration.dynamics.descriptions import Descriptions
from hunter_orchestration.dynamics.mapping import Mapping as FieldMappings
from hunter_orchestration.dynamics.mapping import Stage
from hunter_orchestration.scoring.templates import Language
from hunter_orchestration.store import Connection, crm
from hunter_orchestration.store.lead_details import refuses_contact
from hunter_orchestration.store.leads import first_source

_MICROSOFT = "msft"
_PRIORITY_STEP = 100


@dataclass(slots=True)
class Record:
    """One record the CRM should hold.

    ``parents`` maps a ``record.…`` source to the record it stands for; ``changed_at`` is when Hunter last learnt
    something about it, UTC.
    """

    table: str
    external_id: str
    domain: str
    facts: dict[str, Any]
    changed_at: datetime
    referral_id: str | None = None
    parents: dict[str, tuple[str, str]] = field(default_factory=dict)

    @property
    def identity(self) -> tuple[str, str]:
        """Table and external id."""
        return self.table, self.external_id


@dataclass(slots=True)
class Wanted:
    """What a chunk of companies needs: records by table, companies left out with the reason, their due stamps, and
    the ledger rows by identity."""

    records: dict[str, list[Record]]
    skipped: dict[str, str]
    stamps: dict[str, datetime | None]
    ledger: dict[tuple[str, str], dict[str, Any]]


def build(connection: Connection, mapping: FieldMappings, descriptions: Descriptions, domains: Sequence[str]) -> Wanted:
    """The records of some companies. A company that is in the CRM already stays there, and an opportunity too."""
    rows = crm.company_rows(connection, domains)
    people = crm.contacts_of(connection, domains)
    deals = crm.referrals_of(connection, domains)
    networks = crm.networks_of(connection, domains)
    changes = crm.scan_changes_of(connection, domains) if descriptions.asked else {}
    identities = [("contact", p["email_hash"]) for group in people.values() for p in group]
    identities += [("opportunity", d["id"]) for group in deals.values() for d in group]
    known = crm.ledger(connection, domains, identities)
    wanted = Wanted({t: [] for t in mapping.tables}, {}, {d: r["push_due_at"] for d, r in rows.items()}, known)
    taken: set[str] = set()
    for domain in domains:
        company = rows.get(domain)
        if company is None or company["merged_into"] is not None:
            continue
        reason = _reason_to_skip(company, mapping, known)
        if reason is not None:
            wanted.skipped[domain] = reason
            continue
        facts = _company_facts(company, networks.get(domain), mapping.language)
        changed = max(filter(None, (company["changed_at"], company["score_scored_at"])))
        wanted.records["account"].append(Record("account", domain, domain, facts, changed))
        main = _contacts(wanted, company, people.get(domain, []), facts, changed, known, taken)
        leading = _leading(company, deals.get(domain, []))
        lead_facts = facts | _person("person", main) | _referral_facts(leading)
        lead_facts |= {
            "lead.subject": f"{company['name']}: {descriptions.label(company)}",
            "lead.origin": _origin(company, leading, facts["company.source"]),
            "lead.briefing": descriptions.text(
                company,
                leading,
                [person for person in people.get(domain, ()) if not refuses_contact(person)],
                deals.get(domain, ()),
                changes.get(domain, ()),
            ),
        }
        parents = {"record.account": ("account", domain)}
        if main is not None:
            parents["record.contact"] = ("contact", main["email_hash"])
        referral_id = leading["id"] if leading else None
        wanted.records["lead"].append(Record("lead", domain, domain, lead_facts, changed, referral_id, dict(parents)))
        parents["record.lead"] = ("lead", domain)
        for deal in _one_a_deal(deals.get(domain, []), known):
            stage = _stage(deal, company, mapping)
            if stage is None and ("opportunity", deal["id"]) not in known:
                continue
            opportunity = lead_facts | _referral_facts(deal) | _opportunity_facts(deal, company, stage)
            wanted.records["opportunity"].append(
                Record("opportunity", deal["id"], domain, opportunity, max(changed, deal["updated_at"]), deal["id"],
                       dict(parents))
            )  # fmt: skip
    return wanted


def _reason_to_skip(
    company: Mapping[str, Any], mapping: FieldMappings, known: Mapping[tuple[str, str], Any]
) -> str | None:
    if company["score_domain"] is None:
        return "not_scored"
    ledger = known.get(("account", company["domain"])) or known.get(("lead", company["domain"]))
    if ledger is not None and ledger["crm_id"] is not None:
        return None
    if company["score_priority"] in mapping.skip_priorities and not company["open_referral_count"]:
        return "priority"
    return None


def _contacts(
    wanted: Wanted,
    company: Mapping[str, Any],
    people: Sequence[Mapping[str, Any]],
    facts: Mapping[str, Any],
    changed: datetime,
    known: Mapping[tuple[str, str], Any],
    taken: set[str],
) -> Mapping[str, Any] | None:
    """Add the company's contacts; the first one stands on the lead. A person of two companies is the contact of the
    one that had them first."""
    main: Mapping[str, Any] | None = None
    for person in people:
        main = main or person
        identity = ("contact", person["email_hash"])
        ledger = known.get(identity)
        if person["email_hash"] in taken or (ledger is not None and ledger["company_domain"] != company["domain"]):
            continue
        taken.add(person["email_hash"])
        wanted.records["contact"].append(
            Record("contact", person["email_hash"], company["domain"], {**facts, **_person("contact", person)},
                   max(changed, person["changed_at"]), person["referral_id"],
                   {"record.account": ("account", company["domain"])})
        )  # fmt: skip
    return main


def _company_facts(company: Mapping[str, Any], network: Mapping[str, Any] | None, language: Language) -> dict[str, Any]:
    address = company["address"] or {}
    street = address.get("street") or address.get("line1") or address.get("addressLine1")
    facts = {
        "company.domain": company["domain"],
        "company.name": company["name"],
        "company.country": company["country"],
        "company.city": company["city"] or address.get("city"),
        "company.street": street,
        "company.state": address.get("state") or address.get("region"),
        "company.postal_code": address.get("postal_code") or address.get("postalCode"),
        "company.phone": company["phone"],
        "company.website": company["website"] or f"https://{company['domain']}",
        "company.size": company["size"],
        "company.tenant_id": company["tenant_id"],
        "company.source": first_source(company["sources"]),
    }
    facts |= {f"score.{n}": company[f"score_{n}"] for n in (
        "score", "priority", "priority_label", "segment", "commercial_segment", "technical_heat", "commercial_heat",
        "provider", "rules_version",
    )}  # fmt: skip
    facts["score.priority_score"] = priority_score(company["score_priority"], company["score_score"])
    facts["score.signals"] = signals(company["score_breakdown"], language)
    facts |= {f"scan.{n}": company[f"scan_{n}"] for n in ("gateway", "hoster", "tenant_id", "tenant_name")}
    facts["scan.infrastructure"] = infrastructure(company, network)
    return facts


def priority_score(priority: str, score: int) -> int:
    """One number that sorts as Hunter does: every P1 before every P2, the higher score first; 0 to 700."""
    return (7 - int(priority[1])) * _PRIORITY_STEP + score if priority[1:].isdigit() else score


def signals(breakdown: Sequence[Mapping[str, Any]] | None, language: Language) -> str | None:
    """The points of a score, one a line: ``+10 SPF found``."""
    return "\n".join(f"{point['points']:+d} {point['text'][language]}" for point in breakdown or ()) or None


def infrastructure(company: Mapping[str, Any], network: Mapping[str, Any] | None) -> str | None:
    """A few lines on who runs the company's mail and network."""
    if company["scan_mx_state"] is None:
        return None
    lines = [f"Mail: {company['score_provider']}"]
    if company["scan_gateway"]:
        lines.append(f"Gateway: {company['scan_gateway']}")
    if company["scan_hoster"]:
        lines.append(f"Hoster: {company['scan_hoster']}")
    dkim = {True: "found", False: "absent", None: "unknown"}[company["scan_dkim_found"]]
    dmarc = company["scan_dmarc_policy"] or company["scan_dmarc_state"]
    lines.append(f"MX {company['scan_mx_state']}, SPF {company['scan_spf_state']}, DKIM {dkim}, DMARC {dmarc}")
    if network:
        parts = [network.get("address"), network.get("organisation"), network.get("country")]
        if network.get("asn"):
            parts.append(f"AS{str(network['asn']).removeprefix('AS')}")
        lines.append("Network: " + ", ".join(str(p) for p in parts if p))
    return "\n".join(lines)


def _person(prefix: str, person: Mapping[str, Any] | None) -> dict[str, Any]:
    if person is None:
        return {}
    return {
        f"{prefix}.first_name": person["first_name"],
        f"{prefix}.last_name": person["last_name"],
        f"{prefix}.email": person["email"],
        f"{prefix}.email_name": person["email"].partition("@")[0],
        f"{prefix}.phone": person["phone"],
        f"{prefix}.title": person["title"],
        f"{prefix}.refuses_contact": refuses_contact(person) or None,
    }


def _referral_facts(deal: Mapping[str, Any] | None) -> dict[str, Any]:
    names = ("id", "name", "category", "status", "notes", "deal_value", "currency", "closing_at")
    facts = {f"referral.{n}": deal[n] if deal else None for n in names}
    if facts["referral.currency"] is None:
        # The CRM would take an amount without a currency for one in its own.
        facts["referral.deal_value"] = None
    return facts


def _leading(company: Mapping[str, Any], deals: Sequence[Mapping[str, Any]]) -> Mapping[str, Any] | None:
    return next((d for d in deals if d["id"] == company["leading_referral_id"]), deals[-1] if deals else None)


def _origin(company: Mapping[str, Any], leading: Mapping[str, Any] | None, source: str) -> str:
    """Where a lead comes from and what it is: ``partnercenter/co_sell``, ``import/Migration``."""
    co_sell = leading is not None and leading["category"] == "co_sell"
    return f"{source}/{'co_sell' if co_sell else company['score_segment']}"


def _one_a_deal(
    deals: Sequence[Mapping[str, Any]], known: Mapping[tuple[str, str], Mapping[str, Any]]
) -> list[Mapping[str, Any]]:
    """One referral for each engagement: however many sides see a deal, it is worth its value once. A side that is in
    the CRM already stays the one; else our own comes before Microsoft's, and an accepted one before a new one."""
    there = {deal["id"] for deal in deals if (known.get(("opportunity", deal["id"])) or {}).get("crm_id")}

    def rank(deal: Mapping[str, Any]) -> tuple[Any, ...]:
        theirs = (deal["organization_id"] or "").lower() == _MICROSOFT
        return deal["id"] not in there, not deal["is_open"], theirs, deal["status"] != "Active", deal["created_at"]

    chosen: dict[str, str] = {}
    for deal in sorted(deals, key=rank):
        chosen.setdefault(deal["engagement_id"] or deal["id"], deal["id"])
    return [deal for deal in deals if deal["id"] in there or deal["id"] in chosen.values()]


def _stage(deal: Mapping[str, Any], company: Mapping[str, Any], mapping: FieldMappings) -> Stage | None:
    """Stage of a deal: by score; an Active co-sell referral always has one; a closed one never gets a new one."""
    if not deal["is_open"]:
        return None
    earned = mapping.stage_for(company["score_score"])
    if earned is None and deal["category"] == "co_sell" and deal["status"] == "Active":
        return mapping.co_sell_stage
    return earned


def _opportunity_facts(deal: Mapping[str, Any], company: Mapping[str, Any], stage: Stage | None) -> dict[str, Any]:
    return {
        "opportunity.name": deal["name"] or f"{company['name']}: {deal['category']}",
        "opportunity.stage": stage.stage if stage else None,
        "opportunity.probability": stage.probability if stage else None,
    }
