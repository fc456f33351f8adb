"""Actions over many leads: a list is worked off in pieces, each a run of the engine, and its progress is kept.

One thread, asleep while there is nothing to do. Everything it knows stands in ``bulk_actions``, so a restart goes on
where the last piece ended; a piece done twice is harmless because pushes and scans are.
"""

from __future__ import annotations

import threading
from typing import Any

from hunter_orchestration.errors import HunterError, TransientError
from hunter_orchestration.logging import get_logger
from hunter_orchestration.store import Connection, lead_details, page_state
from hunter_orchestration.store.upsert import chunks
from hunter_orchestration.store.work import utc_now
from hunter_orchestration.web import launching
from hunter_orchestration.web.context import Context

PIECE = 1000
"""Leads per run."""

_POLL_SECONDS = 1.0
_RETRY_SECONDS = 5.0
_FAILED_STATES = frozenset({"rejected", "conflict", "deferred"})

log = get_logger("hunter.web")


class BulkWorker:
    """Works off bulk actions, oldest first."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._wake = threading.Event()
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin; what an earlier process left open is taken up."""
        self._thread = threading.Thread(target=self._work, name="bulk-actions", daemon=True)
        self._wake.set()
        self._thread.start()

    def stop(self) -> None:
        """End after the current poll; open actions stay open."""
        self._stopping.set()
        self._wake.set()
        if self._thread is not None:
            self._thread.join(timeout=10)

    def wake(self) -> None:
        """There is something new to do."""
        self._wake.set()

    def _work(self) -> None:
        while not self._stopping.is_set():
            self._wake.wait()
            self._wake.clear()
            try:
                self._work_off()
            except TransientError as error:
                log.warning("bulk action waits", reason=str(error))
                self._stopping.wait(_RETRY_SECONDS)
                self._wake.set()
            except Exception:  # the thread must outlive a database that is away for a while
                log.exception("bulk action interrupted")
                self._stopping.wait(_RETRY_SECONDS)
                self._wake.set()

    def _work_off(self) -> None:
        while not self._stopping.is_set():
            with self._context.read() as connection:
                waiting = page_state.open_bulks(connection)
            if not waiting:
                return
            try:
                self._work_one(waiting[0]["id"])
            except TransientError:
                raise
            except HunterError as error:
                self._finish(waiting[0]["id"], "failed", error=str(error))

    def _work_one(self, bulk_id: int) -> None:
        with self._context.read() as connection:
            row = page_state.bulk(connection, bulk_id)
            domains = page_state.bulk_domains(connection, bulk_id)
        if row is None:
            return
        counts = dict(row["counts"])
        counts.setdefault("total", len(domains))
        begun = counts.get("done", 0) + counts.get("failed", 0)
        for piece in chunks(domains[begun:], PIECE):
            if self._stopping.is_set() or not self._run_piece(bulk_id, row, piece, counts):
                return
        self._finish(bulk_id, "done")

    def _run_piece(self, bulk_id: int, row: Any, piece: list[str], counts: dict[str, int]) -> bool:
        """One run; whether to go on."""
        context = self._context
        push = row["action"] == "push"
        run = launching.launch(
            context,
            row["requested_by"],
            launching.PUSH if push else launching.RESCAN,
            config=launching.push_config(piece) if push else launching.rescan_config(piece),
            tags={"hunter/bulk_action": str(bulk_id)},
        )
        with context.store.write() as connection:
            still = page_state.change_bulk(connection, bulk_id, state="running", run_id=run.id)
        if still:
            context.tell("bulk_progress", str(bulk_id), {"counts": counts, "state": "running"})
        followed = run
        while still and not followed.is_over:
            if self._stopping.wait(_POLL_SECONDS):
                return False
            followed = context.dagster.run(run.id) or followed
            with context.read() as connection:
                still = self._is_open(connection, bulk_id)
        if not still:
            # Cancelled: what is under way is ended too; what it committed stays.
            if not followed.is_over:
                context.dagster.terminate(run.id)
            return False
        with context.read() as connection:
            states = lead_details.lead_states(connection, piece) if push else {}
        failed = sum(1 for domain in piece if states.get(domain) in _FAILED_STATES)
        if followed.state != "succeeded":
            failed = max(failed, len(piece) - sum(1 for domain in piece if states.get(domain) == "synced"))
        counts["failed"] = counts.get("failed", 0) + failed
        counts["done"] = counts.get("done", 0) + len(piece) - failed
        with context.store.write() as connection:
            page_state.change_bulk(connection, bulk_id, counts=counts)
        context.tell("bulk_progress", str(bulk_id), {"counts": counts, "state": "running"})
        return followed.state != "cancelled" or self._finish(bulk_id, "cancelled")

    @staticmethod
    def _is_open(connection: Connection, bulk_id: int) -> bool:
        row = page_state.bulk(connection, bulk_id)
        return row is not None and row["state"] in page_state.OPEN_STATES

    def _finish(self, bulk_id: int, state: str, error: str | None = None) -> bool:
        """End the action; always false, for the caller's "go on"."""
        with self._context.store.write() as connection:
            changed = page_state.change_bulk(connection, bulk_id, state=state, finished_at=utc_now())
        if changed:
            self._context.tell("bulk_progress", str(bulk_id), {"state": state, "error": error})
        return False
