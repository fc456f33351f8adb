"""Runs of the engine, what the page is told, and idempotent requests."""

from sqlalchemy import Column, Index, Integer, Table, Text

from hunter_orchestration.store.tables.base import metadata
from hunter_orchestration.store.types import Json, Key, UtcDateTime

sync_runs = Table(
    "sync_runs",
    metadata,
    Column("id", Key, primary_key=True),
    Column(
        "kind",
        Text,
        nullable=False,
        comment="the stage: raw_leads, imported_leads, referrals, companies, domain_scans, domain_details, lead_scores, "
        "dynamics_records, dynamics_changes, dynamics_differences",
    ),
    Column("run_id", Text, comment="Dagster's run id"),
    Column("requested_by", Text),
    Column("state", Text, nullable=False, comment="running, succeeded or failed"),
    Column("started_at", UtcDateTime, nullable=False),
    Column("finished_at", UtcDateTime),
    Column("counts", Json),
    Column("error", Text, comment="one sentence and what to do"),
    Index("ix_sync_runs_kind_started_at", "kind", "started_at"),
    Index("ix_sync_runs_started_at", "started_at"),
    Index("ix_sync_runs_run_id", "run_id"),
)

events = Table(
    "events",
    metadata,
    Column("id", Key, primary_key=True),
    Column("at", UtcDateTime, nullable=False),
    Column(
        "kind",
        Text,
        nullable=False,
        comment="leads_changed, run_started, run_finished, import_progress, bulk_progress, alert…",
    ),
    Column("subject", Text, comment="domain, run id or import id"),
    Column("body", Json),
    Index("ix_events_at", "at"),
    sqlite_autoincrement=True,
)

leases = Table(
    "leases",
    metadata,
    Column(
        "name",
        Text,
        primary_key=True,
        comment="work that one does at a time: referral_sync, referral_read, import:<id>, dynamics, doctor",
    ),
    Column("owner", Text, nullable=False, comment="Dagster's run id, or the process of a command"),
    Column("token", Integer, nullable=False, comment="grows with each holder; a late writer's is refused"),
    Column("until", UtcDateTime, nullable=False),
)

idempotency_keys = Table(
    "idempotency_keys",
    metadata,
    Column("key", Text, primary_key=True),
    Column("actor", Text, primary_key=True),
    Column("request_hash", Text, nullable=False),
    Column("status", Integer, nullable=False),
    Column("body", Json, nullable=False),
    Column("at", UtcDateTime, nullable=False),
    Index("ix_idempotency_keys_at", "at"),
)

bulk_actions = Table(
    "bulk_actions",
    metadata,
    Column("id", Key, primary_key=True),
    Column("action", Text, nullable=False, comment="push, rescan"),
    Column("state", Text, nullable=False, comment="queued, running, done, cancelled or failed"),
    Column("requested_by", Text, nullable=False),
    Column("domains", Json, comment="the list, or empty with a filter"),
    Column("filter", Json),
    Column("counts", Json, nullable=False, comment="total, done, failed"),
    Column("run_id", Text),
    Column("created_at", UtcDateTime, nullable=False),
    Column("finished_at", UtcDateTime),
    Index("ix_bulk_actions_created_at", "created_at"),
)

saved_views = Table(
    "saved_views",
    metadata,
    Column("id", Key, primary_key=True),
    Column("owner", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("query", Text, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Index("uq_saved_views_owner_name", "owner", "name", unique=True),
)

web_sessions = Table(
    "web_sessions",
    metadata,
    Column("id_hash", Text, primary_key=True, comment="SHA-256 of the cookie's value, hex"),
    Column("user_id", Text, nullable=False, comment="Entra object id"),
    Column("name", Text, nullable=False),
    Column("role", Text, nullable=False, comment="viewer, seller or admin"),
    Column("opened_at", UtcDateTime, nullable=False),
    Column("seen_at", UtcDateTime, nullable=False),
    Index("ix_web_sessions_seen_at", "seen_at"),
)
