"""Counts of the leads by score and by completeness as well, and leads that PostgreSQL vacuums before they are many.

A filter by score, its facets and the score histogram are answered from ``lead_counts`` then, whatever state the pages
of ``leads`` are in. Index-only reads of ``leads`` need pages that a vacuum has marked: by default autovacuum waits for
a fifth of the table, which is too late for a list that is read all day.
"""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_BEFORE = (
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
)
_AFTER = (*_BEFORE, "complete", "score")
_PLAIN = ("complete", "score")
"""Columns that are never empty."""
_AUTOVACUUM = ("autovacuum_vacuum_scale_factor", "autovacuum_vacuum_insert_scale_factor",
               "autovacuum_analyze_scale_factor")  # fmt: skip


def upgrade() -> None:
    _remake(_AFTER)
    if op.get_bind().dialect.name == "postgresql":
        op.execute(f"ALTER TABLE leads SET ({', '.join(f'{name} = 0.02' for name in _AUTOVACUUM)})")


def downgrade() -> None:
    _remake(_BEFORE)
    if op.get_bind().dialect.name == "postgresql":
        op.execute(f"ALTER TABLE leads RESET ({', '.join(_AUTOVACUUM)})")


def _remake(counted: tuple[str, ...]) -> None:
    """Make the table of counts and what keeps it anew, and count."""
    connection = op.get_bind()
    postgresql = connection.dialect.name == "postgresql"
    if postgresql:
        # Nobody writes between the counting and the new triggers.
        op.execute("LOCK TABLE leads IN SHARE ROW EXCLUSIVE MODE")
        # Enough to count in memory: sorting a million leads by a dozen columns takes a minute.
        op.execute("SET LOCAL work_mem = '64MB'")
    else:
        for operation in ("insert", "delete", "update"):
            op.execute(f"DROP TRIGGER leads_count_{operation}")
    op.drop_table("lead_counts")
    text = sa.Text().with_variant(sa.TEXT(collation="C"), "postgresql")
    kinds: dict[str, Any] = {"complete": sa.Boolean(), "score": sa.Integer()}
    op.create_table(
        "lead_counts",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        *(sa.Column(name, kinds.get(name, text), nullable=False) for name in counted),
        sa.Column(
            "leads", sa.Integer(), nullable=False, comment="on PostgreSQL several rows of one combination add up"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_lead_counts")),
    )
    if counted == _BEFORE:
        op.create_index("ix_lead_counts_combination", "lead_counts", list(counted))
    op.execute(
        f"INSERT INTO lead_counts ({', '.join(counted)}, leads) SELECT {_values(counted)}, count(*) FROM leads "
        f"GROUP BY {_positions(counted)}"
    )
    (_functions if postgresql else _triggers)(counted)


def _values(counted: tuple[str, ...], row: str = "") -> str:
    return ", ".join(row + name if name in _PLAIN else f"coalesce({row}{name}, '')" for name in counted)


def _positions(counted: tuple[str, ...]) -> str:
    return ", ".join(str(position) for position in range(1, len(counted) + 1))


def _triggers(counted: tuple[str, ...]) -> None:
    columns = ", ".join(counted)
    op.execute(f"CREATE UNIQUE INDEX uq_lead_counts_combination ON lead_counts ({columns})")
    less = "UPDATE lead_counts SET leads = leads - 1 WHERE " + " AND ".join(
        f"{name} = {_values((name,), 'old.')}" for name in counted
    )
    more = (
        f"INSERT INTO lead_counts ({columns}, leads) VALUES ({_values(counted, 'new.')}, 1) "
        f"ON CONFLICT ({columns}) DO UPDATE SET leads = leads + 1"
    )
    moved = " OR ".join(f"old.{name} IS NOT new.{name}" for name in counted)
    for name, when, body in (
        ("insert", "AFTER INSERT ON leads", f"{more};"),
        ("delete", "AFTER DELETE ON leads", f"{less};"),
        ("update", f"AFTER UPDATE ON leads WHEN {moved}", f"{less}; {more};"),
    ):
        op.execute(f"CREATE TRIGGER leads_count_{name} {when} BEGIN {body} END")


def _functions(counted: tuple[str, ...]) -> None:
    columns, grouped = ", ".join(counted), _positions(counted)
    for operation, tables in (("insert", ["added"]), ("delete", ["removed"]), ("update", ["added", "removed"])):
        parts = " UNION ALL ".join(
            f"SELECT {columns}, {1 if table == 'added' else -1} AS step FROM {table}" for table in tables
        )
        op.execute(f"""
            CREATE OR REPLACE FUNCTION hunter_count_{operation}() RETURNS trigger LANGUAGE plpgsql AS $$
            BEGIN
                INSERT INTO lead_counts ({columns}, leads)
                SELECT {_values(counted)}, sum(step) FROM ({parts}) AS steps GROUP BY {grouped} HAVING sum(step) <> 0;
                IF random() < 0.02 AND pg_try_advisory_xact_lock(748014) THEN
                    WITH taken AS (DELETE FROM lead_counts RETURNING {columns}, leads)
                    INSERT INTO lead_counts ({columns}, leads)
                    SELECT {columns}, sum(leads) FROM taken GROUP BY {grouped} HAVING sum(leads) <> 0;
                END IF;
                RETURN NULL;
            END $$""")
