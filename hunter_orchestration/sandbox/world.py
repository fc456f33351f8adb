"""The world the sandbox plays: companies and their referrals, all following from a seed.

A referral that nobody changed is not kept, only its stamps: its payload is made when asked for. What was changed or
added is kept as encoded JSON, in memory and, when a journal is given, on disk, so that a restarted sandbox goes on
where it ended.
"""

from __future__ import annotations

import heapq
import random
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import orjson

from hunter_orchestration.sandbox.changes import advance_state, merge
from hunter_orchestration.sandbox.clock import TICKS_PER_SECOND, Clock, stamp
from hunter_orchestration.sandbox.guids import Guids
from hunter_orchestration.sandbox.journal import Entry, Journal
from hunter_orchestration.sandbox.names import Companies, Company, company, domain_of, mix
from hunter_orchestration.sandbox.referral_kinds import DRAW, KIND_NUMBER, KINDS, LIVE, NEW_STATES, STATE_NUMBER, STATES
from hunter_orchestration.sandbox.referral_payloads import (
    ANSWER_WITHIN,
    DAY,
    OWN_MAIL,
    Row,
    Setting,
    no_usable_domain,
    payload,
    user_sees,
)
from hunter_orchestration.sandbox.referral_table import ReferralTable
from hunter_orchestration.sandbox.stamps import parse_stamp

_SPREAD = 60 * DAY
"""Referrals are spread over so long a time before the reference time."""
_CACHED = 4_000
GIVEN = 255
"""Kind number of a referral that was posted or given whole."""
_OUT = KIND_NUMBER["cosell_out_active"]
_MICROSOFT_SIDE = KIND_NUMBER["microsoft_side"]


