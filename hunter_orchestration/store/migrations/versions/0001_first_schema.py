"""The first schema."""

import sqlalchemy as sa
from alembic import op

from hunter_orchestration.store import types

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "bulk_actions",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("action", sa.Text(), nullable=False, comment="push, rescan"),
        sa.Column("state", sa.Text(), nullable=False, comment="queued, running, done, cancelled or failed"),
        sa.Column("requested_by", sa.Text(), nullable=False),
        sa.Column("domains", types.Json(), nullable=True, comment="the list, or empty with a filter"),
        sa.Column("filter", types.Json(), nullable=True),
        sa.Column("counts", types.Json(), nullable=False, comment="total, done, failed"),
        sa.Column("run_id", sa.Text(), nullable=True),
        sa.Column("created_at", types.UtcDateTime(), nullable=False),
        sa.Column("finished_at", types.UtcDateTime(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_bulk_actions")),
    )
    op.create_index("ix_bulk_actions_created_at", "bulk_actions", ["created_at"], unique=False)
    op.create_table(
        "companies",
        sa.Column("domain", sa.Text(), nullable=False, comment="registrable domain, lower-case ASCII"),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("name_source", sa.Text(), nullable=False, comment="person, referral, import, api or domain"),
        sa.Column("country", sa.Text(), nullable=True, comment="ISO 3166 alpha-2"),
        sa.Column("city", sa.Text(), nullable=True),
        sa.Column("address", types.Json(), nullable=True),
        sa.Column("size", sa.Text(), nullable=True, comment="as a source stated it, never guessed"),
        sa.Column("size_source", sa.Text(), nullable=True),
        sa.Column("phone", sa.Text(), nullable=True),
        sa.Column("website", sa.Text(), nullable=True),
        sa.Column("tenant_id", sa.Text(), nullable=True, comment="stated by a business source"),
        sa.Column("tenant_source", sa.Text(), nullable=True),
        sa.Column(
            "tenant_name",
            sa.Text(),
            nullable=True,
            comment="initial domain of a tenant that a contact's address names; evidence only",
        ),
        sa.Column(
            "sources",
            types.Json(),
            nullable=False,
            comment="which sources named this company, with first and last time",
        ),
        sa.Column("edited", types.Json(), nullable=True, comment="fields a person set, which no source overwrites"),
        sa.Column("referral_count", sa.Integer(), server_default="0", nullable=False),
        sa.Column("open_referral_count", sa.Integer(), server_default="0", nullable=False),
        sa.Column("has_open_co_sell", sa.Boolean(), server_default=sa.text("(false)"), nullable=False),
        sa.Column("leading_referral_id", sa.Text(), nullable=True, comment="open before closed, newest first"),
        sa.Column("open_deal_value", types.Json(), nullable=True, comment="sum of open deals by currency"),
        sa.Column("merged_into", sa.Text(), nullable=True, comment="companies.domain a person merged this one into"),
        sa.Column("first_seen_at", types.UtcDateTime(), nullable=False),
        sa.Column("changed_at", types.UtcDateTime(), nullable=False, comment="last change in our store"),
        sa.Column(
            "activity_at", types.UtcDateTime(), nullable=False, comment="last change at a source; decides the partition"
        ),
        sa.Column("scan_due_at", types.UtcDateTime(), nullable=True),
        sa.Column("score_due_at", types.UtcDateTime(), nullable=True),
        sa.Column("push_due_at", types.UtcDateTime(), nullable=True),
        sa.PrimaryKeyConstraint("domain", name=op.f("pk_companies")),
    )
    op.create_index("ix_companies_activity_at", "companies", ["activity_at"], unique=False)
    op.create_index("ix_companies_merged_into", "companies", ["merged_into"], unique=False)
    op.create_index(
        "ix_companies_push_due_at",
        "companies",
        ["push_due_at", "domain"],
        unique=False,
        sqlite_where=sa.text("push_due_at IS NOT NULL"),
        postgresql_where=sa.text("push_due_at IS NOT NULL"),
    )
    op.create_index(
        "ix_companies_scan_due_at",
        "companies",
        ["scan_due_at", "domain"],
        unique=False,
        sqlite_where=sa.text("scan_due_at IS NOT NULL"),
        postgresql_where=sa.text("scan_due_at IS NOT NULL"),
    )
    op.create_index(
        "ix_companies_score_due_at",
        "companies",
        ["score_due_at", "domain"],
        unique=False,
        sqlite_where=sa.text("score_due_at IS NOT NULL"),
        postgresql_where=sa.text("score_due_at IS NOT NULL"),
    )
    op.create_table(
        "company_audit",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("at", types.UtcDateTime(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("action", sa.Text(), nullable=False, comment="link, unlink, create, edit, merge, unmerge or forget"),
        sa.Column("company_domain", sa.Text(), nullable=True),
        sa.Column("referral_id", sa.Text(), nullable=True),
        sa.Column("fields", types.Json(), nullable=True, comment="field: [old, new]"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_company_audit")),
    )
    op.create_index("ix_company_audit_at", "company_audit", ["at"], unique=False)
    op.create_index("ix_company_audit_company_domain_at", "company_audit", ["company_domain", "at"], unique=False)
    op.create_table(
        "company_links",
        sa.Column("referral_id", sa.Text(), nullable=False),
        sa.Column(
            "company_domain",
            sa.Text(),
            nullable=True,
            comment="empty: a person said it belongs to none of the suggestions",
        ),
        sa.Column("decided_by", sa.Text(), nullable=False),
        sa.Column("decided_at", types.UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("referral_id", name=op.f("pk_company_links")),
    )
    op.create_table(
        "company_mentions",
        sa.Column("source", sa.Text(), nullable=False, comment="import, api or webhook"),
        sa.Column("external_id", sa.Text(), nullable=False, comment="raw_leads.external_id"),
        sa.Column(
            "raw_lead_id",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            nullable=False,
            comment="raw_leads.id of the newest payload",
        ),
        sa.Column("domain", sa.Text(), nullable=False, comment="registrable domain the payload names"),
        sa.Column(
            "company_domain", sa.Text(), nullable=False, comment="companies.domain it counts for, merges followed"
        ),
        sa.Column("fields", types.Json(), nullable=False, comment="what it says of the company"),
        sa.Column("contact", types.Json(), nullable=True, comment="the person it names, as in referrals.contacts"),
        sa.Column("first_at", types.UtcDateTime(), nullable=False),
        sa.Column("last_at", types.UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("source", "external_id", name=op.f("pk_company_mentions")),
    )
    op.create_index("ix_company_mentions_company_domain", "company_mentions", ["company_domain"], unique=False)
    op.create_index("ix_company_mentions_domain", "company_mentions", ["domain"], unique=False)
    op.create_table(
        "company_merges",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("loser", sa.Text(), nullable=False),
        sa.Column("winner", sa.Text(), nullable=False),
        sa.Column("decided_by", sa.Text(), nullable=False),
        sa.Column("decided_at", types.UtcDateTime(), nullable=False),
        sa.Column("undone_at", types.UtcDateTime(), nullable=True),
        sa.Column("before", types.Json(), nullable=False, comment="what undoing restores"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_company_merges")),
    )
    op.create_index("ix_company_merges_loser", "company_merges", ["loser"], unique=False)
    op.create_index("ix_company_merges_winner", "company_merges", ["winner"], unique=False)
    op.create_table(
        "contacts",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("company_domain", sa.Text(), nullable=False),
        sa.Column(
            "email_hash",
            sa.Text(),
            nullable=False,
            comment="SHA-256 of the lower-cased address, hex; identity everywhere",
        ),
        sa.Column("email", sa.Text(), nullable=False),
        sa.Column("first_name", sa.Text(), nullable=True),
        sa.Column("last_name", sa.Text(), nullable=True),
        sa.Column("phone", sa.Text(), nullable=True),
        sa.Column("title", sa.Text(), nullable=True),
        sa.Column("locale", sa.Text(), nullable=True),
        sa.Column("consent", types.Json(), nullable=True),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("referral_id", sa.Text(), nullable=True),
        sa.Column("first_seen_at", types.UtcDateTime(), nullable=False),
        sa.Column("changed_at", types.UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_contacts")),
        sa.UniqueConstraint("company_domain", "email_hash", name=op.f("uq_contacts_company_domain_email_hash")),
    )
    op.create_index("ix_contacts_email_hash", "contacts", ["email_hash"], unique=False)
    op.create_table(
        "crm_audit",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("at", types.UtcDateTime(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False, comment="a person, or the run that acted"),
        sa.Column("run_id", sa.Text(), nullable=True),
        sa.Column("table_name", sa.Text(), nullable=False),
        sa.Column("external_id", sa.Text(), nullable=False),
        sa.Column("company_domain", sa.Text(), nullable=False),
        sa.Column(
            "operation", sa.Text(), nullable=False, comment="create, update, adopt, merge, qualify, won, lost, read…"
        ),
        sa.Column("fields", types.Json(), nullable=True, comment="field: [old, new]"),
        sa.Column(
            "outcome", sa.Text(), nullable=False, comment="sent, confirmed, rejected, deferred, recovered or unknown"
        ),
        sa.Column("status", sa.Integer(), nullable=True, comment="HTTP status"),
        sa.Column("code", sa.Text(), nullable=True, comment="the CRM's error code"),
        sa.Column("detail", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_crm_audit")),
    )
    op.create_index("ix_crm_audit_at", "crm_audit", ["at"], unique=False)
    op.create_index("ix_crm_audit_company_domain_at", "crm_audit", ["company_domain", "at"], unique=False)
    op.create_table(
        "crm_differences",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("found_at", types.UtcDateTime(), nullable=False),
        sa.Column("table_name", sa.Text(), nullable=False),
        sa.Column("external_id", sa.Text(), nullable=False),
        sa.Column("company_domain", sa.Text(), nullable=True),
        sa.Column("kind", sa.Text(), nullable=False, comment="missing, unexpected, field or duplicate"),
        sa.Column("field", sa.Text(), nullable=True),
        sa.Column("claimed", types.Json(), nullable=True),
        sa.Column("found", types.Json(), nullable=True),
        sa.Column("mended_at", types.UtcDateTime(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_crm_differences")),
    )
    op.create_index(
        "ix_crm_differences_open",
        "crm_differences",
        ["found_at"],
        unique=False,
        sqlite_where=sa.text("mended_at IS NULL"),
        postgresql_where=sa.text("mended_at IS NULL"),
    )
    op.create_table(
        "crm_records",
        sa.Column("table_name", sa.Text(), nullable=False, comment="account, contact, lead or opportunity"),
        sa.Column("external_id", sa.Text(), nullable=False, comment="value of hnt_externalid"),
        sa.Column("company_domain", sa.Text(), nullable=False),
        sa.Column("referral_id", sa.Text(), nullable=True, comment="for opportunities"),
        sa.Column("crm_id", sa.Text(), nullable=True, comment="GUID in Dynamics, once known"),
        sa.Column("crm_version", sa.Text(), nullable=True, comment="etag last seen"),
        sa.Column(
            "state",
            sa.Text(),
            nullable=False,
            comment="pending, in_progress, synced, rejected, deferred, conflict, deleted_in_crm or skipped",
        ),
        sa.Column("wanted_hash", sa.Text(), nullable=True),
        sa.Column("wanted", types.Json(), nullable=True, comment="field values we would like the CRM to hold"),
        sa.Column("acknowledged_hash", sa.Text(), nullable=True),
        sa.Column("acknowledged", types.Json(), nullable=True, comment="field values the CRM confirmed from us"),
        sa.Column("observed", types.Json(), nullable=True, comment="field values last read back"),
        sa.Column(
            "crm_state", sa.Text(), nullable=True, comment="open, qualified, disqualified, won, lost, active, inactive"
        ),
        sa.Column("crm_owner", sa.Text(), nullable=True),
        sa.Column("attempts", sa.Integer(), server_default="0", nullable=False),
        sa.Column("next_attempt_at", types.UtcDateTime(), nullable=True),
        sa.Column("error_code", sa.Text(), nullable=True),
        sa.Column("error", sa.Text(), nullable=True, comment="the CRM's words"),
        sa.Column("fix", sa.Text(), nullable=True, comment="what to do, as a key of the message catalogue"),
        sa.Column(
            "candidates", types.Json(), nullable=True, comment="for conflicts: the CRM rows a person chooses from"
        ),
        sa.Column("mapping_version", sa.Text(), nullable=True),
        sa.Column("lease_owner", sa.Text(), nullable=True),
        sa.Column(
            "lease_token",
            sa.Integer(),
            server_default="0",
            nullable=False,
            comment="grows with each lease; fences late writers",
        ),
        sa.Column("lease_until", types.UtcDateTime(), nullable=True),
        sa.Column("synced_at", types.UtcDateTime(), nullable=True),
        sa.Column("changed_at", types.UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("table_name", "external_id", name=op.f("pk_crm_records")),
    )
    op.create_index("ix_crm_records_changed_at", "crm_records", ["changed_at"], unique=False)
    op.create_index("ix_crm_records_company_domain", "crm_records", ["company_domain"], unique=False)
    op.create_index("ix_crm_records_crm_id", "crm_records", ["table_name", "crm_id"], unique=False)
    op.create_index("ix_crm_records_state_next_attempt_at", "crm_records", ["state", "next_attempt_at"], unique=False)
    op.create_table(
        "domain_details",
        sa.Column("domain", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False, comment="registration, tenant, mail_transport, dnssec or network"),
        sa.Column("state", sa.Text(), nullable=False, comment="found, absent, unknown or not_configured"),
        sa.Column("facts", types.Json(), nullable=False),
        sa.Column("fetched_at", types.UtcDateTime(), nullable=False),
        sa.Column("expires_at", types.UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("domain", "kind", name=op.f("pk_domain_details")),
    )
    op.create_table(
        "erasures",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("subject_hash", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("requested_by", sa.Text(), nullable=False),
        sa.Column("at", types.UtcDateTime(), nullable=False),
        sa.Column("counts", types.Json(), nullable=False, comment="rows touched by table"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_erasures")),
    )
    op.create_table(
        "events",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("at", types.UtcDateTime(), nullable=False),
        sa.Column(
            "kind",
            sa.Text(),
            nullable=False,
            comment="leads_changed, run_started, run_finished, import_progress, bulk_progress, alert…",
        ),
        sa.Column("subject", sa.Text(), nullable=True, comment="domain, run id or import id"),
        sa.Column("body", types.Json(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_events")),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_events_at", "events", ["at"], unique=False)
    op.create_table(
        "idempotency_keys",
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("request_hash", sa.Text(), nullable=False),
        sa.Column("status", sa.Integer(), nullable=False),
        sa.Column("body", types.Json(), nullable=False),
        sa.Column("at", types.UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("key", "actor", name=op.f("pk_idempotency_keys")),
    )
    op.create_index("ix_idempotency_keys_at", "idempotency_keys", ["at"], unique=False)
    op.create_table(
        "import_rejects",
        sa.Column("import_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("line", sa.Integer(), nullable=False, comment="line in the file, the heading is 1"),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.Column("row", types.Json(), nullable=False),
        sa.PrimaryKeyConstraint("import_id", "line", name=op.f("pk_import_rejects")),
    )
    op.create_table(
        "imports",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("filename", sa.Text(), nullable=False),
        sa.Column("content_hash", sa.Text(), nullable=False, comment="SHA-256 of the file, hex"),
        sa.Column("state", sa.Text(), nullable=False, comment="uploaded, running, done, failed or cancelled"),
        sa.Column("stored_path", sa.Text(), nullable=True, comment="where the file waits, below HUNTER_HOME"),
        sa.Column("encoding", sa.Text(), nullable=True),
        sa.Column("separator", sa.Text(), nullable=True),
        sa.Column("columns", types.Json(), nullable=True, comment="what each field is read from"),
        sa.Column("counts", types.Json(), nullable=True, comment="rows, stored, unchanged, rejected"),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("requested_by", sa.Text(), nullable=True),
        sa.Column("created_at", types.UtcDateTime(), nullable=False),
        sa.Column("finished_at", types.UtcDateTime(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_imports")),
    )
    op.create_index("ix_imports_content_hash", "imports", ["content_hash"], unique=False)
    op.create_index("ix_imports_created_at", "imports", ["created_at"], unique=False)
    op.create_table(
        "lead_counts",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("priority", sa.Text().with_variant(sa.TEXT(collation="C"), "postgresql"), nullable=False),
        sa.Column("commercial_segment", sa.Text().with_variant(sa.TEXT(collation="C"), "postgresql"), nullable=False),
        sa.Column("segment", sa.Text().with_variant(sa.TEXT(collation="C"), "postgresql"), nullable=False),
        sa.Column("provider", sa.Text().with_variant(sa.TEXT(collation="C"), "postgresql"), nullable=False),
        sa.Column("gateway", sa.Text().with_variant(sa.TEXT(collation="C"), "postgresql"), nullable=False),
        sa.Column("referral_category", sa.Text().with_variant(sa.TEXT(collation="C"), "postgresql"), nullable=False),
        sa.Column("referral_status", sa.Text().with_variant(sa.TEXT(collation="C"), "postgresql"), nullable=False),
        sa.Column("dynamics_state", sa.Text().with_variant(sa.TEXT(collation="C"), "postgresql"), nullable=False),
        sa.Column("country", sa.Text().with_variant(sa.TEXT(collation="C"), "postgresql"), nullable=False),
        sa.Column("source", sa.Text().with_variant(sa.TEXT(collation="C"), "postgresql"), nullable=False),
        sa.Column(
            "leads", sa.Integer(), nullable=False, comment="on PostgreSQL several rows of one combination add up"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_lead_counts")),
    )
    op.create_index(
        "ix_lead_counts_combination",
        "lead_counts",
        [
            "priority",
            "commercial_segment",
            "segment",
            "provider",
            "gateway",
            "referral_category",
            "referral_status",
            "dynamics_state",
            "country",
            "source",
        ],
        unique=False,
    )
    op.create_table(
        "leads",
        sa.Column(
            "id",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            nullable=False,
            comment="row number of the search index",
        ),
        sa.Column("domain", sa.Text().with_variant(sa.TEXT(collation="C"), "postgresql"), nullable=False),
        sa.Column("domain_shown", sa.Text(), nullable=False, comment="Unicode form"),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column(
            "name_key",
            sa.Text().with_variant(sa.TEXT(collation="C"), "postgresql"),
            nullable=False,
            comment="sorts as a Turkish reader expects",
        ),
        sa.Column(
            "search_text",
            sa.Text().with_variant(sa.TEXT(collation="C"), "postgresql"),
            nullable=False,
            comment="name and domain, folded: ı, İ, I and i are one letter",
        ),
        sa.Column("country", sa.Text().with_variant(sa.TEXT(collation="C"), "postgresql"), nullable=True),
        sa.Column("size", sa.Text(), nullable=True),
        sa.Column(
            "source",
            sa.Text().with_variant(sa.TEXT(collation="C"), "postgresql"),
            nullable=False,
            comment="partnercenter, import, api or webhook: the first that named it",
        ),
        sa.Column(
            "priority",
            sa.Text().with_variant(sa.TEXT(collation="C"), "postgresql"),
            nullable=False,
            comment="P1 to P6; P9 while not scored",
        ),
        sa.Column("score", sa.Integer(), nullable=False, comment="0 to 100; -1 while not scored"),
        sa.Column(
            "rank",
            sa.Integer(),
            sa.Computed("CAST(substr(priority, 2, 1) AS INTEGER) * 1000 - score", persisted=True),
            nullable=False,
            comment="the default order as one number: priority, then the higher score",
        ),
        sa.Column("complete", sa.Boolean(), nullable=False),
        sa.Column("segment", sa.Text().with_variant(sa.TEXT(collation="C"), "postgresql"), nullable=True),
        sa.Column("commercial_segment", sa.Text().with_variant(sa.TEXT(collation="C"), "postgresql"), nullable=True),
        sa.Column("technical_heat", sa.Text(), nullable=True),
        sa.Column("commercial_heat", sa.Text(), nullable=True),
        sa.Column(
            "provider",
            sa.Text().with_variant(sa.TEXT(collation="C"), "postgresql"),
            nullable=False,
            comment="Unknown while not scanned",
        ),
        sa.Column("gateway", sa.Text().with_variant(sa.TEXT(collation="C"), "postgresql"), nullable=True),
        sa.Column("hoster", sa.Text(), nullable=True),
        sa.Column("referral_id", sa.Text(), nullable=True, comment="the leading referral"),
        sa.Column("referral_category", sa.Text().with_variant(sa.TEXT(collation="C"), "postgresql"), nullable=True),
        sa.Column("referral_status", sa.Text().with_variant(sa.TEXT(collation="C"), "postgresql"), nullable=True),
        sa.Column("referral_substatus", sa.Text(), nullable=True),
        sa.Column("referral_count", sa.Integer(), nullable=False),
        sa.Column("expires_at", types.UtcDateTime(), nullable=True, comment="earliest expiry of a New referral"),
        sa.Column("deal_value", types.Money(), nullable=True, comment="of the leading referral"),
        sa.Column("currency", sa.Text(), nullable=True),
        sa.Column(
            "dynamics_state",
            sa.Text().with_variant(sa.TEXT(collation="C"), "postgresql"),
            nullable=False,
            comment="not_pushed or the worst state of the company's records",
        ),
        sa.Column("dynamics_detail", sa.Text(), nullable=True, comment="what the state needs a reader to know"),
        sa.Column("first_seen_at", types.UtcDateTime(), nullable=False),
        sa.Column("changed_at", types.UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_leads")),
    )
    op.create_index("ix_leads_changed_at", "leads", ["changed_at", "domain"], unique=False)
    op.create_index("ix_leads_commercial_segment", "leads", ["commercial_segment", "rank", "domain"], unique=False)
    op.create_index("ix_leads_complete", "leads", ["complete", "rank", "domain"], unique=False)
    op.create_index("ix_leads_country", "leads", ["country", "rank", "domain"], unique=False)
    op.create_index("ix_leads_deal_value", "leads", ["deal_value", "domain"], unique=False)
    op.create_index("ix_leads_dynamics_state", "leads", ["dynamics_state", "rank", "domain"], unique=False)
    op.create_index("ix_leads_expires_at", "leads", ["expires_at", "domain"], unique=False)
    op.create_index("ix_leads_first_seen_at", "leads", ["first_seen_at", "domain", "rank"], unique=False)
    op.create_index("ix_leads_gateway", "leads", ["gateway", "rank", "domain"], unique=False)
    op.create_index("ix_leads_name_key", "leads", ["name_key", "domain", "search_text"], unique=False)
    op.create_index("ix_leads_provider", "leads", ["provider", "rank", "domain"], unique=False)
    op.create_index("ix_leads_rank", "leads", ["rank", "domain"], unique=False)
    op.create_index("ix_leads_referral_category", "leads", ["referral_category", "rank", "domain"], unique=False)
    op.create_index("ix_leads_referral_status", "leads", ["referral_status", "rank", "domain"], unique=False)
    op.create_index("ix_leads_score", "leads", ["score", "priority"], unique=False)
    op.create_index("ix_leads_search_text", "leads", ["search_text"], unique=False)
    op.create_index("ix_leads_segment", "leads", ["segment", "rank", "domain"], unique=False)
    op.create_index("ix_leads_source", "leads", ["source", "rank", "domain"], unique=False)
    op.create_index("uq_leads_domain", "leads", ["domain"], unique=True)
    op.create_table(
        "leases",
        sa.Column("name", sa.Text(), nullable=False, comment="one of a kind of work: referral_sync, dynamics_push…"),
        sa.Column("owner", sa.Text(), nullable=False, comment="run id or host:pid"),
        sa.Column("token", sa.Integer(), nullable=False, comment="grows with each holder; a late writer's is refused"),
        sa.Column("until", types.UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_leases")),
    )
    op.create_table(
        "quarantine",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("external_id", sa.Text(), nullable=False),
        sa.Column(
            "raw_lead_id",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            nullable=True,
            comment="raw_leads.id, empty for a payload without an identity",
        ),
        sa.Column("reason", sa.Text(), nullable=False, comment="short machine word"),
        sa.Column("detail", sa.Text(), nullable=False, comment="one sentence for a person"),
        sa.Column("payload", types.Json(), nullable=True, comment="only where raw_leads holds none"),
        sa.Column("reader_version", sa.Integer(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False, comment="open, resolved or discarded"),
        sa.Column("attempts", sa.Integer(), server_default="1", nullable=False),
        sa.Column("first_at", types.UtcDateTime(), nullable=False),
        sa.Column("last_at", types.UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_quarantine")),
        sa.UniqueConstraint("source", "external_id", name=op.f("uq_quarantine_source_external_id")),
    )
    op.create_index("ix_quarantine_state_last_at", "quarantine", ["state", "last_at"], unique=False)
    op.create_table(
        "raw_leads",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("source", sa.Text(), nullable=False, comment="partnercenter, import, api or webhook"),
        sa.Column("external_id", sa.Text(), nullable=False, comment="the source's own key of the record"),
        sa.Column("payload_hash", sa.Text(), nullable=False, comment="SHA-256 of the canonical payload, hex"),
        sa.Column("payload", types.Json(), nullable=False),
        sa.Column(
            "source_updated_at", types.UtcDateTime(), nullable=True, comment="the source's own stamp, when it gives one"
        ),
        sa.Column(
            "import_id",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            nullable=True,
            comment="imports.id for rows of a file",
        ),
        sa.Column("received_at", types.UtcDateTime(), nullable=False, comment="first time this payload came"),
        sa.Column(
            "seen_at",
            types.UtcDateTime(),
            nullable=False,
            comment="last time this payload came as the newest of its record",
        ),
        sa.Column(
            "processed_at",
            types.UtcDateTime(),
            nullable=True,
            comment="empty while the next stage still has to read the row",
        ),
        sa.Column(
            "outcome", sa.Text(), nullable=True, comment="stored, unchanged, superseded, quarantined or suppressed"
        ),
        sa.Column("reader_version", sa.Integer(), nullable=True, comment="version of the code that read it"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_raw_leads")),
        sa.UniqueConstraint(
            "source", "external_id", "payload_hash", name=op.f("uq_raw_leads_source_external_id_payload_hash")
        ),
    )
    op.create_index(
        "ix_raw_leads_pending",
        "raw_leads",
        ["source", "id"],
        unique=False,
        sqlite_where=sa.text("processed_at IS NULL"),
        postgresql_where=sa.text("processed_at IS NULL"),
    )
    op.create_table(
        "referral_actions",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("referral_id", sa.Text(), nullable=False),
        sa.Column("action", sa.Text(), nullable=False, comment="accept, decline, win, lose, reference"),
        sa.Column("requested_by", sa.Text(), nullable=False),
        sa.Column("at", types.UtcDateTime(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False, comment="done or refused"),
        sa.Column("detail", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_referral_actions")),
    )
    op.create_index("ix_referral_actions_referral_id", "referral_actions", ["referral_id"], unique=False)
    op.create_table(
        "referral_history",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("referral_id", sa.Text(), nullable=False),
        sa.Column("at", types.UtcDateTime(), nullable=False, comment="Partner Center's stamp of the change"),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("substatus", sa.Text(), nullable=False),
        sa.Column("deal_value", types.Money(), nullable=True),
        sa.Column("currency", sa.Text(), nullable=True),
        sa.Column("recorded_at", types.UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_referral_history")),
    )
    op.create_index("ix_referral_history_referral_id_at", "referral_history", ["referral_id", "at"], unique=False)
    op.create_table(
        "referrals",
        sa.Column("id", sa.Text(), nullable=False, comment="Partner Center's GUID, lower case"),
        sa.Column("engagement_id", sa.Text(), nullable=True),
        sa.Column(
            "raw_lead_id",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            nullable=False,
            comment="raw_leads.id of the payload this row was read from",
        ),
        sa.Column("name", sa.Text(), server_default="", nullable=False),
        sa.Column("type", sa.Text(), nullable=False, comment="Independent, Shared, or the text that came"),
        sa.Column("qualification", sa.Text(), nullable=True),
        sa.Column("direction", sa.Text(), nullable=True, comment="Incoming, Outgoing or empty"),
        sa.Column("status", sa.Text(), nullable=False, comment="None, New, Active, Closed, or the text that came"),
        sa.Column("substatus", sa.Text(), nullable=False),
        sa.Column("status_reason", sa.Text(), nullable=True),
        sa.Column(
            "category",
            sa.Text(),
            nullable=False,
            comment="co_sell, marketplace, solution_provider, private_deal, partner_led or other",
        ),
        sa.Column("category_rule", sa.Text(), nullable=False, comment="the rule of the contract that decided"),
        sa.Column("is_open", sa.Boolean(), nullable=False, comment="status is New or Active"),
        sa.Column("company_name", sa.Text(), server_default="", nullable=False),
        sa.Column("company_size", sa.Text(), nullable=True),
        sa.Column("country", sa.Text(), nullable=True, comment="ISO 3166 alpha-2"),
        sa.Column("city", sa.Text(), nullable=True),
        sa.Column("address", types.Json(), nullable=True),
        sa.Column(
            "contacts",
            types.Json(),
            nullable=False,
            comment="customer side: [{first_name, last_name, email, phone, title, locale}]",
        ),
        sa.Column(
            "candidates",
            types.Json(),
            nullable=True,
            comment="what else may name the customer's domain: [[external_id, website or other_email, value]]",
        ),
        sa.Column("consent", types.Json(), nullable=True),
        sa.Column("needs", types.Json(), nullable=True, comment="products, services, solutions, industries asked for"),
        sa.Column("notes", sa.Text(), nullable=True),
        sa.Column("external_reference_id", sa.Text(), nullable=True),
        sa.Column("organization_id", sa.Text(), nullable=True),
        sa.Column("mpn_id", sa.Text(), nullable=True),
        sa.Column("invited_by", sa.Text(), nullable=True, comment="inviteContext.invitedBy.organizationId"),
        sa.Column("tenant_id", sa.Text(), nullable=True, comment="only when the payload states one"),
        sa.Column(
            "domain", sa.Text(), nullable=True, comment="registrable domain the payload names, empty when it names none"
        ),
        sa.Column("domain_source", sa.Text(), nullable=True, comment="contact_email, external_id, website…"),
        sa.Column("domain_rejected", sa.Text(), nullable=True, comment="why no domain could be taken"),
        sa.Column(
            "company_domain", sa.Text(), nullable=True, comment="companies.domain it belongs to; empty: needs a domain"
        ),
        sa.Column(
            "linked_by", sa.Text(), nullable=True, comment="auto, or who linked it; a person's link outlives every sync"
        ),
        sa.Column("deal_value", types.Money(), nullable=True),
        sa.Column("currency", sa.Text(), nullable=True, comment="ISO 4217"),
        sa.Column("closing_at", types.UtcDateTime(), nullable=True),
        sa.Column("created_at", types.UtcDateTime(), nullable=False, comment="Partner Center's stamp"),
        sa.Column(
            "updated_at", types.UtcDateTime(), nullable=False, comment="Partner Center's stamp; decides the partition"
        ),
        sa.Column(
            "expires_at",
            types.UtcDateTime(),
            nullable=True,
            comment="when a New referral that waits for our answer is archived",
        ),
        sa.Column("accepted_at", types.UtcDateTime(), nullable=True),
        sa.Column("closed_at", types.UtcDateTime(), nullable=True),
        sa.Column("etag", sa.Text(), nullable=True),
        sa.Column("unknown_values", types.Json(), nullable=True, comment="enum values the contract does not know"),
        sa.Column("synced_at", types.UtcDateTime(), nullable=False),
        sa.Column(
            "company_due_at",
            types.UtcDateTime(),
            nullable=True,
            comment="set while the companies stage has to look at this row",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_referrals")),
    )
    op.create_index("ix_referrals_category_updated_at", "referrals", ["category", "updated_at"], unique=False)
    op.create_index("ix_referrals_company_domain", "referrals", ["company_domain"], unique=False)
    op.create_index(
        "ix_referrals_company_due",
        "referrals",
        ["company_due_at"],
        unique=False,
        sqlite_where=sa.text("company_due_at IS NOT NULL"),
        postgresql_where=sa.text("company_due_at IS NOT NULL"),
    )
    op.create_index("ix_referrals_engagement_id", "referrals", ["engagement_id"], unique=False)
    op.create_index(
        "ix_referrals_expiring",
        "referrals",
        ["expires_at"],
        unique=False,
        sqlite_where=sa.text("status = 'New'"),
        postgresql_where=sa.text("status = 'New'"),
    )
    op.create_index("ix_referrals_status_updated_at", "referrals", ["status", "updated_at"], unique=False)
    op.create_index(
        "ix_referrals_unlinked",
        "referrals",
        ["updated_at"],
        unique=False,
        sqlite_where=sa.text("company_domain IS NULL"),
        postgresql_where=sa.text("company_domain IS NULL"),
    )
    op.create_index("ix_referrals_updated_at", "referrals", ["updated_at"], unique=False)
    op.create_table(
        "saved_views",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("owner", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("query", sa.Text(), nullable=False),
        sa.Column("created_at", types.UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_saved_views")),
    )
    op.create_index("uq_saved_views_owner_name", "saved_views", ["owner", "name"], unique=True)
    op.create_table(
        "scan_changes",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("domain", sa.Text(), nullable=False),
        sa.Column("at", types.UtcDateTime(), nullable=False),
        sa.Column(
            "kind", sa.Text(), nullable=False, comment="provider, gateway, mx, spf, dkim, dmarc, tenant or registration"
        ),
        sa.Column("old", sa.Text(), nullable=True),
        sa.Column("new", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_scan_changes")),
    )
    op.create_index("ix_scan_changes_at", "scan_changes", ["at"], unique=False)
    op.create_index("ix_scan_changes_domain_at", "scan_changes", ["domain", "at"], unique=False)
    op.create_table(
        "scans",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("domain", sa.Text(), nullable=False),
        sa.Column("scanned_at", types.UtcDateTime(), nullable=False),
        sa.Column("expires_at", types.UtcDateTime(), nullable=False),
        sa.Column("is_current", sa.Boolean(), nullable=False),
        sa.Column("complete", sa.Boolean(), nullable=False, comment="no core lookup failed"),
        sa.Column("provider", sa.Text(), nullable=False, comment="who holds the mailboxes"),
        sa.Column("gateway", sa.Text(), nullable=True),
        sa.Column("hoster", sa.Text(), nullable=True),
        sa.Column("mx_state", sa.Text(), nullable=False, comment="found, absent, null, nxdomain or unknown"),
        sa.Column("spf_state", sa.Text(), nullable=False),
        sa.Column("spf_all", sa.Text(), nullable=True),
        sa.Column("spf_includes", sa.Integer(), nullable=True),
        sa.Column("dkim_found", sa.Boolean(), nullable=True, comment="empty: unknown"),
        sa.Column("dmarc_state", sa.Text(), nullable=False),
        sa.Column("dmarc_policy", sa.Text(), nullable=True),
        sa.Column("tenant_id", sa.Text(), nullable=True, comment="discovered, which is weaker than stated"),
        sa.Column("tenant_name", sa.Text(), nullable=True),
        sa.Column(
            "tenant_agrees",
            sa.Boolean(),
            server_default=sa.text("(false)"),
            nullable=False,
            comment="a mail tell agrees with the tenant",
        ),
        sa.Column("findings", types.Json(), nullable=False, comment="everything found, with its evidence"),
        sa.Column("lookups", sa.Integer(), nullable=False),
        sa.Column("seconds", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_scans")),
    )
    op.create_index("ix_scans_domain_scanned_at", "scans", ["domain", "scanned_at"], unique=False)
    op.create_index("ix_scans_scanned_at", "scans", ["scanned_at"], unique=False)
    op.create_index(
        "uq_scans_current",
        "scans",
        ["domain"],
        unique=True,
        sqlite_where=sa.text("is_current"),
        postgresql_where=sa.text("is_current"),
    )
    op.create_table(
        "score_history",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("domain", sa.Text(), nullable=False),
        sa.Column("at", types.UtcDateTime(), nullable=False),
        sa.Column("score", sa.Integer(), nullable=False),
        sa.Column("priority", sa.Text(), nullable=False),
        sa.Column("rules_version", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_score_history")),
    )
    op.create_index("ix_score_history_at", "score_history", ["at"], unique=False)
    op.create_index("ix_score_history_domain_at", "score_history", ["domain", "at"], unique=False)
    op.create_table(
        "scores",
        sa.Column("domain", sa.Text(), nullable=False),
        sa.Column("rules_version", sa.Text(), nullable=False),
        sa.Column("input_hash", sa.Text(), nullable=False),
        sa.Column("inputs", types.Json(), nullable=False),
        sa.Column("provider", sa.Text(), nullable=False, comment="as the rules see it: a known tenant makes it M365"),
        sa.Column("score", sa.Integer(), nullable=False),
        sa.Column(
            "complete", sa.Boolean(), nullable=False, comment="false: a lookup failed and could change the score"
        ),
        sa.Column("segment", sa.Text(), nullable=False),
        sa.Column("technical_heat", sa.Text(), nullable=False),
        sa.Column("commercial_segment", sa.Text(), nullable=False),
        sa.Column("commercial_heat", sa.Text(), nullable=False),
        sa.Column("priority", sa.Text(), nullable=False, comment="P1 to P6"),
        sa.Column("priority_label", sa.Text(), nullable=False),
        sa.Column("breakdown", types.Json(), nullable=False, comment="every point with its reason and evidence"),
        sa.Column("scored_at", types.UtcDateTime(), nullable=False),
        sa.Column(
            "changed_at", types.UtcDateTime(), nullable=False, comment="last time score or priority became another"
        ),
        sa.PrimaryKeyConstraint("domain", name=op.f("pk_scores")),
    )
    op.create_index("ix_scores_rules_version", "scores", ["rules_version", "domain"], unique=False)
    op.create_table(
        "suppressions",
        sa.Column("kind", sa.Text(), nullable=False, comment="email or domain; key: the random key of the hashes"),
        sa.Column("subject_hash", sa.Text(), nullable=False, comment="keyed hash of the erased address or domain"),
        sa.Column("at", types.UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("kind", "subject_hash", name=op.f("pk_suppressions")),
    )
    op.create_table(
        "sync_runs",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column(
            "kind",
            sa.Text(),
            nullable=False,
            comment="the stage: raw_leads, referrals, companies, domain_scans, lead_scores, dynamics_records, pull, reconcile…",
        ),
        sa.Column("run_id", sa.Text(), nullable=True, comment="Dagster's run id"),
        sa.Column("requested_by", sa.Text(), nullable=True),
        sa.Column("state", sa.Text(), nullable=False, comment="running, succeeded or failed"),
        sa.Column("started_at", types.UtcDateTime(), nullable=False),
        sa.Column("finished_at", types.UtcDateTime(), nullable=True),
        sa.Column("counts", types.Json(), nullable=True),
        sa.Column("error", sa.Text(), nullable=True, comment="one sentence and what to do"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_sync_runs")),
    )
    op.create_index("ix_sync_runs_kind_started_at", "sync_runs", ["kind", "started_at"], unique=False)
    op.create_index("ix_sync_runs_run_id", "sync_runs", ["run_id"], unique=False)
    op.create_index("ix_sync_runs_started_at", "sync_runs", ["started_at"], unique=False)
    op.create_table(
        "watermarks",
        sa.Column("source", sa.Text(), nullable=False, comment="partnercenter, dynamics…"),
        sa.Column("scope", sa.Text(), nullable=False, comment="referrals, change-token:accounts…"),
        sa.Column("value", sa.Text(), nullable=False, comment="a UTC stamp in ISO 8601, or an opaque token"),
        sa.Column("updated_at", types.UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("source", "scope", name=op.f("pk_watermarks")),
    )
    op.create_table(
        "web_sessions",
        sa.Column("id_hash", sa.Text(), nullable=False, comment="SHA-256 of the cookie's value, hex"),
        sa.Column("user_id", sa.Text(), nullable=False, comment="Entra object id"),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("role", sa.Text(), nullable=False, comment="viewer, seller or admin"),
        sa.Column("opened_at", types.UtcDateTime(), nullable=False),
        sa.Column("seen_at", types.UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id_hash", name=op.f("pk_web_sessions")),
    )
    op.create_index("ix_web_sessions_seen_at", "web_sessions", ["seen_at"], unique=False)


def downgrade() -> None:
    op.drop_table("web_sessions")
    op.drop_table("watermarks")
    op.drop_table("sync_runs")
    op.drop_table("suppressions")
    op.drop_table("scores")
    op.drop_table("score_history")
    op.drop_table("scans")
    op.drop_table("scan_changes")
    op.drop_table("saved_views")
    op.drop_table("referrals")
    op.drop_table("referral_history")
    op.drop_table("referral_actions")
    op.drop_table("raw_leads")
    op.drop_table("quarantine")
    op.drop_table("leases")
    op.drop_table("leads")
    op.drop_table("lead_counts")
    op.drop_table("imports")
    op.drop_table("import_rejects")
    op.drop_table("idempotency_keys")
    op.drop_table("events")
    op.drop_table("erasures")
    op.drop_table("domain_details")
    op.drop_table("crm_records")
    op.drop_table("crm_differences")
    op.drop_table("crm_audit")
    op.drop_table("contacts")
    op.drop_table("company_merges")
    op.drop_table("company_mentions")
    op.drop_table("company_links")
    op.drop_table("company_audit")
    op.drop_table("companies")
    op.drop_table("bulk_actions")
