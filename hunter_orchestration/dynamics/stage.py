"""The three stages: push what is due, pull what changed, compare what is claimed with what is found."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from hunter_orchestration.dynamics.client import DataverseClient
from hunter_orchestration.dynamics.descriptions import Descriptions
from hunter_orchestration.dynamics.mapping import LoadedMapping, load_mapping
from hunter_orchestration.dynamics.preflight import Organisation
from hunter_orchestration.dynamics.pull import Pull
from hunter_orchestration.dynamics.push import Push
from hunter_orchestration.dynamics.reconcile import Reconcile
from hunter_orchestration.dynamics.refusals import DynamicsOffError, ThrottledError
from hunter_orchestration.dynamics.session import SOURCE, held_until, hold, opened
from hunter_orchestration.settings import Settings
from hunter_orchestration.store import Store, crm, runs
from hunter_orchestration.store.upsert import chunks
from hunter_orchestration.store.work import Progress, StageResult, Window, utc_now

_TEXTS = "texts"
_CHUNK = 1000
_SHOWN = 50
_PLANNED = 1000
_PLANNED_MOST = 50_000
OUTCOMES = ("created", "updated", "adopted", "unchanged", "recovered", "rejected", "deferred", "conflict",
            "deleted_in_crm", "skipped")  # fmt: skip
"""``picked`` is their sum."""


def push(
    store: Store,
    settings: Settings,
    *,
    window: Window | None = None,
    domains: Sequence[str] | None = None,
    dry_run: bool = False,
    plan_limit: int = _PLANNED,
    force: bool = False,
    actor: str = "hunter",
    run_id: str | None = None,
    progress: Progress | None = None,
    client: DataverseClient | None = None,
) -> StageResult:
    """Push companies that are due, or the ones named, or those whose last activity lies in a window.

    A dry run plans and writes nothing, neither here nor there; ``facts["plan"]`` holds the plan's first
    ``plan_limit`` records, ``counts`` all of them.

    Raises:
        DynamicsOffError, MappingError, NotReadyError, SignInError: nothing is sent until somebody acts.
        UnreachableError: the organisation is away; what was not confirmed is looked up by the next run.
        LeaseHeldError, LeaseLostError: another run works; its ``owner`` says which.
    """
    result = StageResult()
    for name in OUTCOMES:
        result.counts[name] = 0
    if not settings.dynamics_enabled:
        raise DynamicsOffError
    loaded = load_mapping(settings.mapping_file)
    descriptions = Descriptions(loaded.mapping, settings)
    if _nothing_to_do(store, loaded, descriptions, window, domains, result):
        return result
    with opened(
        store, settings, actor=actor, run_id=run_id, progress=progress, client=client, loaded=loaded, lease=not dry_run
    ) as session:
        if not dry_run:
            _note_changes(store, session.organisation, descriptions)
        work = Push(
            session, descriptions, batch_size=settings.dynamics_batch_size, concurrency=settings.dynamics_concurrency,
            force=force, dry_run=dry_run,
        )  # fmt: skip
        total = len(domains) if domains is not None else _count(store, window)
        surprises: list[dict[str, Any]] = []
        plan: list[dict[str, Any]] = []
        done = unexpected = planned = 0
        for some in _chunks(store, domains, window):
            chunk = work.run_chunk(some)
            for outcome, number in chunk.outcomes.items():
                result.add(outcome, number)
            unexpected += len(chunk.surprises)
            surprises += chunk.surprises[: max(0, _SHOWN - len(surprises))]
            planned += len(chunk.plan)
            plan += chunk.plan[: max(0, plan_limit - len(plan))]
            done += len(some)
            result.add("companies", len(some))
            session.report(done, total)
            if work.stopped is not None:
                break
        result.counts["picked"] = planned if dry_run else sum(result.counts.get(name, 0) for name in OUTCOMES)
        result.facts |= _facts(session.client, result)
        result.facts["plan_differences"] = {"count": unexpected, "sample": surprises}
        if dry_run:
            result.facts["plan"] = plan
        if isinstance(work.stopped, ThrottledError):
            hold(store, work.stopped)
            result.facts["throttled"] = work.stopped.message
        elif work.stopped is not None:
            raise work.stopped
    return result


def plan(
    store: Store,
    settings: Settings,
    *,
    domains: Sequence[str] | None = None,
    since: datetime | None = None,
    client: DataverseClient | None = None,
) -> list[dict[str, Any]]:
    """What a push would do, record by record: {domain, table, external_id, operation, fields {field: [old, new]},
    kept {field: [theirs, ours]}, reason}.

    Args:
        since: also companies whose last activity is that recent. At most 50,000 records come back.
    """
    window = Window(since, utc_now() + timedelta(days=1)) if since is not None else None
    found = push(store, settings, domains=domains, window=window, dry_run=True, plan_limit=_PLANNED_MOST, client=client)
    shown: list[dict[str, Any]] = found.facts.get("plan", [])
    return shown


def pull(
    store: Store,
    settings: Settings,
    *,
    actor: str = "hunter",
    run_id: str | None = None,
    progress: Progress | None = None,
    client: DataverseClient | None = None,
) -> StageResult:
    """Read back what people did in the CRM.

    Raises:
        As ``push``; ThrottledError when the organisation asks to wait.
    """
    with opened(store, settings, actor=actor, run_id=run_id, progress=progress, client=client) as session:
        found = Pull(session).run()
        facts = {"full_read": found.full_read, "kept_by_crm": found.kept_by_crm, "requests": session.client.requests}
        return StageResult(counts=found.counts, facts=facts)


def reconcile(
    store: Store,
    settings: Settings,
    *,
    mend: bool = False,
    actor: str = "hunter",
    run_id: str | None = None,
    progress: Progress | None = None,
    client: DataverseClient | None = None,
) -> StageResult:
    """Compare what the ledger claims with what the CRM holds, both ways; ``mend`` makes the ledger true again and has
    the next push write what is missing.

    Raises:
        As ``pull``.
    """
    with opened(store, settings, actor=actor, run_id=run_id, progress=progress, client=client) as session:
        result = Reconcile(session, mend=mend).run()
        result.facts["requests"] = session.client.requests
        return result


def without_values(facts: Mapping[str, Any]) -> dict[str, Any]:
    """A stage's facts for a log that many may read and that "forget this person" does not reach: which records and
    which of their fields, never what stands in them. All of it is JSON."""
    told = dict(facts)
    if "plan" in told:
        told["plan"] = [_names_only(record) for record in told["plan"]]
    if "plan_differences" in told:
        sample = [_names_only(record) for record in told["plan_differences"]["sample"]]
        told["plan_differences"] = {**told["plan_differences"], "sample": sample}
    if "differences" in told:
        shown = ("table_name", "external_id", "company_domain", "kind", "field")
        told["differences"] = [{name: difference[name] for name in shown} for difference in told["differences"]]
    return told


def _names_only(record: Mapping[str, Any]) -> dict[str, Any]:
    return {name: sorted(value) if isinstance(value, Mapping) else value for name, value in record.items()}


def _nothing_to_do(
    store: Store,
    loaded: LoadedMapping,
    descriptions: Descriptions,
    window: Window | None,
    domains: Sequence[str] | None,
    result: StageResult,
) -> bool:
    """Nobody is asked anything when nothing is due, or while the organisation's last Retry-After runs."""
    now, held = utc_now(), held_until(store)
    with store.read() as connection:
        mapping = runs.read_watermark(connection, SOURCE, "mapping")
        texts = runs.read_watermark(connection, SOURCE, _TEXTS)
        rows = len(domains) if domains is not None else crm.count_due(connection, now, window)
        # Rejected records wait for the organisation's definitions too, and only it can tell whether those changed.
        rejected = domains is None and not rows and crm.any_in_state(connection, "rejected")
    if held is not None and held > now:
        result.counts["picked"] = 0
        result.facts["throttled"] = f"Dynamics asked to be left alone until {held.isoformat()}."
        return True
    changed = mapping is not None and not mapping.startswith(f"{loaded.digest}.")
    changed = changed or (texts is not None and texts != descriptions.digest)
    if rows == 0 and not changed and not rejected:
        result.counts["picked"] = 0
        result.facts |= {"requests": 0, "success_share": 1.0}
        return True
    return False


