"""What the organisation holds, on disk: a line per written row, changed table or deletion, so that a demo survives a
restart. The last line may have been cut short by a kill; it is the one write that was never answered."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import IO, Any

import orjson

from hunter_orchestration.sandbox.dataverse.rows import Organisation, Row, Rows
from hunter_orchestration.sandbox.dataverse.schema import AlternateKey, Column, Option, Table


class Journal:
    """Keeps one organisation in one file.

    Args:
        path: the file; read at the start when it exists, then written anew without what was overwritten.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file: IO[bytes] | None = None

    def load(self, organisation: Organisation) -> bool:
        """Bring the organisation to where it stood, and keep it from now on; False when there was nothing."""
        known = self.path.exists() and self.path.stat().st_size > 0
        if known:
            for line in self._lines():
                _play(organisation, line)
            for data in organisation.data.values():
                data.rows = dict(sorted(data.rows.items(), key=lambda item: item[1].number))
                for key in data.table.keys.values():
                    if key.status == "Active":
                        organisation.activate(data.table, key)
        self.start(organisation)
        return known

    def start(self, organisation: Organisation) -> None:
        """Write everything to a fresh file that takes the old one's place, and append from now on."""
        self.close()
        fresh = self.path.with_suffix(".new")
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with fresh.open("wb") as file:
            file.writelines(_dump(line) for line in _everything(organisation))
        fresh.replace(self.path)
        self._file = self.path.open("ab")
        organisation.keeper = self

    def rows(self, touched: Iterable[tuple[Rows, str]]) -> None:
        """Keep what became of these rows."""
        self._append(_row_line(data, data.rows.get(row_id), row_id) for data, row_id in touched)

    def table(self, organisation: Organisation, table: Table) -> None:
        """Keep a table's columns, keys and switches."""
        self._append([_table_line(table), {"oldest": organisation.oldest_token, "version": organisation.version}])

    def close(self) -> None:
        """Write no more."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def _append(self, lines: Iterable[dict[str, Any]]) -> None:
        if self._file is not None:
            self._file.write(b"".join(_dump(line) for line in lines))
            self._file.flush()

    def _lines(self) -> Iterator[dict[str, Any]]:
        with self.path.open("rb") as file:
            for line in file:
                if line.endswith(b"\n"):
                    yield orjson.loads(line)


def _dump(line: dict[str, Any]) -> bytes:
    return orjson.dumps(line) + b"\n"


def _row_line(data: Rows, row: Row | None, row_id: str) -> dict[str, Any]:
    if row is None:
        version = next((v for v, gone in reversed(data.deletions) if gone == row_id), 0)
        return {"t": data.table.name, "i": row_id, "v": version}
    return {"t": data.table.name, "i": row_id, "v": row.version, "n": row.number, "w": row.values}


def _table_line(table: Table) -> dict[str, Any]:
    columns = []
    for column in table.columns.values():
        entry = asdict(column)
        for derived in ("option_values", "is_lookup", "value_name", "target_name"):
            del entry[derived]
        columns.append(entry)
    return {
        "table": table.name,
        "columns": columns,
        "keys": [asdict(key) for key in table.keys.values()],
        "change_tracking": table.change_tracking,
        "duplicate_detection": table.duplicate_detection,
    }


def _everything(organisation: Organisation) -> Iterator[dict[str, Any]]:
    yield {"oldest": organisation.oldest_token, "version": organisation.version}
    for table in organisation.tables.values():
        yield _table_line(table)
    for data in organisation.data.values():
        for version, row_id in data.deletions:
            yield {"t": data.table.name, "i": row_id, "v": version}
        for row in data.rows.values():
            yield _row_line(data, row, row.id)


def _play(organisation: Organisation, line: dict[str, Any]) -> None:
    if "oldest" in line:
        organisation.oldest_token = line["oldest"]
        organisation.version = max(organisation.version, line["version"])
        return
    if "table" in line:
        table = organisation.tables[line["table"]]
        table.columns = {
            c["name"]: Column(**{**c, "options": [Option(**o) for o in c["options"]]}) for c in line["columns"]
        }
        table.keys = {k["schema_name"]: AlternateKey(**{**k, "columns": tuple(k["columns"])}) for k in line["keys"]}
        table.change_tracking = line["change_tracking"]
        table.duplicate_detection = line["duplicate_detection"]
        table.changed()
        return
    data = organisation.data[line["t"]]
    organisation.restore(
        data, line["i"], Row(line["i"], line["n"], line["v"], line["w"]) if "w" in line else None, line["v"]
    )
