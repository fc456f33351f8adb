"""The ledger of what Dynamics 365 holds of ours, and the audit of every attempt to change it."""

from sqlalchemy import Column, Index, Integer, Table, Text, text

from hunter_orchestration.store.tables.base import metadata
from hunter_orchestration.store.types import Json, Key, UtcDateTime

crm_records = Table(
    "crm_records",
    metadata,
    Column("table_name", Text, primary_key=True, comment="account, contact, lead or opportunity"),
    Column("external_id", Text, primary_key=True, comment="value of hnt_externalid"),
    Column("company_domain", Text, nullable=False),
    Column("referral_id", Text, comment="for opportunities"),
    Column("crm_id", Text, comment="GUID in Dynamics, once known"),
    Column("crm_version", Text, comment="etag last seen"),
    Column(
        "state",
        Text,
        nullable=False,
        comment="pending, in_progress, synced, rejected, deferred, conflict, deleted_in_crm or skipped",
    ),
    Column("wanted_hash", Text),
    Column("wanted", Json, comment="field values we would like the CRM to hold"),
    Column("acknowledged_hash", Text),
    Column("acknowledged", Json, comment="field values the CRM confirmed from us"),
    Column("observed", Json, comment="field values last read back"),
    Column("crm_state", Text, comment="open, qualified, disqualified, won, lost, active, inactive"),
    Column("crm_owner", Text),
    Column("attempts", Integer, nullable=False, server_default="0"),
    Column("next_attempt_at", UtcDateTime),
    Column("error_code", Text),
    Column("error", Text, comment="the CRM's words"),
    Column("fix", Text, comment="what to do, as a key of the message catalogue"),
    Column("candidates", Json, comment="for conflicts: the CRM rows a person chooses from"),
    Column("mapping_version", Text),
    Column("lease_owner", Text),
    Column(
        "lease_token", Integer, nullable=False, server_default="0", comment="grows with each lease; fences late writers"
    ),
    Column("lease_until", UtcDateTime),
    Column("synced_at", UtcDateTime),
    Column("changed_at", UtcDateTime, nullable=False),
    Index("ix_crm_records_company_domain", "company_domain"),
    Index("ix_crm_records_state_next_attempt_at", "state", "next_attempt_at"),
    Index("ix_crm_records_crm_id", "table_name", "crm_id"),
    Index("ix_crm_records_changed_at", "changed_at"),
    Index(
        "ix_crm_records_pushed",
        "state",
        "referral_id",
        sqlite_where=text("referral_id IS NOT NULL"),
        postgresql_where=text("referral_id IS NOT NULL"),
    ),
)

crm_audit = Table(
    "crm_audit",
    metadata,
    Column("id", Key, primary_key=True),
    Column("at", UtcDateTime, nullable=False),
    Column("actor", Text, nullable=False, comment="a person, or the run that acted"),
    Column("run_id", Text),
    Column("table_name", Text, nullable=False),
    Column("external_id", Text, nullable=False),
    Column("company_domain", Text, nullable=False),
    Column("operation", Text, nullable=False, comment="create, update, adopt, merge, qualify, won, lost, read…"),
    Column("fields", Json, comment="field: [old, new]"),
    Column("outcome", Text, nullable=False, comment="sent, confirmed, rejected, deferred, recovered or unknown"),
    Column("status", Integer, comment="HTTP status"),
    Column("code", Text, comment="the CRM's error code"),
    Column("detail", Text),
    Index("ix_crm_audit_company_domain_at", "company_domain", "at"),
    Index("ix_crm_audit_at", "at"),
)

crm_differences = Table(
    "crm_differences",
    metadata,
    Column("id", Key, primary_key=True),
    Column("found_at", UtcDateTime, nullable=False),
    Column("table_name", Text, nullable=False),
    Column("external_id", Text, nullable=False),
    Column("company_domain", Text),
    Column("kind", Text, nullable=False, comment="missing, unexpected, field or duplicate"),
    Column("field", Text),
    Column("claimed", Json),
    Column("found", Json),
    Column("mended_at", UtcDateTime),
    Index(
        "ix_crm_differences_open",
        "found_at",
        sqlite_where=text("mended_at IS NULL"),
        postgresql_where=text("mended_at IS NULL"),
    ),
)
