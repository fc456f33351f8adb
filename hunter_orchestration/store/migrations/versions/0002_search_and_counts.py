"""Search by trigrams, and counts of the leads by filter value, both kept by triggers.

SQLite: an FTS5 trigram index whose content is ``leads``, and one counter row a combination of values. PostgreSQL:
a pg_trgm index, and counters as appended differences that are compacted now and then, so that two writers never
wait for each other's counter row. Without pg_trgm (it needs CREATE on the database once) search still works, slower.
"""

import logging

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_COUNTED = (
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
_COLUMNS = ", ".join(_COUNTED)


def _values(row: str) -> str:
    return ", ".join(f"coalesce({row}{name}, '')" for name in _COUNTED)


def upgrade() -> None:
    op.execute(
        f"INSERT INTO lead_counts ({_COLUMNS}, leads) SELECT {_values('')}, count(*) FROM leads "
        f"GROUP BY {', '.join(str(position) for position in range(1, len(_COUNTED) + 1))}"
    )
    if op.get_bind().dialect.name == "postgresql":
        _upgrade_postgresql()
    else:
        _upgrade_sqlite()


def _upgrade_sqlite() -> None:
    # A unique index of its own: on PostgreSQL the same combination may have several rows.
    op.execute(f"CREATE UNIQUE INDEX uq_lead_counts_combination ON lead_counts ({_COLUMNS})")
    op.execute(
        "CREATE VIRTUAL TABLE leads_search USING fts5("
        "search_text, content='leads', content_rowid='id', tokenize='trigram case_sensitive 1')"
    )
    op.execute("INSERT INTO leads_search(leads_search) VALUES ('rebuild')")
    forget = "INSERT INTO leads_search(leads_search, rowid, search_text) VALUES ('delete', old.id, old.search_text);"
    learn = "INSERT INTO leads_search(rowid, search_text) VALUES (new.id, new.search_text);"
    less = "UPDATE lead_counts SET leads = leads - 1 WHERE " + " AND ".join(
        f"{name} = coalesce(old.{name}, '')" for name in _COUNTED
    )
    more = (
        f"INSERT INTO lead_counts ({_COLUMNS}, leads) VALUES ({_values('new.')}, 1) "
        f"ON CONFLICT ({_COLUMNS}) DO UPDATE SET leads = leads + 1"
    )
    moved = " OR ".join(f"old.{name} IS NOT new.{name}" for name in _COUNTED)
    for name, when, body in (
        ("search_insert", "AFTER INSERT ON leads", learn),
        ("search_delete", "AFTER DELETE ON leads", forget),
        (
            "search_update",
            "AFTER UPDATE OF search_text ON leads WHEN old.search_text IS NOT new.search_text",
            forget + learn,
        ),
        ("count_insert", "AFTER INSERT ON leads", f"{more};"),
        ("count_delete", "AFTER DELETE ON leads", f"{less};"),
        ("count_update", f"AFTER UPDATE ON leads WHEN {moved}", f"{less}; {more};"),
    ):
        # Alembic's op.execute would read ":" and "%" its own way; this text is for the driver as it stands.
        op.get_bind().exec_driver_sql(f"CREATE TRIGGER leads_{name} {when} BEGIN {body} END")


def _upgrade_postgresql() -> None:
    connection = op.get_bind()
    try:
        with connection.begin_nested():
            connection.execute(sa.text("CREATE EXTENSION IF NOT EXISTS pg_trgm"))
    except sa.exc.DBAPIError as error:
        logging.getLogger("hunter.store").warning(
            "PostgreSQL's pg_trgm extension can't be created (%s): search reads every lead until it is there. "
            "As a superuser: CREATE EXTENSION pg_trgm; "
            "CREATE INDEX ix_leads_search_trigrams ON leads USING gin (search_text gin_trgm_ops).",
            type(error.orig).__name__,
        )
    else:
        op.execute(
            "CREATE INDEX ix_leads_search_trigrams ON leads USING gin (search_text gin_trgm_ops) "
            "WITH (fastupdate = off)"
        )
    for operation, tables in (("insert", ["added"]), ("delete", ["removed"]), ("update", ["added", "removed"])):
        parts = " UNION ALL ".join(
            f"SELECT {_COLUMNS}, {1 if table == 'added' else -1} AS step FROM {table}" for table in tables
        )
        grouped = ", ".join(str(position) for position in range(1, len(_COUNTED) + 1))
        op.execute(f"""
            CREATE FUNCTION hunter_count_{operation}() RETURNS trigger LANGUAGE plpgsql AS $$
            BEGIN
                INSERT INTO lead_counts ({_COLUMNS}, leads)
                SELECT {_values("")}, sum(step) FROM ({parts}) AS steps GROUP BY {grouped} HAVING sum(step) <> 0;
                IF random() < 0.02 AND pg_try_advisory_xact_lock(748014) THEN
                    WITH taken AS (DELETE FROM lead_counts RETURNING {_COLUMNS}, leads)
                    INSERT INTO lead_counts ({_COLUMNS}, leads)
                    SELECT {_COLUMNS}, sum(leads) FROM taken GROUP BY {grouped} HAVING sum(leads) <> 0;
                END IF;
                RETURN NULL;
            END $$""")
        references = " ".join(f"{'NEW' if table == 'added' else 'OLD'} TABLE AS {table}" for table in tables)
        op.execute(
            f"CREATE TRIGGER leads_count_{operation} AFTER {operation.upper()} ON leads REFERENCING {references} "
            f"FOR EACH STATEMENT EXECUTE FUNCTION hunter_count_{operation}()"
        )


def downgrade() -> None:
    if op.get_bind().dialect.name == "postgresql":
        for operation in ("insert", "delete", "update"):
            op.execute(f"DROP TRIGGER leads_count_{operation} ON leads")
            op.execute(f"DROP FUNCTION hunter_count_{operation}()")
        op.execute("DROP INDEX IF EXISTS ix_leads_search_trigrams")
    else:
        for name in ("search_insert", "search_delete", "search_update", "count_insert", "count_delete", "count_update"):
            op.execute(f"DROP TRIGGER leads_{name}")
        op.execute("DROP TABLE leads_search")
        op.execute("DROP INDEX uq_lead_counts_combination")
    op.execute("DELETE FROM lead_counts")
