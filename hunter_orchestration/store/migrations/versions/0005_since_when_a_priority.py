"""Since when a lead has its priority, from its history; and comments that say what the bookkeeping tables hold."""

import sqlalchemy as sa
from alembic import op

from hunter_orchestration.store import types

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

_COMMENTS = (
    ("watermarks", "source", "partnercenter, dynamics…", "partnercenter, dynamics or alerts"),
    (
        "watermarks",
        "scope",
        "referrals, change-token:accounts…",
        "partnercenter: referrals; dynamics: changes:account, columns:account…, organisation, mapping, texts, "
        "not_before; alerts: target/subject",
    ),
    (
        "watermarks",
        "value",
        "a UTC stamp in ISO 8601, or an opaque token",
        "a UTC stamp in ISO 8601, the link to the next changes, or what was seen or told last",
    ),
    (
        "leases",
        "name",
        "one of a kind of work: referral_sync, dynamics_push…",
        "work that one does at a time: referral_sync, referral_read, import:<id>, dynamics, doctor",
    ),
    ("leases", "owner", "run id or host:pid", "Dagster's run id, or the process of a command"),
    (
        "sync_runs",
        "kind",
        "the stage: raw_leads, referrals, companies, domain_scans, lead_scores, dynamics_records, pull, reconcile…",
        "the stage: raw_leads, imported_leads, referrals, companies, domain_scans, domain_details, lead_scores, "
        "dynamics_records, dynamics_changes, dynamics_differences",
    ),
)
"""Table, column, what was said, what is so."""


def upgrade() -> None:
    op.add_column("scores", sa.Column("priority_since", types.UtcDateTime(), comment="since when it has this priority"))
    # The first line of history behind the last one with another priority. Old lines are dropped after a while: what
    # has none left had its priority when score and priority changed last.
    op.execute("""
        UPDATE scores SET priority_since = coalesce(
            (
                SELECT min(kept.at) FROM score_history AS kept
                WHERE kept.domain = scores.domain AND kept.priority = scores.priority AND NOT EXISTS (
                    SELECT 1 FROM score_history AS other
                    WHERE other.domain = scores.domain AND other.priority <> scores.priority
                    AND (other.at, other.id) > (kept.at, kept.id)
                )
            ),
            changed_at
        )""")
    with op.batch_alter_table("scores") as scores:
        scores.alter_column("priority_since", existing_type=types.UtcDateTime(), nullable=False)
    if op.get_bind().dialect.name == "postgresql":
        for table, column, before, after in _COMMENTS:
            op.alter_column(table, column, comment=after, existing_comment=before)


def downgrade() -> None:
    if op.get_bind().dialect.name == "postgresql":
        for table, column, before, after in _COMMENTS:
            op.alter_column(table, column, comment=before, existing_comment=after)
    with op.batch_alter_table("scores") as scores:
        scores.drop_column("priority_since")
