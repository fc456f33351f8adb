"""Finding and overwriting every stored text that holds an erased subject. Rare and thorough: whole tables are read."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Column, Connection, Table, Text, and_, bindparam, cast, delete, or_, select, update

from hunter_orchestration.store.engine import Store
from hunter_orchestration.store.tables.companies import (
    companies,
    company_audit,
    company_links,
    company_mentions,
    company_merges,
    contacts,
)
from hunter_orchestration.store.tables.crm import crm_audit, crm_differences, crm_records
from hunter_orchestration.store.tables.ingestion import import_rejects, imports, quarantine, raw_leads
from hunter_orchestration.store.tables.leads import leads
from hunter_orchestration.store.tables.operations import bulk_actions, events, idempotency_keys, sync_runs
from hunter_orchestration.store.tables.referrals import referral_actions, referrals
from hunter_orchestration.store.tables.scans import domain_details, scan_changes, scans
from hunter_orchestration.store.tables.scores import score_history, scores

_CHUNK = 500


@dataclass(frozen=True, slots=True)
class Place:
    """Columns of a table that may hold what a source or a person wrote."""

    table: Table
    columns: tuple[str, ...]

    @property
    def name(self) -> str:
        """The table's name."""
        return self.table.name


PLACES = (
    Place(raw_leads, ("payload",)),
    Place(quarantine, ("payload", "detail")),
    Place(
        referrals,
        (
            "contacts",
            "candidates",
            "notes",
            "name",
            "company_name",
            "status_reason",
            "needs",
            "unknown_values",
            "address",
        ),
    ),
    Place(referral_actions, ("detail",)),
    Place(companies, ("name", "address", "edited", "phone", "website")),
    Place(company_mentions, ("contact", "fields")),
    Place(company_audit, ("fields",)),
    Place(company_merges, ("before",)),
    Place(import_rejects, ("row", "detail")),
    Place(crm_records, ("wanted", "acknowledged", "observed", "candidates", "error")),
    Place(crm_audit, ("fields", "detail")),
    Place(crm_differences, ("claimed", "found")),
    Place(events, ("subject", "body")),
    Place(idempotency_keys, ("body",)),
    Place(bulk_actions, ("domains", "filter")),
    Place(sync_runs, ("error",)),
)
"""Everywhere a person's data may stand, contacts excepted, whose rows go as a whole."""

_OF_DOMAIN: tuple[tuple[Column[Any], ...], ...] = (
    (scans.c.domain,),
    (scan_changes.c.domain,),
    (domain_details.c.domain,),
    (scores.c.domain,),
    (score_history.c.domain,),
    (crm_records.c.company_domain,),
    (crm_audit.c.company_domain,),
    (crm_differences.c.company_domain,),
    (company_mentions.c.company_domain, company_mentions.c.domain),
    (company_audit.c.company_domain,),
    (company_links.c.company_domain,),
    (company_merges.c.loser, company_merges.c.winner),
    (contacts.c.company_domain,),
    (leads.c.domain,),
    (companies.c.domain,),
)


def holding(connection: Connection, place: Place, needles: Sequence[str]) -> Iterator[list[dict[str, Any]]]:
    """Chunks of rows of a place, by key, one of whose columns holds one of the texts in any case."""
    key = list(place.table.primary_key.columns)
    columns = [place.table.c[name] for name in place.columns]
    matches = [
        cast(column, Text).ilike(f"%{_escaped(needle)}%", escape="\\") for column in columns for needle in needles
    ]
    query = select(*key, *columns).where(or_(*matches)).order_by(*key).limit(_CHUNK)
    after: tuple[Any, ...] | None = None
    while True:
        page = query if after is None else query.where(_beyond(key, after))
        rows = [dict(row) for row in connection.execute(page).mappings()]
        if rows:
            yield rows
        if len(rows) < _CHUNK:
            return
        after = tuple(rows[-1][column.name] for column in key)


def _beyond(key: Sequence[Column[Any]], after: Sequence[Any]) -> Any:
    return or_(
        *(
            and_(*(key[before] == after[before] for before in range(place)), key[place] > after[place])
            for place in range(len(key))
        )
    )


def _escaped(needle: str) -> str:
    return needle.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")


def overwrite(connection: Connection, place: Place, rows: Sequence[dict[str, Any]]) -> None:
    """Store rows of ``holding`` with other contents."""
    if not rows:
        return
    key = [column.name for column in place.table.primary_key.columns]
    connection.execute(
        update(place.table)
        .where(*(place.table.c[name] == bindparam(f"of_{name}", type_=place.table.c[name].type) for name in key))
        .values({name: bindparam(f"new_{name}", type_=place.table.c[name].type) for name in place.columns}),
        [
            {f"of_{name}": row[name] for name in key} | {f"new_{name}": row[name] for name in place.columns}
            for row in rows
        ],
    )


