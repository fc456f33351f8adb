"""The sensor that tells people: the last run of each job and the last evaluation of each check, as they stand.

It looks at states, not at events, so a tick that was missed or a target that was away loses nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import dagster as dg

from hunter_orchestration.alerts.states import Seen, State, changes, scope_of
from hunter_orchestration.alerts.words import failed, fresh, stale
from hunter_orchestration.errors import HunterError
from hunter_orchestration.logging import get_logger
from hunter_orchestration.settings import Settings, load_settings
from hunter_orchestration.store import Store, alert_states
from hunter_orchestration.store.runs import latest_runs

_FINISHED = [dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE]
_WILL_RETRY = "dagster/will_retry"
_EVERY_SECONDS = 60
_FRESHNESS: Mapping[str, State] = {"PASS": "ok", "WARN": "warning", "FAIL": "problem"}
_LOG = "log"
_log = get_logger(__name__)


def runs_seen(instance: dg.DagsterInstance, store: Store, settings: Settings, jobs: Iterable[str]) -> Iterator[Seen]:
    """The last finished run of each job. One that is about to be retried says nothing yet."""
    for job in jobs:
        finished = dg.RunsFilter(job_name=job, statuses=_FINISHED)
        for record in instance.get_run_records(finished, limit=1):
            run = record.dagster_run
            link = f"{settings.dagster_base_url}/runs/{run.run_id}"
            if run.status == dg.DagsterRunStatus.SUCCESS:
                told = f"Run {run.run_id} succeeded.", f"{run.run_id} çalışması başarıyla bitti."
                yield Seen(f"run:{job}", "ok", told[0], link, told[1])
            elif run.tags.get(_WILL_RETRY) != "true":
                told = _reasons(instance, store, run.run_id)
                yield Seen(f"run:{job}", "problem", told[0], link, told[1])


def _reasons(instance: dg.DagsterInstance, store: Store, run_id: str) -> tuple[str, str]:
    """Why a run failed, in English and in Turkish; a recorded error itself is the engine's own text."""
    with store.read() as connection:
        rows = latest_runs(connection, limit=50)
    for row in rows:
        if row["run_id"] == run_id and row["error"]:
            return str(row["error"]), f"{run_id} çalışması başarısız oldu. Motorun bildirdiği: {row['error']}"
    # A check that stops what is downstream fails no stage, only the run.
    for entry in instance.all_logs(run_id, of_type=dg.DagsterEventType.ASSET_CHECK_EVALUATION):
        evaluation = entry.get_dagster_event().asset_check_evaluation_data
        if not evaluation.passed and evaluation.severity == dg.AssetCheckSeverity.ERROR:
            return _failed(evaluation)
    return (
        f"Run {run_id} failed; its log in Dagster says why.",
        f"{run_id} çalışması başarısız oldu; nedeni Dagster'daki kaydında yazıyor.",
    )


def checks_seen(instance: dg.DagsterInstance, settings: Settings, keys: Iterable[dg.AssetCheckKey]) -> Iterator[Seen]:
    """The last evaluation of each check."""
    latest = instance.event_log_storage.get_latest_asset_check_execution_by_key(list(keys))
    for key, record in latest.items():
        evaluation = _evaluation(record)
        if evaluation is None:
            continue
        asset = key.asset_key.to_user_string()
        subject = f"check:{asset}.{key.name}"
        link = f"{settings.dagster_base_url}/assets/{asset}?view=checks"
        if evaluation.passed:
            told = f"The check {key.name} of {asset} holds.", f"{asset} varlığındaki {key.name} denetimi tutuyor."
            yield Seen(subject, "ok", told[0], link, told[1])
        else:
            severe = evaluation.severity == dg.AssetCheckSeverity.ERROR
            told = _failed(evaluation)
            yield Seen(subject, "problem" if severe else "warning", told[0], link, told[1])


def freshness_seen(instance: dg.DagsterInstance, settings: Settings, keys: Iterable[dg.AssetKey]) -> Iterator[Seen]:
    """How fresh each asset is by its policy, as the daemon judged it; one that was never made is not judged.

    It tells of what no run and no check can: that nothing runs any more.
    """
    for key, record in instance.get_freshness_state_records(list(keys)).items():
        asset = key.to_user_string()
        state = _FRESHNESS.get(record.freshness_state.value)
        if state is not None:
            told = fresh(asset) if state == "ok" else stale(asset)
            yield Seen(f"freshness:{asset}", state, told[0], f"{settings.dagster_base_url}/assets/{asset}", told[1])


def _failed(evaluation: dg.AssetCheckEvaluation) -> tuple[str, str]:
    figures = {name: entry.value for name, entry in evaluation.metadata.items()}
    return failed(evaluation.asset_key.to_user_string(), evaluation.check_name, figures)


def _evaluation(record: Any) -> Any:
    """What a check came to; ``None`` while it runs, or when its step died before it."""
    if record.status.value not in ("SUCCEEDED", "FAILED") or record.event is None:
        return None
    return record.event.dagster_event.asset_check_evaluation_data


def tell(store: Store, settings: Settings, seen: Iterable[Seen]) -> tuple[int, list[str]]:
    """Tell every target what changed; returns how many alerts went out, and who did not take theirs."""
    from hunter_orchestration.alerts.targets import read_targets, send

    targets = read_targets(settings.alerts_file)
    with store.read() as connection:
        told = alert_states.told(connection)
    now = list(seen)
    sent, refused = 0, []
    for alert, state in changes(_LOG, now, told, warnings=True):
        write = _log.info if alert.level == "recovered" else _log.error
        write("Alert", subject=alert.subject, alert_level=alert.level, sentence=alert.sentence)
        _remember(store, _LOG, alert.subject, state)
    for target in targets:
        try:
            for alert, state in changes(target.name, now, told, warnings=target.warnings):
                send(target, alert)
                _remember(store, target.name, alert.subject, state)
                sent += 1
        except HunterError as error:
            refused.append(str(error))
    return sent, refused


def _remember(store: Store, target: str, subject: str, state: str) -> None:
    with store.write() as connection:
        alert_states.tell(connection, scope_of(target, subject), state)


def build_alert_sensor(
    jobs: list[str], checks: list[dg.AssetCheckKey], assets: list[dg.AssetKey]
) -> dg.SensorDefinition:
    """The sensor over these jobs, checks and assets."""

    @dg.sensor(
        name="alerts",
        minimum_interval_seconds=_EVERY_SECONDS,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Tells the targets of HUNTER_ALERTS_FILE once when a job or check fails or an asset is stale, "
        "and once when it is well.",
    )
    def alerts(context: dg.SensorEvaluationContext) -> dg.SkipReason:
        from hunter_orchestration.defs.ticks import opened

        settings = load_settings()
        with opened(settings) as store:
            seen = [
                *runs_seen(context.instance, store, settings, jobs),
                *checks_seen(context.instance, settings, checks),
                *freshness_seen(context.instance, settings, assets),
            ]
            sent, refused = tell(store, settings, seen)
        if refused:
            raise dg.Failure(" ".join(refused))
        return dg.SkipReason(f"{len(seen)} jobs, checks and assets looked at, {sent} alerts sent.")

    return alerts
