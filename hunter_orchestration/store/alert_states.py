"""What each target of alerts was last told, so that every change is told once."""

from __future__ import annotations

from sqlalchemy import Connection, select

from hunter_orchestration.store.runs import write_watermark
from hunter_orchestration.store.tables.ingestion import watermarks

SOURCE = "alerts"


def told(connection: Connection) -> dict[str, str]:
    """Target and subject, as one text, with what was last told of it."""
    query = select(watermarks.c.scope, watermarks.c.value).where(watermarks.c.source == SOURCE)
    return {row.scope: row.value for row in connection.execute(query)}


def tell(connection: Connection, scope: str, value: str) -> None:
    """Remember what was told."""
    write_watermark(connection, SOURCE, scope, value)
