"""What scans of domains found: appended, the newest valid one is current; and what changed between two."""

from sqlalchemy import Boolean, Column, Float, Index, Integer, Table, Text, text

from hunter_orchestration.store.tables.base import metadata
from hunter_orchestration.store.types import Json, Key, UtcDateTime

scans = Table(
    "scans",
    metadata,
    Column("id", Key, primary_key=True),
    Column("domain", Text, nullable=False),
    Column("scanned_at", UtcDateTime, nullable=False),
    Column("expires_at", UtcDateTime, nullable=False),
    Column("is_current", Boolean, nullable=False),
    Column("complete", Boolean, nullable=False, comment="no core lookup failed"),
    Column("provider", Text, nullable=False, comment="who holds the mailboxes"),
    Column("gateway", Text),
    Column("hoster", Text),
    Column("mx_state", Text, nullable=False, comment="found, absent, null, nxdomain or unknown"),
    Column("spf_state", Text, nullable=False),
    Column("spf_all", Text),
    Column("spf_includes", Integer),
    Column("dkim_found", Boolean, comment="empty: unknown"),
    Column("dmarc_state", Text, nullable=False),
    Column("dmarc_policy", Text),
    Column("tenant_id", Text, comment="discovered, which is weaker than stated"),
    Column("tenant_name", Text),
    Column(
        "tenant_agrees",
        Boolean,
        nullable=False,
        server_default=text("false"),
        comment="a mail tell agrees with the tenant",
    ),
    Column("findings", Json, nullable=False, comment="everything found, with its evidence"),
    Column("lookups", Integer, nullable=False),
    Column("seconds", Float, nullable=False),
    Index(
        "uq_scans_current",
        "domain",
        unique=True,
        sqlite_where=text("is_current"),
        postgresql_where=text("is_current"),
    ),
    Index("ix_scans_domain_scanned_at", "domain", "scanned_at"),
    Index("ix_scans_scanned_at", "scanned_at"),
)

scan_changes = Table(
    "scan_changes",
    metadata,
    Column("id", Key, primary_key=True),
    Column("domain", Text, nullable=False),
    Column("at", UtcDateTime, nullable=False),
    Column("kind", Text, nullable=False, comment="provider, gateway, mx, spf, dkim, dmarc, tenant or registration"),
    Column("old", Text),
    Column("new", Text),
    Index("ix_scan_changes_domain_at", "domain", "at"),
    Index("ix_scan_changes_at", "at"),
)

domain_details = Table(
    "domain_details",
    metadata,
    Column("domain", Text, primary_key=True),
    Column("kind", Text, primary_key=True, comment="registration, tenant, mail_transport, dnssec or network"),
    Column("state", Text, nullable=False, comment="found, absent, unknown or not_configured"),
    Column("facts", Json, nullable=False),
    Column("fetched_at", UtcDateTime, nullable=False),
    Column("expires_at", UtcDateTime, nullable=False),
)
