"""Payloads as they came, what could not be understood, imported files, and how far reading has got."""

from sqlalchemy import Column, Index, Integer, Table, Text, UniqueConstraint, text

from hunter_orchestration.store.tables.base import metadata
from hunter_orchestration.store.types import Json, Key, UtcDateTime

raw_leads = Table(
    "raw_leads",
    metadata,
    Column("id", Key, primary_key=True),
    Column("source", Text, nullable=False, comment="partnercenter, import, api or webhook"),
    Column("external_id", Text, nullable=False, comment="the source's own key of the record"),
    Column("payload_hash", Text, nullable=False, comment="SHA-256 of the canonical payload, hex"),
    Column("payload", Json, nullable=False),
    Column("source_updated_at", UtcDateTime, comment="the source's own stamp, when it gives one"),
    Column("import_id", Key, comment="imports.id for rows of a file"),
    Column("received_at", UtcDateTime, nullable=False, comment="first time this payload came"),
    Column("seen_at", UtcDateTime, nullable=False, comment="last time this payload came as the newest of its record"),
    Column("processed_at", UtcDateTime, comment="empty while the next stage still has to read the row"),
    Column("outcome", Text, comment="stored, unchanged, superseded, quarantined or suppressed"),
    Column("reader_version", Integer, comment="version of the code that read it"),
    UniqueConstraint("source", "external_id", "payload_hash"),
    Index(
        "ix_raw_leads_pending",
        "source",
        "id",
        sqlite_where=text("processed_at IS NULL"),
        postgresql_where=text("processed_at IS NULL"),
    ),
)

quarantine = Table(
    "quarantine",
    metadata,
    Column("id", Key, primary_key=True),
    Column("source", Text, nullable=False),
    Column("external_id", Text, nullable=False),
    Column("raw_lead_id", Key, comment="raw_leads.id, empty for a payload without an identity"),
    Column("reason", Text, nullable=False, comment="short machine word"),
    Column("detail", Text, nullable=False, comment="one sentence for a person"),
    Column("payload", Json, comment="only where raw_leads holds none"),
    Column("reader_version", Integer, nullable=False),
    Column("state", Text, nullable=False, comment="open, resolved or discarded"),
    Column("attempts", Integer, nullable=False, server_default="1"),
    Column("first_at", UtcDateTime, nullable=False),
    Column("last_at", UtcDateTime, nullable=False),
    UniqueConstraint("source", "external_id"),
    Index("ix_quarantine_state_last_at", "state", "last_at"),
)

watermarks = Table(
    "watermarks",
    metadata,
    Column("source", Text, primary_key=True, comment="partnercenter, dynamics or alerts"),
    Column(
        "scope",
        Text,
        primary_key=True,
        comment="partnercenter: referrals; dynamics: changes:account, columns:account…, organisation, mapping, texts, "
        "not_before; alerts: target/subject",
    ),
    Column(
        "value",
        Text,
        nullable=False,
        comment="a UTC stamp in ISO 8601, the link to the next changes, or what was seen or told last",
    ),
    Column("updated_at", UtcDateTime, nullable=False),
)

imports = Table(
    "imports",
    metadata,
    Column("id", Key, primary_key=True),
    Column("filename", Text, nullable=False),
    Column("content_hash", Text, nullable=False, comment="SHA-256 of the file, hex"),
    Column("state", Text, nullable=False, comment="uploaded, running, done, failed or cancelled"),
    Column("stored_path", Text, comment="where the file waits, below HUNTER_HOME"),
    Column("encoding", Text),
    Column("separator", Text),
    Column("columns", Json, comment="what each field is read from"),
    Column("counts", Json, comment="rows, stored, unchanged, rejected"),
    Column("error", Text),
    Column("requested_by", Text),
    Column("created_at", UtcDateTime, nullable=False),
    Column("finished_at", UtcDateTime),
    Index("ix_imports_created_at", "created_at"),
    Index("ix_imports_content_hash", "content_hash"),
)

import_rejects = Table(
    "import_rejects",
    metadata,
    Column("import_id", Key, primary_key=True),
    Column("line", Integer, primary_key=True, comment="line in the file, the heading is 1"),
    Column("reason", Text, nullable=False),
    Column("detail", Text, nullable=False),
    Column("row", Json, nullable=False),
)
