"""Column schemas for the catalogue, read from the store's own tables so that they can't drift."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import dagster as dg

if TYPE_CHECKING:
    from sqlalchemy import Table


def described(table: Table) -> dict[str, Any]:
    """Metadata of an asset that is a table: its name and its columns."""
    columns = [
        dg.TableColumn(
            name=column.name,
            type=type(column.type).__name__.lower(),
            description=column.comment,
            constraints=dg.TableColumnConstraints(nullable=bool(column.nullable), unique=bool(column.primary_key)),
        )
        for column in table.columns
    ]
    return {"dagster/table_name": f"hunter.{table.name}", "dagster/column_schema": dg.TableSchema(columns=columns)}


def derived(**columns: list[tuple[str, str]]) -> dict[str, Any]:
    """Column lineage: each column with the (asset, column) pairs it comes from."""
    return {
        "dagster/column_lineage": dg.TableColumnLineage(
            {
                name: [dg.TableColumnDep(asset_key=dg.AssetKey(asset), column_name=column) for asset, column in sources]
                for name, sources in columns.items()
            }
        )
    }
