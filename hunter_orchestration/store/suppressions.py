"""Erased people and domains that must not come back, as keyed hashes; and what was erased when."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Mapping
from datetime import datetime

from sqlalchemy import Connection, select

from hunter_orchestration.store.tables.companies import erasures, suppressions
from hunter_orchestration.store.upsert import insert, upsert


class Suppressed:
    """The erased subjects, asked without a query each. Empty for most installations, and then free."""

    def __init__(self, key: bytes | None, hashes: frozenset[tuple[str, str]]) -> None:
        self._key, self._hashes = key, hashes

    def __bool__(self) -> bool:
        return bool(self._hashes)

    def email(self, address: object) -> bool:
        """Whether an address was erased, or its whole domain was."""
        if not self._hashes or not isinstance(address, str) or "@" not in address:
            return False
        address = address.strip().lower()
        host = address.rpartition("@")[2]
        return self._has("email", address) or self.domain(host)

    def domain(self, host: str | None) -> bool:
        """Whether a domain or a parent of it was erased."""
        while host and self._hashes:
            if self._has("domain", host):
                return True
            host = host.partition(".")[2]
        return False

    def _has(self, kind: str, subject: str) -> bool:
        return self._key is not None and (kind, keyed_hash(self._key, subject)) in self._hashes


def keyed_hash(key: bytes, subject: str) -> str:
    """HMAC-SHA-256 of a subject, hex."""
    return hmac.new(key, subject.encode(errors="replace"), hashlib.sha256).hexdigest()


def load(connection: Connection) -> Suppressed:
    """Everything that was erased."""
    key: bytes | None = None
    hashes: set[tuple[str, str]] = set()
    for kind, subject in connection.execute(select(suppressions.c.kind, suppressions.c.subject_hash)):
        if kind == "key":
            key = bytes.fromhex(subject)
        else:
            hashes.add((kind, subject))
    return Suppressed(key, frozenset(hashes))


def suppress(connection: Connection, kind: str, subject: str, now: datetime) -> str:
    """Remember that an ``email`` or a ``domain`` was erased; returns its keyed hash."""
    found = connection.execute(
        select(suppressions.c.subject_hash).where(suppressions.c.kind == "key")
    ).scalar_one_or_none()
    key = bytes.fromhex(found) if found else secrets.token_bytes(32)
    digest = keyed_hash(key, subject)
    rows = [{"kind": "key", "subject_hash": key.hex(), "at": now}, {"kind": kind, "subject_hash": digest, "at": now}]
    upsert(connection, suppressions, rows, key=("kind", "subject_hash"), update=())
    return digest


def record(
    connection: Connection, digest: str, kind: str, requested_by: str, now: datetime, counts: Mapping[str, int]
) -> None:
    """Append what an erasure did."""
    connection.execute(
        insert(connection, erasures).values(
            subject_hash=digest, kind=kind, requested_by=requested_by, at=now, counts=dict(counts)
        )
    )