def rehash(connection: Connection, ids: Iterable[int], identity: Callable[[str, Any, str], tuple[str, str]]) -> None:
    """Give raw payloads whose content changed the identity that follows from it.

    Args:
        identity: from (source, payload, external id) to (external id, payload hash).
    """
    for row_id in ids:
        query = select(raw_leads.c.source, raw_leads.c.external_id, raw_leads.c.payload).where(raw_leads.c.id == row_id)
        source, known_id, payload = connection.execute(query).one()
        external_id, digest = identity(source, payload, known_id)
        if external_id != known_id:
            external_id = f"{external_id}/{row_id}"
        taken = connection.execute(
            select(raw_leads.c.id).where(
                raw_leads.c.source == source,
                raw_leads.c.external_id == external_id,
                raw_leads.c.payload_hash == digest,
                raw_leads.c.id != row_id,
            )
        ).first()
        # Without the person two payloads can be one; both rows stay, because referrals name them.
        connection.execute(
            update(raw_leads)
            .where(raw_leads.c.id == row_id)
            .values(external_id=external_id, payload_hash=f"{digest}:{row_id}" if taken else digest)
        )
        if external_id != known_id:
            connection.execute(
                update(company_mentions)
                .where(company_mentions.c.source == source, company_mentions.c.external_id == known_id)
                .values(external_id=external_id)
            )


def people(connection: Connection, email_hash: str) -> list[dict[str, Any]]:
    """What the contacts of an address say: names, numbers and companies."""
    query = select(contacts).where(contacts.c.email_hash == email_hash)
    return [dict(row) for row in connection.execute(query).mappings()]


def referrals_naming(connection: Connection, ids: Sequence[str]) -> list[tuple[str, str | None]]:
    """(id, company) of referrals."""
    query = select(referrals.c.id, referrals.c.company_domain).where(referrals.c.id.in_(list(ids)))
    return [(row_id, company) for row_id, company in connection.execute(query)]


def delete_person(connection: Connection, email_hash: str) -> dict[str, int]:
    """Drop a person's contacts and the CRM ledger's rows of that contact."""
    of_contact = (crm_records.c.table_name.in_(["contact", "contacts"]), crm_records.c.external_id == email_hash)
    counts = {
        "contacts": connection.execute(delete(contacts).where(contacts.c.email_hash == email_hash)).rowcount,
        "crm_records": connection.execute(delete(crm_records).where(*of_contact)).rowcount,
        "crm_audit": connection.execute(
            update(crm_audit)
            .where(crm_audit.c.external_id == email_hash)
            .values(external_id="erased", fields=None, detail=None)
        ).rowcount,
        "crm_differences": connection.execute(
            delete(crm_differences).where(crm_differences.c.external_id == email_hash)
        ).rowcount,
    }
    return {name: count for name, count in counts.items() if count}


def delete_domain(connection: Connection, domain: str) -> dict[str, int]:
    """Drop everything keyed by a company's domain; referrals stay, without it."""
    counts: dict[str, int] = {}
    for columns in _OF_DOMAIN:
        table = columns[0].table
        done = connection.execute(delete(table).where(or_(*(column == domain for column in columns))))
        counts[str(table)] = done.rowcount
    counts["referrals"] = connection.execute(
        update(referrals)
        .where(or_(referrals.c.company_domain == domain, referrals.c.domain == domain))
        .values(domain=None, domain_source=None, domain_rejected="suppressed", company_domain=None, linked_by=None)
    ).rowcount
    return {name: count for name, count in counts.items() if count}


def delete_records_of(connection: Connection, domain: str) -> int:
    """Drop raw records of files, the API and forms that name a domain; returns how many."""
    of_domain = or_(
        raw_leads.c.external_id == domain, raw_leads.c.external_id.startswith(f"{domain}#", autoescape=True)
    )
    of_domain = or_(of_domain, raw_leads.c.external_id.startswith(f"{domain}/", autoescape=True))
    done = connection.execute(delete(raw_leads).where(raw_leads.c.source != "partnercenter", of_domain))
    return int(done.rowcount)


def waiting_files(connection: Connection) -> list[str]:
    """Paths, below HUNTER_HOME, of received files of imports that failed or were cancelled."""
    query = select(imports.c.stored_path).where(
        imports.c.state.in_(["failed", "cancelled"]), imports.c.stored_path.is_not(None)
    )
    return [str(path) for path in connection.execute(query).scalars()]


def purge(store: Store) -> None:
    """Take what was overwritten or dropped out of the database's files as well.

    SQLite leaves the old text in free pages and in its write-ahead log until both are written anew; PostgreSQL keeps
    old versions of rows until a vacuum, which is not waited for here. Its own log and backups end with their retention.

    Raises:
        StoreError: another program keeps the database busy; the erasure itself is done.
    """
    with store.read() as connection:
        if store.dialect == "sqlite":
            connection.exec_driver_sql("INSERT INTO leads_search(leads_search) VALUES ('optimize')")
            connection.exec_driver_sql("VACUUM")
            connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
            return
        outside = connection.execution_options(isolation_level="AUTOCOMMIT")
        for table in (*(place.table for place in PLACES), contacts, leads):
            outside.exec_driver_sql(f'VACUUM "{table.name}"')