class World:
    """Companies and referrals.

    Args:
        seed: what everything follows from.
        companies: how many there are at the start.
        clock: the sandbox's clock; its time at the start is the reference time unless ``reference`` is given.
        reference: ticks that the 60 days end at.
        base: address of the referral collection, for links inside payloads.
        journal: a file that keeps what changes; read at the start when it exists.
    """

    def __init__(
        self,
        seed: int,
        companies: int,
        clock: Clock,
        *,
        base: str = "https://api.partner.microsoft.com/v1.0/engagements/referrals",
        reference: int | None = None,
        journal: Path | None = None,
    ) -> None:
        self.seed = seed
        self.clock = clock
        now = reference if reference is not None else clock.ticks()
        self.reference = now // TICKS_PER_SECOND * TICKS_PER_SECOND
        self.companies = Companies(seed)
        self._salt = mix(seed ^ 0x5EED)
        self._guids = Guids(self._salt)
        self.tenant = self._guids.of("tenant", 0)
        self.setting = Setting(self._guids.of("organization", 0), str(1_000_000 + seed % 900_000), base)
        self._at_start = companies
        self._journal: Journal | None = None
        self._watchers: list[Callable[[int, bool], None]] = []
        self.begin()
        if journal is not None:
            kept = Journal(journal)
            self._replay(kept.read())
            self._journal = kept

    def begin(self) -> None:
        """Make the world as it is at the start; what was changed or added since is gone, from the journal, too."""
        self.companies.size = self._at_start
        self._domains: dict[str, int] = {}
        self.table = ReferralTable()
        self._written: dict[int, bytes] = {}
        self._engagements: dict[str, list[int]] = {}
        self._cache: OrderedDict[int, bytes] = OrderedDict()
        self._expiries: list[tuple[int, int]] = []
        if self._journal is not None:
            self._journal.clear()
        for index in range(self._at_start):
            self._domains[domain_of(self.seed, index)] = index
            self._seed_referrals(index)
        self.table.sort()
        heapq.heapify(self._expiries)

    # ---- generation

    def _row_hash(self, row: int) -> int:
        return mix(self._salt ^ (row + 1))

    def _seed_referrals(self, index: int) -> None:
        roll = mix(self._salt + index * 7)
        self._seed_referral(index, DRAW[roll % len(DRAW)])
        if roll >> 16 & 127 < 23:
            self._seed_referral(index, DRAW[(roll >> 32) % len(DRAW)])

    def _seed_referral(self, index: int, kind: int) -> None:
        hashed = self._row_hash(len(self.table))
        share, later = (hashed & 0xFFFF) / 0x10000, (hashed >> 16 & 0xFFFF) / 0x10000
        state = KINDS[kind].state
        if state in NEW_STATES:
            age = int(share * (13.9 * DAY)) + DAY // 96
            updated = age - int(later * min(age, DAY // 4))
        elif STATES[state][1] == "Expired":
            age = ANSWER_WITHIN + int(share * (_SPREAD - ANSWER_WITHIN))
            updated = age - ANSWER_WITHIN
        else:
            age = int((0.02 + 0.98 * share) * _SPREAD)
            updated = int(age * later)
        # A tenth of the stamps are whole seconds, which the service writes without a fraction.
        unit = TICKS_PER_SECOND if hashed >> 40 & 15 == 0 else 1
        created = (self.reference - age) // unit * unit
        changed = (
            created + ANSWER_WITHIN
            if STATES[state][1] == "Expired"
            else max(created, (self.reference - updated) // unit * unit)
        )
        row = self._append(index, kind, state, created, changed)
        if kind == _OUT:
            self._append(
                index, _MICROSOFT_SIDE, 0, max(created, self.reference - int(share * 13 * DAY)), changed, head=row
            )

    def _append(self, index: int, kind: int, state: int, created: int, updated: int, head: int | None = None) -> int:
        row = self.table.append(index, kind, state, created, updated, head)
        if state in NEW_STATES:
            self._expiries.append((created + ANSWER_WITHIN, row))
        return row

    # ---- companies

    def company(self, index: int) -> Company:
        """Company ``index``; numbers beyond the last are those that may still arrive."""
        return company(self.seed, index)

    def company_index(self, domain: str) -> int | None:
        """The company whose domain (ASCII, lower case) this is."""
        return self._domains.get(domain)

    def domains(self) -> Iterator[str]:
        """The domains of all companies, in order."""
        return iter(self._domains)

    def new_company(self) -> int:
        """Let one more company come into being."""
        index = len(self.companies)
        self.companies.size += 1
        self._domains[domain_of(self.seed, index)] = index
        return index

    def expected_domain(self, row: int) -> str | None:
        """The company domain that a generated referral's own data gives, None when it gives none."""
        if self.table.kind[row] == GIVEN:
            return None
        one = self.company(self.table.company_of[row])
        if KINDS[self.table.kind[row]].name == "sparse_new" or no_usable_domain(one):
            return None
        return one.domain

    # ---- reading referrals

    def __len__(self) -> int:
        return len(self.table)

    def row_of(self, referral_id: str) -> int | None:
        row = self._guids.number("referral", referral_id)
        return row if row is not None and row < len(self.table) else None

    def id_of(self, row: int) -> str:
        return self._guids.of("referral", row)

    def kind_of(self, row: int) -> str:
        """The name of the kind a referral was generated as; ``given`` when it was not."""
        return "given" if self.table.kind[row] == GIVEN else KINDS[self.table.kind[row]].name

    def state_of(self, row: int) -> tuple[str, str]:
        return STATES[self.table.state[row]]

    def is_marketplace(self, row: int) -> bool:
        return self.table.kind[row] != GIVEN and KINDS[self.table.kind[row]].category == "marketplace"

    def etag_of(self, row: int) -> str:
        """The ETag, quotes included; new with every write."""
        return f'"{row:08x}-0000-0100-0000-{self.table.updated[row] & 0xFFFFFFFFFFFF:012x}"'

    def engagement(self, engagement_id: str) -> list[int]:
        """Rows of one engagement."""
        rows = list(self._engagements.get(engagement_id.lower(), ()))
        head = self._guids.number("engagement", engagement_id)
        if head is not None and head < len(self.table):
            rows += [row for row in (head, head + 1) if row < len(self.table) and self.table.head[row] == head]
        return sorted(set(rows))

    def encoded(self, row: int) -> bytes:
        """The referral as JSON."""
        written = self._written.get(row)
        if written is not None:
            return written
        cached = self._cache.get(row)
        if cached is None:
            cached = self._cache[row] = orjson.dumps(self._generated(row))
            if len(self._cache) > _CACHED:
                self._cache.popitem(last=False)
        return cached

    def document(self, row: int) -> dict[str, Any]:
        """The referral as a dictionary of the caller's own."""
        written = self._written.get(row)
        if written is None:
            return self._generated(row)
        document: dict[str, Any] = orjson.loads(written)
        return document

    def quick_field(self, row: int, path: str) -> Any:
        """A stamp, or ``status``, ``type``, ... of a referral without its payload; None if that is needed."""
        if path in ("createdDateTime", "updatedDateTime"):
            return stamp(self.table.created[row] if path == "createdDateTime" else self.table.updated[row])
        if row in self._written:
            return None
        kind = KINDS[self.table.kind[row]]
        if path == "status":
            return self.state_of(row)[0]
        if path == "substatus":
            return self.state_of(row)[1]
        if path in ("type", "qualification"):
            return getattr(kind, path)
        return None

    def seen_by_user(self, row: int) -> bool:
        """Whether the referral's team names the Referrals User."""
        if row not in self._written:
            return user_sees(self._row_hash(row)) and KINDS[self.table.kind[row]].name != "sparse_new"
        team = self.document(row).get("team") or []
        return any(isinstance(m, dict) and str(m.get("email") or "").lower() == OWN_MAIL for m in team)

    def _generated(self, row: int) -> dict[str, Any]:
        facts = Row(
            number=row,
            id=self.id_of(row),
            engagement_id=self._guids.of("engagement", self.table.head[row]),
            etag=self.etag_of(row),
            kind=self.table.kind[row],
            created=self.table.created[row],
            updated=self.table.updated[row],
            hash=self._row_hash(row),
        )
        return payload(self.company(self.table.company_of[row]), facts, self.setting)

    # ---- writing referrals

    def write(self, row: int, document: dict[str, Any], when: int | None = None) -> dict[str, Any]:
        """Store a changed referral under a new stamp and ETag; the document as stored comes back."""
        now = self.clock.ticks() if when is None else when
        self.table.touch(row, now)
        document["updatedDateTime"] = stamp(now)
        document["eTag"] = self.etag_of(row)
        self._keep(row, document)
        self._tell(row, created=False)
        return document

    def watch(self, watcher: Callable[[int, bool], None]) -> None:
        """Have ``watcher(row, created)`` called after every change."""
        self._watchers.append(watcher)

    def _tell(self, row: int, created: bool) -> None:
        for watcher in self._watchers:
            watcher(row, created)

    def _keep(self, row: int, document: dict[str, Any]) -> None:
        state = (str(document.get("status")), str(document.get("substatus")))
        self.table.state[row] = STATE_NUMBER.get(state, self.table.state[row])
        self._written[row] = orjson.dumps(document)
        self._cache.pop(row, None)
        if self.table.state[row] in NEW_STATES:
            expiry = parse_stamp(document.get("expirationDateTime")) or self.table.created[row] + ANSWER_WITHIN
            heapq.heappush(self._expiries, (expiry, row))
        if self._journal is not None:
            self._journal.write(
                {
                    "row": row,
                    "kind": self.table.kind[row],
                    "company": self.table.company_of[row],
                    "updated": self.table.updated[row],
                    "created": self.table.created[row],
                    "document": document,
                }
            )

    def add(
        self, document: dict[str, Any], *, when: int | None = None, company_index: int = 0, kind: int = GIVEN
    ) -> int:
        """Store a referral that was posted or given; it gets id, engagement, stamps and links. The row comes back."""
        now = self.clock.ticks() if when is None else when
        created = parse_stamp(document.get("createdDateTime")) or now
        updated = parse_stamp(document.get("updatedDateTime")) or now
        row = self._append(company_index, kind, len(STATES) - 1, created, updated)
        self.table.place(row)
        engagement = str(document.get("engagementId") or self._guids.of("engagement", row))
        self._engagements.setdefault(engagement.lower(), []).append(row)
        own_id = self.id_of(row)
        base = self.setting.base
        document = {
            **document,
            "id": own_id,
            "engagementId": engagement,
            "createdDateTime": stamp(created),
            "updatedDateTime": stamp(self.table.updated[row]),
            "eTag": self.etag_of(row),
            "links": {
                "relatedReferrals": {"uri": f"{base}?$filter=engagementId eq '{engagement}'", "method": "GET"},
                "self": {"uri": f"{base}/{own_id}", "method": "GET"},
            },
        }
        self._keep(row, document)
        self._tell(row, created=True)
        return row

    def generate(
        self,
        *,
        kind: str | None = None,
        company_index: int | None = None,
        when: int | None = None,
        changes: Mapping[str, Any] | None = None,
    ) -> int:
        """Add a generated referral, of a new company unless one is named; ``changes`` are merged into it."""
        now = self.clock.ticks() if when is None else when
        index = self.new_company() if company_index is None else company_index
        number = KIND_NUMBER[kind] if kind else LIVE[self._row_hash(len(self.table)) % len(LIVE)]
        row = len(self.table)
        template = payload(
            self.company(index),
            Row(row, self.id_of(row), self._guids.of("engagement", row), "", number, now, now, self._row_hash(row)),
            self.setting,
        )
        del template["engagementId"]
        merge(template, changes or {})
        return self.add(template, when=now, company_index=index, kind=number)

    def expire_due(self) -> int:
        """Archive the New referrals whose time ran out as Closed/Expired, stamped with the moment it did; how many."""
        now = self.clock.ticks()
        count = 0
        while self._expiries and self._expiries[0][0] <= now:
            when, row = heapq.heappop(self._expiries)
            if self.table.state[row] not in NEW_STATES:
                continue
            document = self.document(row)
            written_expiry = parse_stamp(document.get("expirationDateTime"))
            if written_expiry is not None and written_expiry > now:
                continue
            document.update(status="Closed", substatus="Expired", closedDateTime=stamp(when))
            self.write(row, document, max(when, self.table.updated[row]))
            count += 1
        return count

    # ---- life

    def tick(self, number: int, when: int | None = None) -> list[int]:
        """Let a little happen: one or two new referrals, two or three changed ones; follows from seed and number."""
        rng = random.Random(self._salt ^ (number * 0x2545F491))
        rows = []
        for _ in range(rng.choice((1, 1, 2))):
            known = rng.random() < 0.4
            rows.append(self.generate(company_index=rng.randrange(len(self.companies)) if known else None, when=when))
        for _ in range(rng.choice((2, 3))):
            row = rng.randrange(len(self))
            document = self.document(row)
            advance_state(document, rng, stamp(self.clock.ticks() if when is None else when))
            self.write(row, document, when)
            rows.append(row)
        return rows

    def burst(self, count: int, when: int | None = None) -> int:
        """Give ``count`` referrals one and the same updatedDateTime; new ones are made when they run out."""
        now = self.clock.ticks() if when is None else when
        while len(self) < count:
            self.generate(when=now)
        for row in range(count):
            document = self.document(row)
            document["details"] = {**(document.get("details") or {}), "notes": f"Toplu güncelleme {stamp(now)}"}
            self.write(row, document, now)
        return now

    def _replay(self, entries: list[Entry]) -> None:
        for entry in entries:
            row = entry["row"]
            while entry["company"] >= len(self.companies):
                self.new_company()
            document = entry["document"]
            if row >= len(self.table):
                self._append(entry["company"], entry["kind"], len(STATES) - 1, entry["created"], entry["updated"])
                self.table.place(row)
                self._engagements.setdefault(str(document["engagementId"]).lower(), []).append(row)
            self.table.touch(row, entry["updated"])
            self._keep(row, document)

    def close(self) -> None:
        if self._journal is not None:
            self._journal.close()
