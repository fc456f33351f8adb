"""Erasure on request: a person by e-mail address, or a company by domain, taken out of everything that is stored.

What was erased is kept as a keyed hash alone, so that the next sync or import does not bring it back.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hunter_orchestration.companies import deriving
from hunter_orchestration.companies.domains import domain_of_website, email_address, email_hash
from hunter_orchestration.companies.records import FIELDS, record_domain, record_hash, record_key
from hunter_orchestration.errors import PermanentError
from hunter_orchestration.store import Connection, Store, companies, company_evidence, erasing, leads, suppressions
from hunter_orchestration.store.company_evidence import PARTNER_CENTER
from hunter_orchestration.store.work import utc_now

ERASED = "[erased]"

_PERSONAL_KEYS = re.compile(
    r"(?i)^(?:(?:first|last|full|given|middle)_?name|surname|title|job_?title|notes?|locale|consent|"
    r"contact_?preference)$|e_?mail|phone|mobile|fax"
)
_ADDRESS = re.compile(r"[^\s<>()\[\],;:\"']{1,64}@[\w.-]{3,253}")
_RECORD_FIELDS = frozenset(FIELDS)
_NOTHING = object()


class ErasureError(PermanentError):
    """The subject is neither an e-mail address nor a company's own domain."""


@dataclass(frozen=True, slots=True)
class Erased:
    """What was done: the kind of subject, and rows touched by table."""

    kind: str
    counts: dict[str, int]


class Scrubber:
    """Takes erased people out of JSON and text.

    Args:
        is_erased: whether a lower-case address belongs to somebody erased.
        texts: names and numbers of the person, replaced wherever they stand.
    """

    def __init__(self, is_erased: Callable[[str], bool], texts: Iterable[str] = ()) -> None:
        self._is_erased = is_erased
        words = sorted({text.strip() for text in texts if len(text.strip()) > 4}, key=len, reverse=True)
        self._texts = re.compile("|".join(map(re.escape, words)), re.IGNORECASE) if words else None

    def __call__(self, value: Any) -> Any:
        """The value without them. A person's own object is emptied of personal fields, and left out of a list."""
        cleaned = self._scrubbed(value)
        return None if cleaned is _NOTHING else cleaned

    def _scrubbed(self, value: Any) -> Any:
        if isinstance(value, str):
            return self._text(value)
        if isinstance(value, Mapping):
            return self._object(value)
        if isinstance(value, list | tuple):
            return [cleaned for item in value if (cleaned := self._scrubbed(item)) is not _NOTHING]
        return value

    def _object(self, value: Mapping[str, Any]) -> Any:
        if not any(self._is_of_person(item) for item in value.values()):
            return {key: None if (new := self._scrubbed(item)) is _NOTHING else new for key, item in value.items()}
        kept = {
            key: self._scrubbed(item)
            for key, item in value.items()
            if not _PERSONAL_KEYS.search(key) and not self._is_of_person(item)
        }
        kept = {key: item for key, item in kept.items() if item is not _NOTHING}
        if set(value) <= _RECORD_FIELDS and record_domain(kept).domain is None:
            # A record that named its company by the person's address alone goes on naming the company.
            kept |= {"domain": domain} if (domain := record_domain(value).domain) else {}
        return kept or _NOTHING

    def _is_of_person(self, item: Any) -> bool:
        """An address of theirs, or a change from or to one, as the audit writes it: [old, new]."""
        if isinstance(item, list | tuple) and len(item) == 2:
            return any(isinstance(part, str) and self._names_person(part) for part in item)
        return isinstance(item, str) and self._names_person(item)

    def _names_person(self, text: str) -> bool:
        address = email_address(text)
        return address is not None and self._is_erased(address)

    def _text(self, text: str) -> Any:
        if "@" in text:
            if self._names_person(text):
                return _NOTHING
            text = _ADDRESS.sub(lambda found: ERASED if self._names_person(found[0].rstrip(".")) else found[0], text)
        if self._texts is None:
            return text
        return _NOTHING if self._texts.fullmatch(text.strip()) else self._texts.sub(ERASED, text)


def scrubber(store: Store) -> Callable[[dict[str, Any]], dict[str, Any]]:
    """What a fetch passes payloads through before they are stored, so that the erased do not come back."""
    with store.read() as connection:
        suppressed = suppressions.load(connection)

    def scrubbed(payload: dict[str, Any]) -> dict[str, Any]:
        if not suppressed:
            return payload
        # Only the payload itself still knows the names that stand beside an erased address.
        texts = list(_texts_beside(payload, suppressed.email))
        return Scrubber(suppressed.email, texts)(payload) or {}

    return scrubbed


def _texts_beside(value: Any, is_erased: Callable[[str], bool]) -> Iterator[str]:
    """Full names and numbers of the objects that bear an erased address."""
    if isinstance(value, list | tuple):
        for item in value:
            yield from _texts_beside(item, is_erased)
    elif isinstance(value, Mapping):
        texts = {key.lower().replace("_", ""): item for key, item in value.items() if isinstance(item, str)}
        if any((address := email_address(text)) is not None and is_erased(address) for text in texts.values()):
            first, last = texts.get("firstname"), texts.get("lastname")
            if first and last:
                yield f"{first.strip()} {last.strip()}"
            yield from (text for key, text in texts.items() if "phone" in key)
        for item in value.values():
            yield from _texts_beside(item, is_erased)


