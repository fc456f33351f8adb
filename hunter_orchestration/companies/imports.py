"""Files of leads: received, shown for confirmation, read into records.

What a row became is told: a record, the record it already was, or a reject with its line and reason.
"""

from __future__ import annotations

import csv
import hashlib
import io
import os
import re
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO

from hunter_orchestration.companies.admission import REASONS, admitted
from hunter_orchestration.companies.columns import propose
from hunter_orchestration.companies.domains import email_address
from hunter_orchestration.companies.files import (
    MAX_FILE_BYTES,
    FileForm,
    FileRefusedError,
    FileRow,
    form_of,
    rows_of,
)
from hunter_orchestration.companies.naming import clean
from hunter_orchestration.companies.records import FIELDS, record_hash, record_key
from hunter_orchestration.errors import PermanentError
from hunter_orchestration.store import Connection, Store, raw_leads, runs, suppressions
from hunter_orchestration.store import imports as import_store
from hunter_orchestration.store.raw_leads import Payload
from hunter_orchestration.store.suppressions import Suppressed
from hunter_orchestration.store.work import Progress, StageResult, utc_now

SOURCE = "import"
SAMPLE_ROWS = 200
SHOWN_ROWS = 20
NAMING_FIELDS = ("domain", "website", "email")

_CHUNK = 1000
_KEPT_CELL = 500
_FORMULA = re.compile(r"[=+\-@\t\r＝＋－＠]")


class ImportStateError(PermanentError):
    """An import is not there, or not in a state in which this can be done."""


@dataclass(frozen=True, slots=True)
class Preview:
    """A file before it is imported: what it is, what its columns seem to hold, and its first rows below the heading."""

    form: FileForm
    headings: list[str]
    heading_line: int
    columns: dict[str, str]
    rows: list[list[str]]
    fields: tuple[str, ...] = FIELDS


def preview(path: Path, form: FileForm | None = None) -> Preview:
    """Read the first rows of a file and propose what its columns hold.

    Raises:
        FileRefusedError: see there.
    """
    form = form or form_of(path)
    sample = list(islice(rows_of(path, form), SAMPLE_ROWS))
    proposal = propose(sample)
    body = [cells for line, cells in sample if line > proposal.heading_line]
    shown = [[cell[:_KEPT_CELL] for cell in cells] for cells in body[:SHOWN_ROWS]]
    return Preview(form, proposal.headings, proposal.heading_line, proposal.columns, shown)


def receive(store: Store, home: Path, filename: str, content: BinaryIO, requested_by: str | None = None) -> int:
    """Keep an uploaded file below ``home`` and record it as ``uploaded``; returns the import's id.

    Raises:
        FileRefusedError: too large, empty, or nothing that can be imported.
    """
    folder = home / "imports"
    folder.mkdir(parents=True, exist_ok=True)
    digest = hashlib.sha256()
    size = 0
    handle, name = tempfile.mkstemp(dir=folder, suffix=".part")
    path = Path(name)
    try:
        with os.fdopen(handle, "wb") as kept:
            while block := content.read(1 << 20):
                size += len(block)
                if size > MAX_FILE_BYTES:
                    raise FileRefusedError(
                        f"The file has more than {MAX_FILE_BYTES / 1e6:.0f} MB, the most that can be imported.",
                        "Split it.",
                    )
                digest.update(block)
                kept.write(block)
        seen = preview(path)
        path = path.rename(path.with_suffix(".data"))
    except BaseException:
        path.unlink(missing_ok=True)
        raise
    with store.write() as connection:
        return import_store.add(
            connection,
            {
                "filename": clean(Path(filename.replace("\\", "/")).name) or "file",
                "content_hash": digest.hexdigest(),
                "state": "uploaded",
                "stored_path": f"imports/{path.name}",
                "encoding": seen.form.encoding,
                "separator": seen.form.separator,
                "columns": seen.columns,
                "requested_by": requested_by,
                "created_at": utc_now(),
            },
        )


def preview_of(store: Store, home: Path, import_id: int) -> Preview:
    """The preview of a received file, with the columns as they stand.

    Raises:
        ImportStateError: there is no such import, or its file is gone.
    """
    row = _import(store, import_id)
    seen = preview(_stored(home, row))
    columns = seen.columns if row["columns"] is None else row["columns"]
    return Preview(seen.form, seen.headings, seen.heading_line, columns, seen.rows)


