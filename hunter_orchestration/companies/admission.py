"""Whether a record is let in, and single leads of the API and forms, which are built into companies at once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from hunter_orchestration.companies import stage
from hunter_orchestration.companies.domains import email_address
from hunter_orchestration.companies.records import canonical, record_domain, record_hash, record_key
from hunter_orchestration.errors import PermanentError
from hunter_orchestration.store import Store, companies, raw_leads, suppressions
from hunter_orchestration.store import imports as import_store
from hunter_orchestration.store.raw_leads import Payload
from hunter_orchestration.store.suppressions import Suppressed
from hunter_orchestration.store.work import StageResult, utc_now

REASONS = {
    "empty": "The row names no domain, website or e-mail address.",
    "ip": "An IP address is no company.",
    "syntax": "What stands in the domain, website or e-mail column is none.",
    "special-use": "The name is reserved for private networks.",
    "public-suffix": "The name is an ending under which many companies register, not a company's.",
    "free-mail": "The address is at a free mail provider, and the row gives no other domain.",
    "disposable": "The address is at a provider of throw-away mail, and the row gives no other domain.",
    "platform": "The link leads into a platform, and the row gives no domain of its own.",
    "suppressed": "This company or person was erased on request and does not come back.",
}
"""What a refusal says to a person, by its kind."""


class RecordRefusedError(PermanentError):
    """A single lead names no company.

    Args:
        reason: the kind, as ``DomainAnswer.rejected``, or ``suppressed``.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(REASONS[reason], "Give the company's domain, website or a business e-mail address.")
        self.reason = reason

    def __reduce__(self) -> tuple[Any, ...]:
        return RecordRefusedError, (self.reason,)


@dataclass(frozen=True, slots=True)
class AddedLead:
    """A single lead as stored; ``new`` is false when exactly this was known."""

    domain: str
    raw_lead_id: int
    new: bool


def admitted(values: Mapping[str, Any], suppressed: Suppressed) -> tuple[dict[str, str], str, str | None]:
    """The canonical record of some values, the reason why it is refused, and its domain unless it is.

    An erased person is taken out of the record; the company stays where something else names it.
    """
    record = canonical(values)
    if suppressed and suppressed.email(email_address(record.get("email"))):
        for name in ("email", "first_name", "last_name", "phone", "title", "notes"):
            record.pop(name, None)
        if record_domain(record).domain is None:
            return {}, "suppressed", None
    answer = record_domain(record)
    if answer.domain is None:
        return record, answer.rejected or "empty", None
    if suppressed.domain(answer.domain):
        return {}, "suppressed", None
    return record, "", answer.domain


def add_lead(store: Store, values: Mapping[str, Any], source: str) -> AddedLead:
    """Take one lead from the API (source ``api``) or a form (``webhook``) and build its company at once.

    Raises:
        RecordRefusedError: it names no company.
    """
    now = utc_now()
    with store.write() as connection:
        companies.lock_writers(connection)
        record, reason, domain = admitted(values, suppressions.load(connection))
        if domain is None:
            raise RecordRefusedError(reason)
        payload = Payload(record_key(record, domain), record_hash(record), record, None)
        kept = raw_leads.keep(connection, source, [payload], now=now, pass_started=now)
        row = import_store.record(connection, source, payload.external_id, payload.hash)
        if row is None:
            raise RuntimeError("the record was not stored")
        if kept.stored:
            stage.take_records(connection, StageResult(), [row])
        return AddedLead(domain, int(row["id"]), bool(kept.stored))
