"""How a stage becomes a materialization: recorded, checked, its failures told in words."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import dagster as dg

from hunter_orchestration.defs.resources import Engine
from hunter_orchestration.errors import HunterError, TransientError
from hunter_orchestration.store.engine import StoreError
from hunter_orchestration.store.runs import LeaseHeldError, recorded
from hunter_orchestration.store.sizes import rows_in
from hunter_orchestration.store.tables import companies, crm, ingestion, referrals, scans, scores
from hunter_orchestration.store.work import Progress, StageResult

if TYPE_CHECKING:
    from sqlalchemy import Table

OWNER = "team:lead-engine"
_RETRIES = dg.RetryPolicy(max_retries=2, delay=5, backoff=dg.Backoff.EXPONENTIAL, jitter=dg.Jitter.PLUS_MINUS)

AS_REFERRALS_CHANGE = dg.FreshnessPolicy.time_window(warn_window=timedelta(days=3), fail_window=timedelta(days=7))
"""Assets that get a materialization only when something changed: a long weekend is quiet, a week is not."""
DAILY = dg.FreshnessPolicy.time_window(warn_window=timedelta(hours=26), fail_window=timedelta(hours=50))
FREQUENT = dg.FreshnessPolicy.time_window(warn_window=timedelta(minutes=45), fail_window=timedelta(hours=3))

_ROOMS = {
    "raw_leads": "referrals",
    "referrals": "referrals",
    "imported_leads": "imports",
    "companies": "leads",
    "domain_scans": "leads",
    "lead_scores": "leads",
    "dynamics_records": "crm",
    "dynamics_changes": "crm",
    "dynamics_differences": "crm",
}
"""Where the page shows what an asset holds."""

_TABLES: Mapping[str, Table] = {
    "raw_leads": ingestion.raw_leads,
    "referrals": referrals.referrals,
    "companies": companies.companies,
    "domain_scans": scans.scans,
    "lead_scores": scores.scores,
    "dynamics_records": crm.crm_records,
    "dynamics_changes": crm.crm_audit,
    "dynamics_differences": crm.crm_differences,
}
"""What an asset is, for its row count. Imported leads are a part of raw_leads and have none of their own."""

Work = Callable[[Progress], StageResult]
Check = Callable[[StageResult], dg.AssetCheckResult]


@contextmanager
def attempts(context: dg.OpExecutionContext | dg.AssetExecutionContext) -> Iterator[None]:
    """Try the step again, twice at most, when it fails and the failure says nothing against it.

    An asset's retry policy would do the same, and also try again what a person has just ended.
    """
    try:
        yield
    except Exception as error:
        if isinstance(error, dg.Failure) and not error.allow_retries:
            raise
        seconds = _RETRIES.calculate_delay(context.retry_number + 1)
        raise dg.RetryRequested(max_retries=_RETRIES.max_retries, seconds_to_wait=seconds) from error


def run_stage(
    context: dg.AssetExecutionContext,
    engine: Engine,
    kind: str,
    work: Work,
    *,
    checks: Sequence[Check] = (),
    metadata: Mapping[str, Any] | None = None,
    retried: bool = False,
) -> dg.MaterializeResult:
    """Run a stage, record it, and say what it did.

    A failure that trying again can't mend ends the run at once; a passing one is tried again where ``retried``.
    """
    with attempts(context) if retried else nullcontext():
        return _run_once(context, engine, kind, work, checks, metadata)


def _run_once(
    context: dg.AssetExecutionContext,
    engine: Engine,
    kind: str,
    work: Work,
    checks: Sequence[Check],
    metadata: Mapping[str, Any] | None,
) -> dg.MaterializeResult:
    requested_by = context.run.tags.get("requested_by") or context.run.tags.get("dagster/schedule_name")
    try:
        with recorded(engine.store, kind, context.run.run_id, requested_by) as result:
            done = work(result.told)
            result.counts, result.sample, result.facts = done.counts, done.sample, done.facts
    except (HunterError, StoreError) as error:
        passing = isinstance(error, TransientError) and not isinstance(error, LeaseHeldError)
        raise dg.Failure(description=str(error), allow_retries=passing) from error
    context.log.info(f"{kind}: " + ", ".join(f"{name} {count}" for name, count in result.counts.items()))
    return dg.MaterializeResult(
        metadata={**_metadata(engine, kind, result), **(metadata or {})},
        check_results=[check(result) for check in checks],
    )


def _metadata(engine: Engine, kind: str, result: StageResult) -> dict[str, Any]:
    shown: dict[str, Any] = {"page": dg.MetadataValue.url(f"{engine.settings.page_url}/{_ROOMS.get(kind, '')}")}
    if kind in _TABLES:
        with engine.store.read() as connection:
            shown["dagster/row_count"] = rows_in(connection, _TABLES[kind])
    shown.update({name: dg.MetadataValue.int(count) for name, count in result.counts.items()})
    for name, value in result.facts.items():
        if isinstance(value, bool | int | float | str):
            shown[name] = value
        elif value is not None:
            shown[name] = dg.MetadataValue.json(value)
    if result.sample:
        shown["sample"] = dg.MetadataValue.md(table(result.sample))
    if result.counts:
        shown["outcomes"] = dg.MetadataValue.md(_bars(result.counts))
    return shown


def table(rows: Sequence[Mapping[str, Any]]) -> str:
    """A Markdown table of rows with the same keys, cell text escaped."""
    columns = list(rows[0])
    lines = ["| " + " | ".join(columns) + " |", "|" + " --- |" * len(columns)]
    lines += ["| " + " | ".join(_cell(row.get(column)) for column in columns) + " |" for row in rows]
    return "\n".join(lines)


def _cell(value: Any) -> str:
    return "" if value is None else str(value).replace("|", "\\|").replace("\n", " ").replace("<", "&lt;")


def _bars(counts: Mapping[str, int]) -> str:
    largest = max(counts.values(), default=0) or 1
    width = 24
    rows = [f"{name:>14} {'█' * round(count * width / largest):<{width}} {count}" for name, count in counts.items()]
    return "```\n" + "\n".join(rows) + "\n```"
