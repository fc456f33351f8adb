"""An opened run: who works on which organisation, under which lease.

The lease is short and a heartbeat renews it, so that a run that was killed keeps nobody waiting for long, and a run
that works for an hour keeps it all the same. A process that was paused does not beat: its lease ends, another takes
over, and the token of the first is refused from then on.
"""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from hunter_orchestration.dynamics.client import DataverseClient
from hunter_orchestration.dynamics.mapping import LoadedMapping, load_mapping
from hunter_orchestration.dynamics.preflight import Organisation, prepare
from hunter_orchestration.dynamics.refusals import DynamicsOffError, ThrottledError
from hunter_orchestration.errors import HunterError
from hunter_orchestration.logging import get_logger
from hunter_orchestration.settings import Settings
from hunter_orchestration.store import Connection, Store, runs
from hunter_orchestration.store.engine import StoreError
from hunter_orchestration.store.work import Progress, utc_now

_log = get_logger(__name__)

SOURCE = "dynamics"
LEASE = "dynamics"
LEASE_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Session:
    """What every step of a run needs.

    ``token`` fences the run off from others; 0 in a dry run, which holds no lease. ``actor`` is who asked, for the
    audit.
    """

    store: Store
    client: DataverseClient
    organisation: Organisation
    token: int
    actor: str
    run_id: str | None = None
    progress: Progress | None = None

    @property
    def owner(self) -> str:
        """Who holds the records that are in progress."""
        return self.run_id or self.actor

    def renew(self, connection: Connection) -> None:
        """Extend the lease in the transaction that writes.

        Raises:
            LeaseLostError: another run took over; the transaction must not be committed.
        """
        runs.renew_lease(connection, LEASE, self.token, LEASE_SECONDS)

    def entry(
        self,
        record: Mapping[str, Any],
        operation: str,
        outcome: str,
        *,
        fields: Any = None,
        status: int | None = None,
        code: str | None = None,
        detail: str | None = None,
        actor: str | None = None,
    ) -> dict[str, Any]:
        """An audit entry about a ledger row."""
        return audit_entry(
            record,
            actor or self.actor,
            operation,
            outcome,
            run_id=self.run_id,
            fields=fields,
            status=status,
            code=code,
            detail=detail,
        )

    def report(self, done: int, total: int | None = None) -> None:
        """Say how far the run is."""
        if self.progress is not None:
            self.progress(done, total)


def audit_entry(
    record: Mapping[str, Any],
    actor: str,
    operation: str,
    outcome: str,
    *,
    run_id: str | None = None,
    fields: Any = None,
    status: int | None = None,
    code: str | None = None,
    detail: str | None = None,
) -> dict[str, Any]:
    """A row for ``store.crm.audit``."""
    return {
        "at": utc_now(),
        "actor": actor,
        "run_id": run_id,
        "table_name": record["table_name"],
        "external_id": record["external_id"],
        "company_domain": record["company_domain"],
        "operation": operation,
        "fields": fields,
        "outcome": outcome,
        "status": status,
        "code": code,
        "detail": detail,
    }


def connected(settings: Settings, client: DataverseClient | None = None) -> DataverseClient:
    """A client for the configured organisation.

    Raises:
        DynamicsOffError, NotReadyError: Dynamics is off, or its address is wrong.
    """
    if not settings.dynamics_enabled:
        raise DynamicsOffError
    return client if client is not None else DataverseClient(settings)


@contextmanager
def opened(
    store: Store,
    settings: Settings,
    *,
    actor: str,
    run_id: str | None = None,
    progress: Progress | None = None,
    client: DataverseClient | None = None,
    loaded: LoadedMapping | None = None,
    lease: bool = True,
) -> Iterator[Session]:
    """A session with the mapping read, the lease held and the organisation checked, in this order: what is wrong here
    is found before anybody there is asked.

    Args:
        client: used and left open; one of our own is made otherwise.
        lease: a dry run needs none.

    Raises:
        DynamicsOffError, MappingError, NotReadyError, SignInError, ThrottledError, UnreachableError: it can't start.
        LeaseHeldError: another run works.
    """
    open_client = connected(settings, client)
    try:
        loaded = loaded or load_mapping(settings.mapping_file)
        _respect_hold(store)
        owner = run_id or f"{actor} on {socket.gethostname()}:{os.getpid()}"
        with _leased(store, owner) if lease else _unleased() as token:
            try:
                organisation = _organisation(store, open_client, loaded, remember=lease)
                yield Session(store, open_client, organisation, token, actor, run_id, progress)
            except ThrottledError as error:
                hold(store, error)
                raise
    finally:
        if client is None:
            open_client.close()


def _organisation(store: Store, client: DataverseClient, loaded: LoadedMapping, *, remember: bool) -> Organisation:
    with store.read() as connection:
        known = runs.read_watermark(connection, SOURCE, "organisation")
    organisation = prepare(client, loaded, known)
    if known is None and remember:
        with store.write() as connection:
            runs.write_watermark(connection, SOURCE, "organisation", organisation.id)
    return organisation


@contextmanager
def _leased(store: Store, owner: str) -> Iterator[int]:
    token = runs.acquire_lease(store, LEASE, owner, LEASE_SECONDS)
    try:
        with beating(store, token):
            yield token
    finally:
        runs.release_lease(store, LEASE, token)


@contextmanager
def _unleased() -> Iterator[int]:
    yield 0


@contextmanager
def beating(store: Store, token: int, seconds: float = LEASE_SECONDS) -> Iterator[None]:
    """Renew the lease three times in its life for as long as the block runs.

    A lease that went to another run is not taken back: the next transaction of this run finds out and stops it.
    """
    over = threading.Event()

    def beat() -> None:
        while not over.wait(seconds / 3):
            try:
                with store.write() as connection:
                    runs.renew_lease(connection, LEASE, token, seconds)
            except runs.LeaseLostError:
                return
            except StoreError as error:
                # The work itself meets the same trouble and says so; here the next beat tries again.
                _log.warning("the lease could not be renewed", reason=str(error))

    thread = threading.Thread(target=beat, name="dynamics-lease", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def _respect_hold(store: Store) -> None:
    """Raises ThrottledError while the organisation's last Retry-After runs: nobody asks it anything meanwhile."""
    until = held_until(store)
    left = (until - utc_now()).total_seconds() if until is not None else 0.0
    if left > 0:
        raise ThrottledError(
            f"Dynamics asked to be left alone for {left:.0f} more seconds.", "Try again then.", retry_after=left
        )


def held_until(store: Store) -> datetime | None:
    """Until when the organisation asked to be left alone, as last told."""
    with store.read() as connection:
        held = runs.read_watermark(connection, SOURCE, "not_before")
    return datetime.fromisoformat(held) if held is not None else None


def hold(store: Store, error: HunterError) -> None:
    """Remember that the organisation asked to be left alone."""
    seconds = getattr(error, "retry_after", None) or 60.0
    with store.write() as connection:
        until = utc_now() + timedelta(seconds=seconds)
        runs.write_watermark(connection, SOURCE, "not_before", until.isoformat())