def subject_of(text: str) -> tuple[str, str]:
    """(kind, subject) of a request: ``email`` and the bare address, or ``domain`` and the registrable domain.

    Raises:
        ErasureError: the text is neither.
    """
    address = email_address(text)
    if address is not None:
        return "email", address
    # A mail provider's domain would erase everybody who has a mailbox there.
    domain = domain_of_website(text).domain if "@" not in text else None
    if domain is None:
        raise ErasureError(f"{text!r} is neither an e-mail address nor a company's domain.", "Give one of the two.")
    return "domain", domain


def forget(store: Store, subject: str, requested_by: str, *, home: Path | None = None) -> Erased:
    """Erase a person or a company everywhere, in one transaction, and record that it was done.

    A person's deals stay with their company. Records of the CRM itself are not deleted there: its own process does.

    Args:
        subject: an e-mail address or a domain.
        home: HUNTER_HOME, where received files wait; those of failed and cancelled imports are removed.

    Raises:
        ErasureError: the subject is neither.
    """
    kind, name = subject_of(subject)
    now = utc_now()
    counts: Counter[str] = Counter()
    files: list[str] = []
    with store.write() as connection:
        companies.lock_writers(connection)
        digest = suppressions.suppress(connection, kind, name, now)
        if kind == "email":
            _forget_person(connection, name, counts)
        else:
            _forget_domain(connection, name, counts)
        files = erasing.waiting_files(connection)
        suppressions.record(connection, digest, kind, requested_by, now, counts)
        companies.record(connection, now, requested_by, "forget", fields={"kind": kind, "counts": dict(counts)})
    for path in files if home is not None else ():
        with suppress(OSError):
            (Path(home or ".") / path).unlink()
    erasing.purge(store)
    return Erased(kind, dict(counts))


def _forget_person(connection: Connection, address: str, counts: Counter[str]) -> None:
    digest = email_hash(address)
    people = erasing.people(connection, digest)
    texts = [text for person in people for text in _texts_of(person)]
    scrub = Scrubber(lambda found: found == address, texts)
    touched = _scrub_everything(connection, scrub, [address, digest], counts)
    counts.update(erasing.delete_person(connection, digest))
    _keep_companies(connection, touched)
    suppressed = suppressions.load(connection)
    deriving.rebuild(connection, {person["company_domain"] for person in people}, utc_now(), suppressed)


def _texts_of(person: Mapping[str, Any]) -> list[str]:
    full = " ".join(filter(None, (person["first_name"], person["last_name"])))
    return [text for text in (full if " " in full else "", person["phone"] or "") if text]


def _keep_companies(connection: Connection, touched: Iterable[str]) -> None:
    """A deal must not lose its company because the person who named it is gone: the link is kept as a decision."""
    ids = sorted(set(touched))
    known = companies.links(connection, ids)
    for referral_id, company in erasing.referrals_naming(connection, ids):
        if company is not None and referral_id not in known:
            companies.save_link(connection, referral_id, company, "erasure", utc_now())
    rows = company_evidence.referrals_by_id(connection, ids)
    deriving.decide(connection, rows, suppressions.load(connection))


def _forget_domain(connection: Connection, domain: str, counts: Counter[str]) -> None:
    counts.update(erasing.delete_domain(connection, domain))
    counts["raw_leads"] += erasing.delete_records_of(connection, domain)

    def at_domain(address: str) -> bool:
        host = address.rpartition("@")[2]
        return host == domain or host.endswith(f".{domain}")

    _scrub_everything(connection, Scrubber(at_domain, [domain]), [domain], counts)
    leads.refresh(connection, [domain])


def _scrub_everything(connection: Connection, scrub: Scrubber, needles: list[str], counts: Counter[str]) -> list[str]:
    """Scrub every place; returns the ids of the referrals that were touched."""
    touched: list[str] = []
    for place in erasing.PLACES:
        for rows in erasing.holding(connection, place, needles):
            for row in rows:
                for name in place.columns:
                    cleaned = scrub(row[name])
                    if name == "contact" and cleaned is not None and not cleaned.get("email"):
                        cleaned = None
                    row[name] = _EMPTY.get((place.name, name)) if cleaned is None and row[name] is not None else cleaned
            erasing.overwrite(connection, place, rows)
            counts[place.name] += len(rows)
            if place.name == "referrals":
                touched += [row["id"] for row in rows]
            elif place.name == "raw_leads":
                erasing.rehash(connection, [row["id"] for row in rows], _identity)
    return touched


_EMPTY: Mapping[tuple[str, str], Any] = {
    ("raw_leads", "payload"): {},
    ("quarantine", "detail"): ERASED,
    ("referrals", "contacts"): [],
    ("referrals", "name"): "",
    ("referrals", "company_name"): "",
    ("companies", "name"): ERASED,
    ("company_mentions", "fields"): {},
    ("company_merges", "before"): {},
    ("import_rejects", "row"): [],
    ("import_rejects", "detail"): ERASED,
    ("idempotency_keys", "body"): {},
}
"""What stands in a column that may not be empty once its whole content was the subject."""


def _identity(source: str, payload: Any, external_id: str) -> tuple[str, str]:
    digest = record_hash(payload)
    if source == PARTNER_CENTER:
        return external_id, digest
    domain = record_domain(payload).domain or external_id.partition("#")[0]
    return record_key(payload, domain), digest
