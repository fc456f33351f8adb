"""Companies by registrable domain, their people, and decisions people made about them.

The three ``*_due_at`` stamps are the work lists of the stages downstream: an upstream stage sets them in the
transaction that changed the company, the stage clears exactly the stamp it read, so a change in between is not lost.
"""

from sqlalchemy import Boolean, Column, Index, Integer, Table, Text, UniqueConstraint, text

from hunter_orchestration.store.tables.base import metadata
from hunter_orchestration.store.types import Json, Key, UtcDateTime


def _due(column: str) -> Index:
    where = text(f"{column} IS NOT NULL")
    return Index(f"ix_companies_{column}", column, "domain", sqlite_where=where, postgresql_where=where)


companies = Table(
    "companies",
    metadata,
    Column("domain", Text, primary_key=True, comment="registrable domain, lower-case ASCII"),
    Column("name", Text, nullable=False),
    Column("name_source", Text, nullable=False, comment="person, referral, import, api or domain"),
    Column("country", Text, comment="ISO 3166 alpha-2"),
    Column("city", Text),
    Column("address", Json),
    Column("size", Text, comment="as a source stated it, never guessed"),
    Column("size_source", Text),
    Column("phone", Text),
    Column("website", Text),
    Column("tenant_id", Text, comment="stated by a business source"),
    Column("tenant_source", Text),
    Column("tenant_name", Text, comment="initial domain of a tenant that a contact's address names; evidence only"),
    Column("sources", Json, nullable=False, comment="which sources named this company, with first and last time"),
    Column("edited", Json, comment="fields a person set, which no source overwrites"),
    Column("referral_count", Integer, nullable=False, server_default="0"),
    Column("open_referral_count", Integer, nullable=False, server_default="0"),
    Column("has_open_co_sell", Boolean, nullable=False, server_default=text("false")),
    Column("leading_referral_id", Text, comment="open before closed, newest first"),
    Column("open_deal_value", Json, comment="sum of open deals by currency"),
    Column("merged_into", Text, comment="companies.domain a person merged this one into"),
    Column("first_seen_at", UtcDateTime, nullable=False),
    Column("changed_at", UtcDateTime, nullable=False, comment="last change in our store"),
    Column("activity_at", UtcDateTime, nullable=False, comment="last change at a source; decides the partition"),
    Column("scan_due_at", UtcDateTime),
    Column("score_due_at", UtcDateTime),
    Column("push_due_at", UtcDateTime),
    Index("ix_companies_activity_at", "activity_at"),
    Index("ix_companies_merged_into", "merged_into"),
    _due("scan_due_at"),
    _due("score_due_at"),
    _due("push_due_at"),
)

contacts = Table(
    "contacts",
    metadata,
    Column("id", Key, primary_key=True),
    Column("company_domain", Text, nullable=False),
    Column("email_hash", Text, nullable=False, comment="SHA-256 of the lower-cased address, hex; identity everywhere"),
    Column("email", Text, nullable=False),
    Column("first_name", Text),
    Column("last_name", Text),
    Column("phone", Text),
    Column("title", Text),
    Column("locale", Text),
    Column("consent", Json),
    Column("source", Text, nullable=False),
    Column("referral_id", Text),
    Column("first_seen_at", UtcDateTime, nullable=False),
    Column("changed_at", UtcDateTime, nullable=False),
    UniqueConstraint("company_domain", "email_hash"),
    Index("ix_contacts_email_hash", "email_hash"),
)

company_mentions = Table(
    "company_mentions",
    metadata,
    Column("source", Text, primary_key=True, comment="import, api or webhook"),
    Column("external_id", Text, primary_key=True, comment="raw_leads.external_id"),
    Column("raw_lead_id", Key, nullable=False, comment="raw_leads.id of the newest payload"),
    Column("domain", Text, nullable=False, comment="registrable domain the payload names"),
    Column("company_domain", Text, nullable=False, comment="companies.domain it counts for, merges followed"),
    Column("fields", Json, nullable=False, comment="what it says of the company"),
    Column("contact", Json, comment="the person it names, as in referrals.contacts"),
    Column("first_at", UtcDateTime, nullable=False),
    Column("last_at", UtcDateTime, nullable=False),
    Index("ix_company_mentions_company_domain", "company_domain"),
    Index("ix_company_mentions_domain", "domain"),
)

company_links = Table(
    "company_links",
    metadata,
    Column("referral_id", Text, primary_key=True),
    Column("company_domain", Text, comment="empty: a person said it belongs to none of the suggestions"),
    Column("decided_by", Text, nullable=False),
    Column("decided_at", UtcDateTime, nullable=False),
)

company_merges = Table(
    "company_merges",
    metadata,
    Column("id", Key, primary_key=True),
    Column("loser", Text, nullable=False),
    Column("winner", Text, nullable=False),
    Column("decided_by", Text, nullable=False),
    Column("decided_at", UtcDateTime, nullable=False),
    Column("undone_at", UtcDateTime),
    Column("before", Json, nullable=False, comment="what undoing restores"),
    Index("ix_company_merges_loser", "loser"),
    Index("ix_company_merges_winner", "winner"),
)

suppressions = Table(
    "suppressions",
    metadata,
    Column("kind", Text, primary_key=True, comment="email or domain; key: the random key of the hashes"),
    Column("subject_hash", Text, primary_key=True, comment="keyed hash of the erased address or domain"),
    Column("at", UtcDateTime, nullable=False),
)

erasures = Table(
    "erasures",
    metadata,
    Column("id", Key, primary_key=True),
    Column("subject_hash", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("requested_by", Text, nullable=False),
    Column("at", UtcDateTime, nullable=False),
    Column("counts", Json, nullable=False, comment="rows touched by table"),
)

company_audit = Table(
    "company_audit",
    metadata,
    Column("id", Key, primary_key=True),
    Column("at", UtcDateTime, nullable=False),
    Column("actor", Text, nullable=False),
    Column("action", Text, nullable=False, comment="link, unlink, create, edit, merge, unmerge or forget"),
    Column("company_domain", Text),
    Column("referral_id", Text),
    Column("fields", Json, comment="field: [old, new]"),
    Index("ix_company_audit_company_domain_at", "company_domain", "at"),
    Index("ix_company_audit_at", "at"),
)
