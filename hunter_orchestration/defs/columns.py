"""Column schemas for the catalogue, read from the store's own tables so that they can't drift."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import dagster as dg

from hunter_orchestration.defs.column_words import WORDS

if TYPE_CHECKING:
    from sqlalchemy import Table

_TYPES = {"biginteger": "integer", "utcdatetime": "timestamp", "money": "decimal"}


def described(table: Table, **sources: list[tuple[str, str]]) -> dict[str, Any]:
    """Metadata of an asset that is a table: its name, its columns, and the (asset, column) pairs some come from.

    The open-source UI draws no column lineage, so a column's description names its sources, too.
    """
    single_key = len(table.primary_key.columns) == 1
    columns = []
    for column in table.columns:
        kind = type(column.type).__name__.lower()
        unique = bool(column.primary_key) and single_key
        columns.append(
            dg.TableColumn(
                name=column.name,
                type=_TYPES.get(kind, kind),
                description=_told(column.comment or WORDS.get(column.name), sources.get(column.name, [])),
                constraints=dg.TableColumnConstraints(nullable=bool(column.nullable), unique=unique),
            )
        )
    shown = {"dagster/table_name": f"hunter.{table.name}", "dagster/column_schema": dg.TableSchema(columns=columns)}
    return shown | _lineage(sources) if sources else shown


def _told(words: str | None, sources: list[tuple[str, str]]) -> str | None:
    if words is None or not sources:
        return words
    return f"{words} · from {', '.join(f'{asset}.{column}' for asset, column in sources)}"


def _lineage(sources: dict[str, list[tuple[str, str]]]) -> dict[str, Any]:
    return {
        "dagster/column_lineage": dg.TableColumnLineage(
            {
                name: [dg.TableColumnDep(asset_key=dg.AssetKey(asset), column_name=column) for asset, column in pairs]
                for name, pairs in sources.items()
            }
        )
    }
