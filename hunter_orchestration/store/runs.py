"""Runs, watermarks, leases and events: how far the engine is, who works on what, and what the page is told."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, RowMapping, select, update

from hunter_orchestration.errors import HunterError, TransientError
from hunter_orchestration.store.engine import Store, StoreError
from hunter_orchestration.store.tables.ingestion import watermarks
from hunter_orchestration.store.tables.operations import events, leases, sync_runs
from hunter_orchestration.store.upsert import insert, upsert
from hunter_orchestration.store.work import Progress, StageResult, utc_now

_GOES_ON = "The next run goes on where it stopped."
_TELL_EVERY = 1.0
"""Seconds between two words about a stage that is under way."""


class LeaseHeldError(TransientError):
    """Somebody else is doing this work right now.

    Args:
        name: the kind of work.
        owner: the run or process that holds it.
        until: when the lease ends unless it is renewed.
    """

    def __init__(self, name: str, owner: str, until: datetime) -> None:
        super().__init__(f"{name} is already running in {owner}.", "Follow that run instead of starting another.")
        self.name, self.owner, self.until = name, owner, until

    def __reduce__(self) -> tuple[Any, ...]:
        return LeaseHeldError, (self.name, self.owner, self.until)


class LeaseLostError(TransientError):
    """The lease ended while we were paused and somebody else holds it: nothing more is written."""


def read_watermark(connection: Connection, source: str, scope: str) -> str | None:
    """The stored value, or ``None`` before the first sync."""
    return connection.execute(
        select(watermarks.c.value).where(watermarks.c.source == source, watermarks.c.scope == scope)
    ).scalar_one_or_none()


def write_watermark(connection: Connection, source: str, scope: str, value: str) -> None:
    """Store a value in the caller's transaction, with the rows it vouches for."""
    row = {"source": source, "scope": scope, "value": value, "updated_at": utc_now()}
    upsert(connection, watermarks, [row], key=("source", "scope"))


def acquire_lease(store: Store, name: str, owner: str, seconds: float = 120) -> int:
    """Take the lease, or take it over once it has ended.

    Returns:
        The fencing token, to be passed to ``renew_lease`` and ``release_lease``.

    Raises:
        LeaseHeldError: another owner holds it.
    """
    now = utc_now()
    with store.write() as connection:
        connection.execute(
            insert(connection, leases)
            .values(name=name, owner="", token=0, until=now - timedelta(days=1))
            .on_conflict_do_nothing(index_elements=["name"])
        )
        held = connection.execute(select(leases).where(leases.c.name == name).with_for_update()).mappings().one()
        if held["until"] > now and held["owner"] != owner:
            raise LeaseHeldError(name, held["owner"], held["until"])
        token = int(held["token"]) + 1
        connection.execute(
            update(leases)
            .where(leases.c.name == name)
            .values(owner=owner, token=token, until=now + timedelta(seconds=seconds))
        )
    return token


def renew_lease(connection: Connection, name: str, token: int, seconds: float = 120) -> None:
    """Extend the lease inside the transaction that writes: a writer whose lease went to another is refused.

    Raises:
        LeaseLostError: the token is no longer the newest.
    """
    done = connection.execute(
        update(leases)
        .where(leases.c.name == name, leases.c.token == token)
        .values(until=utc_now() + timedelta(seconds=seconds))
    )
    if done.rowcount != 1:
        raise LeaseLostError(f"The lease of {name} went to another run.", "This run stops; the other one carries on.")


def release_lease(store: Store, name: str, token: int) -> None:
    """Give the lease back; harmless when it is no longer ours."""
    with store.write() as connection:
        connection.execute(update(leases).where(leases.c.name == name, leases.c.token == token).values(until=utc_now()))


def at_work(connection: Connection, since: datetime) -> set[str]:
    """Names of the runs and processes that hold a lease, or have begun a stage since then and not finished it."""
    holding = select(leases.c.owner).where(leases.c.until > utc_now())
    begun = select(sync_runs.c.run_id).where(
        sync_runs.c.started_at >= since, sync_runs.c.state == "running", sync_runs.c.run_id.is_not(None)
    )
    return set(connection.execute(holding.union(begun)).scalars())


