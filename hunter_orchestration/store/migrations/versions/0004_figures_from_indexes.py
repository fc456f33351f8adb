"""Indexes that hold what the figures above the list are made of, so that they never read referrals or the ledger whole."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

_OF_A_REFERRAL = sa.text("referral_id IS NOT NULL")


def upgrade() -> None:
    op.create_index("ix_referrals_funnel", "referrals", ["status", "substatus", "accepted_at"])
    op.create_index(
        "ix_referrals_open",
        "referrals",
        ["category"],
        sqlite_where=sa.text("is_open = 1"),
        postgresql_where=sa.text("is_open"),
    )
    op.create_index(
        "ix_crm_records_pushed",
        "crm_records",
        ["state", "referral_id"],
        sqlite_where=_OF_A_REFERRAL,
        postgresql_where=_OF_A_REFERRAL,
    )


def downgrade() -> None:
    op.drop_index("ix_crm_records_pushed", "crm_records")
    op.drop_index("ix_referrals_open", "referrals")
    op.drop_index("ix_referrals_funnel", "referrals")
