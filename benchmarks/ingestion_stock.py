"""A store that holds many referrals already, as syncs would have left it, filled past Hunter's own way of writing."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from sqlalchemy import Table

from benchmarks.ingestion_pages import referral, stamped
from hunter_orchestration.partner_center.ingestion import SCOPE, SOURCE, payload_hash
from hunter_orchestration.partner_center.models import READER_VERSION, read
from hunter_orchestration.store import Store
from hunter_orchestration.store.runs import write_watermark
from hunter_orchestration.store.tables.ingestion import raw_leads
from hunter_orchestration.store.tables.referrals import referral_history, referrals
from hunter_orchestration.store.upsert import chunks

_CHUNK = 10_000


def stock(store: Store, count: int) -> None:
    """Store the referrals 0 to ``count`` - 1 as they came, as they stand and with the start of their history."""
    at = stamped(count)
    template = asdict(_FIRST)
    for number in (1, count - 1):
        assert template | _standing(number) == asdict(read(referral(number))), "the template is no longer true"
    kept = {"source": SOURCE, "import_id": None, "received_at": at, "seen_at": at, "processed_at": at,
            "outcome": "stored", "reader_version": READER_VERSION}  # fmt: skip
    told = {"synced_at": at, "company_due_at": None, "domain_source": "contact_email", "domain_rejected": None,
            "linked_by": "auto"}  # fmt: skip
    first = {"status": "New", "substatus": "Pending", "currency": "TRY", "recorded_at": at}
    for numbers in chunks(range(count), _CHUNK):
        _fill(store, raw_leads, kept, (_raw(number) for number in numbers))
        _fill(store, referrals, template | told, (_standing(number) | _tied(number) for number in numbers))
        _fill(store, referral_history, first, (_history(number) for number in numbers))
    with store.write() as connection:
        write_watermark(connection, SOURCE, SCOPE, stamped(count - 1).isoformat())
    if store.dialect == "postgresql":
        # Ids were given by hand; the next row continues behind them. Statistics as autovacuum would have them.
        with store.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            for name in (raw_leads.name, referral_history.name):
                connection.exec_driver_sql(f"SELECT setval(pg_get_serial_sequence('{name}', 'id'), {count})")
            connection.exec_driver_sql("VACUUM ANALYZE")


def _raw(number: int) -> dict[str, Any]:
    payload = referral(number)
    return {
        "id": number + 1,
        "external_id": payload["id"],
        "payload_hash": payload_hash(payload),
        "payload": payload,
        "source_updated_at": stamped(number),
    }


_FIRST = read(referral(0))
_WORTH, _ANSWER = _FIRST.deal_value or 0, (_FIRST.expires_at or _FIRST.created_at) - _FIRST.created_at


def _standing(number: int) -> dict[str, Any]:
    payload, created = referral(number), stamped(number)
    contact = _FIRST.contacts[0] | {"email": f"ada@company{number}.example"}
    return {
        "id": payload["id"],
        "engagement_id": payload["engagementId"],
        "name": payload["name"],
        "company_name": payload["customerProfile"]["name"],
        "contacts": [contact],
        "candidates": [["external_id", f"1-{number}"]],
        "deal_value": _WORTH + number,
        "created_at": created,
        "updated_at": created,
        "expires_at": created + _ANSWER,
        "etag": payload["eTag"],
    }


def _tied(number: int) -> dict[str, Any]:
    domain = f"company{number}.example"
    return {"raw_lead_id": number + 1, "domain": domain, "company_domain": domain}


def _history(number: int) -> dict[str, Any]:
    return {"id": number + 1, "referral_id": referral(number)["id"], "at": stamped(number), "deal_value": 1000 + number}


def _fill(store: Store, table: Table, alike: Mapping[str, Any], rows: Iterable[Mapping[str, Any]]) -> None:
    bind: dict[str, Callable[[Any], Any]] = {
        column.name: column.type.dialect_impl(store.engine.dialect).bind_processor(store.engine.dialect)
        or (lambda value: value)
        for column in table.columns
    }
    constant = {name: bind[name](value) for name, value in alike.items()}
    names = [column.name for column in table.columns]

    def bound() -> Iterator[Sequence[Any]]:
        for row in rows:
            full = constant | {name: bind[name](value) for name, value in row.items()}
            yield [full[name] for name in names]

    columns = ", ".join(f'"{name}"' for name in names)
    raw = store.engine.raw_connection()
    try:
        cursor = raw.cursor()
        if store.dialect == "postgresql":
            text = io.StringIO()
            csv.writer(text).writerows(bound())
            text.seek(0)
            cursor.copy_expert(f"COPY {table.name} ({columns}) FROM STDIN WITH (FORMAT csv)", text)
        else:
            cursor.execute("BEGIN")
            marks = ", ".join("?" * len(names))
            cursor.executemany(f"INSERT INTO {table.name} ({columns}) VALUES ({marks})", bound())  # type: ignore[arg-type]
        raw.commit()
    finally:
        raw.close()