def bury(store: Store, run_id: str) -> None:
    """Clear up after a run whose process is certainly dead: what it held is free, what it had begun counts as failed.

    Its tokens are refused from here on.
    """
    now = utc_now()
    sentence = f"The process of the run was ended from outside. {_GOES_ON}"
    with store.write() as connection:
        connection.execute(
            update(leases)
            .where(leases.c.owner == run_id, leases.c.until > now)
            .values(until=now, token=leases.c.token + 1)
        )
        begun = (sync_runs.c.run_id == run_id) & (sync_runs.c.state == "running")
        for kind in connection.execute(select(sync_runs.c.kind).where(begun)).scalars().all():
            emit(connection, "stage_finished", kind, {"run_id": run_id, "state": "failed", "error": sentence})
        connection.execute(update(sync_runs).where(begun).values(state="failed", finished_at=now, error=sentence))


@contextmanager
def lease(store: Store, name: str, owner: str | None, seconds: float = 120) -> Iterator[int]:
    """Hold a lease for the block, as this process where no run owns it; yields the fencing token."""
    token = acquire_lease(store, name, owner or f"{socket.gethostname()}:{os.getpid()}", seconds)
    try:
        yield token
    finally:
        release_lease(store, name, token)


def emit(connection: Connection, kind: str, subject: str | None = None, body: Mapping[str, Any] | None = None) -> None:
    """Tell the page something happened, in the transaction that made it true."""
    connection.execute(insert(connection, events).values(at=utc_now(), kind=kind, subject=subject, body=body))


def events_after(connection: Connection, last_id: int, limit: int = 500) -> Sequence[RowMapping]:
    """Events newer than an id, oldest first."""
    return (
        connection.execute(select(events).where(events.c.id > last_id).order_by(events.c.id).limit(limit))
        .mappings()
        .all()
    )


@dataclass(slots=True)
class Recording(StageResult):
    """What a stage under way did so far; ``told`` is where it reports its progress."""

    told: Progress = lambda _done, _total: None


class _Told:
    """Tells how far a stage is, at most once a second: a row and an event for the page, in a transaction of its own."""

    def __init__(self, store: Store, row_id: int, kind: str, run_id: str | None) -> None:
        self._store, self._row_id, self._kind, self._run_id = store, row_id, kind, run_id
        self._next = time.monotonic() + _TELL_EVERY

    def __call__(self, done: int, total: int | None) -> None:
        if time.monotonic() < self._next:
            return
        with self._store.write() as connection:
            connection.execute(
                update(sync_runs)
                .where(sync_runs.c.id == self._row_id, sync_runs.c.state == "running")
                .values(counts={"picked": done})
            )
            emit(connection, "stage_progress", self._kind, {"run_id": self._run_id, "done": done, "total": total})
        self._next = time.monotonic() + _TELL_EVERY


@contextmanager
def recorded(
    store: Store, kind: str, run_id: str | None = None, requested_by: str | None = None
) -> Iterator[Recording]:
    """Record a stage in ``sync_runs`` around the block, whatever its end, and tell the page.

    What the block passes its ``told`` on the way is shown while it works, as ``picked`` of the row and as events.
    """
    with store.write() as connection:
        row = insert(connection, sync_runs).values(
            kind=kind, run_id=run_id, requested_by=requested_by, state="running", started_at=utc_now()
        )
        row_id = connection.execute(row.returning(sync_runs.c.id)).scalar_one()
        emit(connection, "stage_started", kind, {"run_id": run_id})
    result = Recording(told=_Told(store, row_id, kind, run_id))
    try:
        yield result
    except BaseException as error:
        if isinstance(error, HunterError | StoreError):
            sentence = str(error)
        elif isinstance(error, Exception):
            sentence = f"{type(error).__name__} in {kind}; see the run's log."
        else:
            sentence = f"The run was ended before it was done. {_GOES_ON}"
        # A store that can't be written can't take this down either; the first error says why.
        with suppress(StoreError):
            _finish(store, row_id, kind, "failed", result, run_id, sentence)
        raise
    _finish(store, row_id, kind, "succeeded", result, run_id, None)


def _finish(
    store: Store, row_id: int, kind: str, state: str, result: StageResult, run_id: str | None, error: str | None
) -> None:
    with store.write() as connection:
        connection.execute(
            update(sync_runs)
            .where(sync_runs.c.id == row_id)
            .values(state=state, finished_at=utc_now(), counts=result.counts, error=error)
        )
        emit(
            connection,
            "stage_finished",
            kind,
            {"run_id": run_id, "state": state, "counts": result.counts, "error": error},
        )


def latest_runs(connection: Connection, kind: str | None = None, limit: int = 50) -> Sequence[RowMapping]:
    """Recorded stages, newest first."""
    query = select(sync_runs).order_by(sync_runs.c.started_at.desc(), sync_runs.c.id.desc()).limit(limit)
    if kind is not None:
        query = query.where(sync_runs.c.kind == kind)
    return connection.execute(query).mappings().all()