def _note_changes(store: Store, organisation: Organisation, descriptions: Descriptions) -> None:
    """A changed mapping, or changed words of the briefing, make every pushed company due, changed metadata those with
    rejected records."""
    with store.write() as connection:
        mapping = runs.read_watermark(connection, SOURCE, "mapping")
        texts = runs.read_watermark(connection, SOURCE, _TEXTS)
        if (mapping, texts) == (organisation.version, descriptions.digest):
            return
        if mapping is not None:
            same_mapping = mapping.startswith(f"{organisation.mapping.digest}.")
            crm.mark_due_where(connection, ["rejected"] if same_mapping and texts == descriptions.digest else None)
        runs.write_watermark(connection, SOURCE, "mapping", organisation.version)
        runs.write_watermark(connection, SOURCE, _TEXTS, descriptions.digest)


def _count(store: Store, window: Window | None) -> int:
    with store.read() as connection:
        return crm.count_due(connection, utc_now(), window)


def _chunks(store: Store, domains: Sequence[str] | None, window: Window | None) -> Iterator[list[str]]:
    if domains is not None:
        yield from chunks(dict.fromkeys(domains), _CHUNK)
        return
    after, now = "", utc_now()
    while True:
        with store.read() as connection:
            some = crm.due_domains(connection, now, after=after, limit=_CHUNK, window=window)
        if not some:
            return
        yield some
        after = some[-1]


def _facts(client: DataverseClient, result: StageResult) -> dict[str, Any]:
    counts = result.counts
    picked = counts["picked"] - counts["skipped"]
    good = sum(counts[n] for n in ("created", "updated", "adopted", "unchanged", "recovered"))
    return {
        "requests": client.requests,
        "requests_per_record": round(client.requests / picked, 4) if picked else 0.0,
        "success_share": round(good / picked, 4) if picked else 1.0,
        "concurrency": {"now": client.pace.limit, "lowest": client.pace.lowest_limit, "most": client.pace.most},
        "limits": {"throttled": client.pace.throttled, "waited_seconds": round(client.pace.waited, 1),
                   "requests_in_window": client.pace.in_window},
    }  # fmt: skip