def choose_columns(store: Store, home: Path, import_id: int, columns: Mapping[str, str]) -> None:
    """Say what the columns of a received file hold: fields of a record to headings.

    Raises:
        ImportStateError: the import has begun, or a field or heading is unknown, or nothing would name a company.
    """
    seen = preview_of(store, home, import_id)
    unknown = [name for name in columns if name not in FIELDS] + [
        heading for heading in columns.values() if heading not in seen.headings
    ]
    if unknown:
        raise ImportStateError(f"Unknown: {', '.join(map(repr, unknown[:5]))}.", "Choose from the fields and headings.")
    _naming(columns)
    with store.write() as connection:
        states = ["uploaded", "failed", "cancelled"]
        if not import_store.change(connection, import_id, states, columns=dict(columns), state="uploaded"):
            raise ImportStateError(f"Import {import_id} has begun already.", "Upload the file again to read it anew.")


def cancel(store: Store, import_id: int) -> bool:
    """Stop an import, a running one at its next chunk; what it stored stays. Returns whether it was under way."""
    with store.write() as connection:
        done = import_store.change(
            connection, import_id, ["uploaded", "running"], state="cancelled", finished_at=utc_now()
        )
        if done:
            runs.emit(connection, "import_progress", str(import_id), {"state": "cancelled"})
    return done


def run(store: Store, home: Path, import_id: int, *, run_id: str = "", progress: Progress | None = None) -> StageResult:
    """Read a received file into records, a chunk a transaction; the companies stage takes them from there.

    A repeat, also after a crash half-way, stores nothing twice.

    Returns:
        counts: rows = stored + unchanged + rejected. facts: state (done or cancelled).

    Raises:
        ImportStateError: no such import, or one that is done.
        FileRefusedError: the file broke off; what came before is stored, and the import is ``failed``.
        LeaseHeldError: another run reads this file right now.
    """
    with runs.lease(store, f"import:{import_id}", run_id) as token:
        return _run(store, home, import_id, token, progress)


def _run(store: Store, home: Path, import_id: int, token: int, progress: Progress | None) -> StageResult:
    row = _import(store, import_id)
    columns = _naming(row["columns"] or {})
    with store.write() as connection:
        # A cancelled one only starts after its columns were confirmed anew: a queued run must not undo the cancelling.
        states = ["uploaded", "running", "failed"]
        if not import_store.change(connection, import_id, states, state="running", error=None, finished_at=None):
            raise ImportStateError(f"Import {import_id} is {row['state']} already.", "Upload the file again.")
        import_store.clear_rejects(connection, import_id)
    try:
        path = _stored(home, row)
        result = _Import(store, import_id, columns, token, progress).run(path)
        if result.facts["state"] == "done":
            # Its rows are stored; a copy of people's data that nothing needs is not kept.
            path.unlink(missing_ok=True)
        return result
    except BaseException as error:
        sentence = str(error) if isinstance(error, PermanentError) else f"{type(error).__name__}; see the log."
        with store.write() as connection:
            import_store.change(
                connection, import_id, ["running"], state="failed", error=sentence, finished_at=utc_now()
            )
            runs.emit(connection, "import_progress", str(import_id), {"state": "failed", "error": sentence})
        raise


