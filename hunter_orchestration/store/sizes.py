"""How many rows a table holds, at a cost that does not grow with them."""

from __future__ import annotations

from sqlalchemy import Connection, Table, bindparam, func, select, text

_COUNTED = 100_000
"""Up to so many rows PostgreSQL counts; of more it has an estimate that autovacuum keeps within some per cent."""
_ESTIMATE = text("SELECT reltuples FROM pg_class WHERE oid = to_regclass(:name)").bindparams(bindparam("name"))


def rows_in(connection: Connection, table: Table) -> int:
    """Rows of a table; on PostgreSQL an estimate once they are many."""
    if connection.dialect.name == "postgresql":
        estimated = int(connection.execute(_ESTIMATE, {"name": table.name}).scalar() or 0)
        if estimated > _COUNTED:
            return estimated
    return int(connection.execute(select(func.count()).select_from(table)).scalar_one())
