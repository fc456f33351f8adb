"""A company from all that is known of it: pure functions of the evidence, so that a repeat gives the same row.

Ranks: a person's edit before a referral before a file, the API or a form before the domain itself. Within a rank the
leading referral (open before closed, newest first), or the newest record, that says anything wins.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from hunter_orchestration.companies.domains import company_domain, email_address, email_hash
from hunter_orchestration.companies.naming import clean, is_a_name
from hunter_orchestration.store.company_evidence import PARTNER_CENTER
from hunter_orchestration.store.leads import shown
from hunter_orchestration.store.suppressions import Suppressed

EDITABLE = ("name", "country", "city", "size", "phone", "website")
"""Fields a person may set."""

CO_SELL = "co_sell"
Row = Mapping[Any, Any]

_CONTACT_FIELDS = ("first_name", "last_name", "phone", "title", "locale")
_NO_CONTACT_FIELDS: Mapping[str, Any] = dict.fromkeys(_CONTACT_FIELDS)


@dataclass(frozen=True, slots=True)
class Evidence:
    """All that counts for one company: referrals (leading first) and records of other sources (newest first)."""

    referrals: Sequence[Row]
    mentions: Sequence[Row]

    def __bool__(self) -> bool:
        return bool(self.referrals or self.mentions)

    def own_first(self, domain: str) -> Evidence:
        """The same with what names this very domain before what came in by a merge."""

        def foreign(row: Row) -> bool:
            return row["domain"] not in (domain, None)

        return Evidence(sorted(self.referrals, key=foreign), sorted(self.mentions, key=foreign))


def company_row(domain: str, existing: Row | None, evidence: Evidence, now: datetime) -> dict[str, Any]:
    """The columns of ``companies`` that follow from evidence and from what a person set on the existing row."""
    edited = dict((existing or {}).get("edited") or {})
    leading, evidence = evidence.referrals[:1], evidence.own_first(domain)
    name, name_source = _name(domain, evidence, edited)
    size, size_source = _ranked(evidence, edited, "company_size", "size")
    phone, _ = _ranked(evidence, edited, None, "phone")
    website, _ = _ranked(evidence, edited, None, "website")
    country, _ = _ranked(evidence, edited, "country", "country")
    city, _ = _ranked(evidence, edited, "city", "city")
    tenant_id, tenant_source = _ranked(evidence, {}, "tenant_id", "tenant_id")
    opened = [row for row in evidence.referrals if row["is_open"]]
    first, last = _span(evidence, existing, now)
    return {
        "domain": domain,
        "name": name,
        "name_source": name_source,
        "country": country,
        "city": city,
        "address": _address(evidence),
        "size": size,
        "size_source": size_source,
        "phone": phone,
        "website": website,
        "tenant_id": tenant_id,
        "tenant_source": tenant_source,
        "tenant_name": _tenant_name(evidence),
        "sources": _sources(evidence) or (existing or {}).get("sources") or {},
        "edited": edited or None,
        "referral_count": len(evidence.referrals),
        "open_referral_count": len(opened),
        "has_open_co_sell": any(row["category"] == CO_SELL for row in opened),
        "leading_referral_id": leading[0]["id"] if leading else None,
        "open_deal_value": _deal_value(opened),
        "first_seen_at": first,
        "activity_at": last,
    }


def contact_rows(domain: str, evidence: Evidence, suppressed: Suppressed, now: datetime) -> dict[str, dict[str, Any]]:
    """People of the customer side by e-mail hash; for each field the leading source that has one wins."""
    found: dict[str, dict[str, Any]] = {}
    for row in evidence.referrals:
        for person in row["contacts"] or ():
            _add(found, domain, person, suppressed, now, PARTNER_CENTER, row["id"], row["consent"], row["created_at"])
    for row in evidence.mentions:
        if row["contact"]:
            _add(found, domain, row["contact"], suppressed, now, row["source"], None, None, row["first_at"])
    return found


def _add(
    found: dict[str, dict[str, Any]],
    domain: str,
    person: Row,
    suppressed: Suppressed,
    now: datetime,
    source: str,
    referral_id: str | None,
    consent: Any,
    first: datetime,
) -> None:
    address = email_address(person.get("email"))
    if address is None or suppressed.email(address):
        return
    digest = email_hash(address)
    known = found.get(digest)
    if known is None:
        known = found[digest] = {
            "company_domain": domain,
            "email_hash": digest,
            "email": address,
            **_NO_CONTACT_FIELDS,
            "consent": consent,
            "source": source,
            "referral_id": referral_id,
            "first_seen_at": first,
            "changed_at": now,
        }
    for name in _CONTACT_FIELDS:
        if not known[name]:
            known[name] = clean(person.get(name))
    known["first_seen_at"] = min(known["first_seen_at"], first)


def _name(domain: str, evidence: Evidence, edited: Row) -> tuple[str, str]:
    if is_a_name(edited.get("name")):
        return str(edited["name"]), "person"
    for row in evidence.referrals:
        if is_a_name(row["company_name"]):
            return clean(row["company_name"]) or "", "referral"
    for row in evidence.mentions:
        if is_a_name(row["fields"].get("company")):
            return clean(row["fields"]["company"]) or "", _rank_name(row["source"])
    return shown(domain), "domain"


def _rank_name(source: str) -> str:
    return "import" if source == "import" else "api"


def _ranked(
    evidence: Evidence, edited: Row, referral_field: str | None, record_field: str
) -> tuple[str | None, str | None]:
    if edited.get(record_field):
        return str(edited[record_field]), "person"
    if referral_field is not None:
        for row in evidence.referrals:
            # A country is a code by now, and Namibia's is a word for "nothing" elsewhere.
            if value := row["country"] if referral_field == "country" else clean(row[referral_field]):
                return value, "referral"
    for row in evidence.mentions:
        if value := clean(row["fields"].get(record_field)):
            return value, _rank_name(row["source"])
    return None, None


def _address(evidence: Evidence) -> dict[str, Any] | None:
    for row in evidence.referrals:
        if row["address"]:
            return dict(row["address"])
    for row in evidence.mentions:
        if text := clean(row["fields"].get("address")):
            return {"line1": text}
    return None


def _tenant_name(evidence: Evidence) -> str | None:
    """The tenant that an address of a contact names: evidence of a Microsoft 365 tenant, never of a company."""
    people = [person for row in evidence.referrals for person in row["contacts"] or ()]
    people += [row["contact"] for row in evidence.mentions if row["contact"]]
    for person in people:
        address = person.get("email")
        if address and "onm" in address.lower() and (tenant := company_domain(address).tenant):
            return tenant
    return None


def _sources(evidence: Evidence) -> dict[str, dict[str, str]]:
    spans: dict[str, tuple[datetime, datetime]] = {}
    for source, first, last in _stamps(evidence):
        known = spans.get(source)
        spans[source] = (first, last) if known is None else (min(known[0], first), max(known[1], last))
    return {
        source: {"first": first.isoformat(), "last": last.isoformat()}
        for source, (first, last) in sorted(spans.items())
    }


def _stamps(evidence: Evidence) -> Iterable[tuple[str, datetime, datetime]]:
    for row in evidence.referrals:
        yield PARTNER_CENTER, row["created_at"], row["updated_at"]
    for row in evidence.mentions:
        yield row["source"], row["first_at"], row["last_at"]


def _span(evidence: Evidence, existing: Row | None, now: datetime) -> tuple[datetime, datetime]:
    stamps = list(_stamps(evidence))
    if not stamps:
        return (existing["first_seen_at"], existing["activity_at"]) if existing is not None else (now, now)
    return min(first for _, first, _ in stamps), max(last for _, _, last in stamps)


def _deal_value(opened: Sequence[Row]) -> dict[str, int | float] | None:
    """Open deals by currency. An engagement is one deal, however many sides see it: its leading referral's counts."""
    sums: dict[str, Decimal] = {}
    counted: set[str] = set()
    for row in opened:
        engagement = row["engagement_id"] or row["id"]
        if row["deal_value"] is None or not row["currency"] or engagement in counted:
            continue
        counted.add(engagement)
        sums[row["currency"]] = sums.get(row["currency"], Decimal(0)) + row["deal_value"]
    plain = {
        currency: int(value) if value == value.to_integral_value() else float(value)
        for currency, value in sorted(sums.items())
    }
    return plain or None