class _Import:
    def __init__(
        self, store: Store, import_id: int, columns: Mapping[str, str], token: int, progress: Progress | None
    ) -> None:
        self.store, self.import_id, self.columns, self.progress = store, import_id, columns, progress
        self.token = token
        self.result = StageResult(counts={"rows": 0, "stored": 0, "unchanged": 0, "rejected": 0})
        self.occurrences: Counter[str] = Counter()
        self.started = utc_now()

    def run(self, path: Path) -> StageResult:
        seen = preview(path)
        places = {
            name: seen.headings.index(heading) for name, heading in self.columns.items() if heading in seen.headings
        }
        body = (row for row in rows_of(path, seen.form) if row[0] > seen.heading_line)
        state = "done"
        while chunk := list(islice(body, _CHUNK)):
            if not self._take(chunk, places):
                state = "cancelled"
                break
            if self.progress is not None:
                self.progress(self.result.counts["rows"], None)
        self.result.facts["state"] = state
        if state == "done":
            with self.store.write() as connection:
                import_store.change(
                    connection,
                    self.import_id,
                    ["running"],
                    state="done",
                    counts=self.result.counts,
                    finished_at=utc_now(),
                )
                self._tell(connection, "done")
        return self.result

    def _take(self, rows: Sequence[FileRow], places: Mapping[str, int]) -> bool:
        """Store one chunk; false when the import was cancelled meanwhile."""
        now = utc_now()
        counts = dict(self.result.counts)
        with self.store.write() as connection:
            runs.renew_lease(connection, f"import:{self.import_id}", self.token)
            if import_store.state(connection, self.import_id) != "running":
                return False
            suppressed = suppressions.load(connection)
            payloads: list[Payload] = []
            rejects: list[dict[str, Any]] = []
            for line, cells in rows:
                values = {name: cells[place] for name, place in places.items() if place < len(cells)}
                record, reason, domain = admitted(values, suppressed)
                if domain is None:
                    rejects.append(self._reject(line, cells, reason, suppressed))
                else:
                    payloads.append(Payload(self._key(record, domain), record_hash(record), record, None))
            kept = raw_leads.keep(
                connection, SOURCE, payloads, now=now, pass_started=self.started, import_id=self.import_id
            )
            import_store.add_rejects(connection, rejects)
            counts["rows"] += len(rows)
            counts["stored"] += kept.stored
            counts["unchanged"] += kept.unchanged
            counts["rejected"] += len(rejects)
            import_store.change(connection, self.import_id, ["running"], counts=counts)
            self.result.counts = counts
            self._tell(connection, "running")
        return True

    def _key(self, record: Mapping[str, Any], domain: str) -> str:
        """The record's key; a second row of one key in a file is a record of its own, so that a repeat finds both."""
        key = record_key(record, domain)
        self.occurrences[key] += 1
        return key if self.occurrences[key] == 1 else f"{key}/{self.occurrences[key]}"

    def _reject(self, line: int, cells: Sequence[str], reason: str, suppressed: Suppressed) -> dict[str, Any]:
        kept = [] if reason == "suppressed" else [clean(cell[:_KEPT_CELL]) or "" for cell in cells]
        if suppressed and any(suppressed.email(email_address(cell)) for cell in kept):
            kept = []
        return {
            "import_id": self.import_id,
            "line": line,
            "reason": reason,
            "detail": REASONS[reason],
            "row": kept,
        }

    def _tell(self, connection: Connection, state: str) -> None:
        runs.emit(connection, "import_progress", str(self.import_id), {"state": state, "counts": self.result.counts})


def rejects_csv(store: Store, import_id: int) -> Iterator[str]:
    """The rejected rows of an import as CSV for Excel, with line and reason; what looks like a formula is quoted."""
    yield "\ufeff" + _csv_line(["line", "reason", "detail"])
    after = 0
    while True:
        with store.read() as connection:
            rows = import_store.rejects(connection, import_id, after_line=after, limit=_CHUNK)
        for row in rows:
            yield _csv_line([str(row["line"]), row["reason"], row["detail"], *map(str, row["row"])])
        if len(rows) < _CHUNK:
            return
        after = rows[-1]["line"]


def _csv_line(cells: Sequence[str]) -> str:
    line = io.StringIO()
    csv.writer(line, lineterminator="\r\n").writerow([f"'{cell}" if _FORMULA.match(cell) else cell for cell in cells])
    return line.getvalue()


def _naming(columns: Mapping[str, str]) -> dict[str, str]:
    if not any(name in columns for name in NAMING_FIELDS):
        raise ImportStateError(
            "No column of the file was recognised as domain, website or e-mail.", "Say which column holds it."
        )
    return dict(columns)


def _import(store: Store, import_id: int) -> Mapping[Any, Any]:
    with store.read() as connection:
        row = import_store.one(connection, import_id)
    if row is None:
        raise ImportStateError(f"There is no import {import_id}.")
    return row


def _stored(home: Path, row: Mapping[Any, Any]) -> Path:
    path = home / str(row["stored_path"])
    with suppress(OSError):
        if path.is_file():
            return path
    raise ImportStateError(f"The file of import {row['id']} is gone.", "Upload it again.")
