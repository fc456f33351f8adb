"""A file that keeps the referrals that changed, one JSON line a write; the last line of a referral counts."""

from __future__ import annotations

from pathlib import Path
from typing import Any, TypedDict

import orjson


class Entry(TypedDict):
    """One written referral; times are ticks."""

    row: int
    kind: int
    company: int
    created: int
    updated: int
    document: dict[str, Any]


class Journal:
    """The file at ``path``, opened to append."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = path.open("a+b")

    def read(self) -> list[Entry]:
        """The last entry of every referral, by row; the file is cut down to them."""
        lines: dict[int, Entry] = {}
        self._file.seek(0)
        for line in self._file:
            # A last line cut short by a kill is the one write that never was answered.
            if not line.endswith(b"\n"):
                break
            entry: Entry = orjson.loads(line)
            lines[entry["row"]] = entry
        entries = [lines[row] for row in sorted(lines)]
        # Written aside and put in place at once: a kill in between loses nothing.
        aside = self._path.with_suffix(".new")
        aside.write_bytes(b"".join(orjson.dumps(entry) + b"\n" for entry in entries))
        self._file.close()
        aside.replace(self._path)
        self._file = self._path.open("a+b")
        return entries

    def write(self, entry: Entry) -> None:
        self._file.write(orjson.dumps(entry) + b"\n")
        self._file.flush()

    def clear(self) -> None:
        self._file.truncate(0)

    def close(self) -> None:
        self._file.close()
