"""The CRM: what Hunter pushed into Dynamics 365, and what Dynamics did with it."""

from typing import Any

import dagster as dg

from hunter_orchestration.defs import checks
from hunter_orchestration.defs.assets_insight import companies, lead_scores
from hunter_orchestration.defs.columns import described
from hunter_orchestration.defs.partitions import DAYS, SINGLE_RUN, window_of
from hunter_orchestration.defs.resources import Engine
from hunter_orchestration.defs.stages import AS_REFERRALS_CHANGE, DAILY, FREQUENT, OWNER, run_stage, table
from hunter_orchestration.store import crm as crm_store
from hunter_orchestration.store.tables import crm
from hunter_orchestration.store.work import Progress


class PushConfig(dg.Config):
    """Named companies instead of what is due, and whether to stop at the plan."""

    domains: list[str] | None = None
    dry_run: bool = False


_OUTCOMES = (
    "created", "updated", "unchanged", "adopted", "recovered", "rejected", "deferred", "conflict", "deleted_in_crm",
    "skipped",
)  # fmt: skip
_pushed, _pushed_check = checks.adds_up("dynamics_records", "picked", *_OUTCOMES)
_synced, _synced_check = checks.share(
    "dynamics_sync_success",
    "dynamics_records",
    checks.DYNAMICS_SYNCED,
    "More than 90 % of the records that could be pushed are in Dynamics as we wanted them.",
    checks.fact("success_share"),
)

_accepted, _accepted_check = checks.at_most(
    "nothing_needs_a_person",
    "dynamics_records",
    "need_a_person",
    0,
    "No record is rejected, in conflict or deleted in Dynamics: those wait for a decision on the page.",
)


@dg.asset(
    group_name="crm",
    kinds={"dynamics365", "table"},
    owners=[OWNER],
    deps=[lead_scores, companies],
    partitions_def=DAYS,
    backfill_policy=SINGLE_RUN,
    pool="dynamics",
    check_specs=[_pushed, _synced, _accepted],
    freshness_policy=AS_REFERRALS_CHANGE,
    code_version="1",
    metadata=described(
        crm.crm_records, wanted=[("companies", "name"), ("lead_scores", "score"), ("lead_scores", "priority")]
    ),
)
def dynamics_records(context: dg.AssetExecutionContext, engine: Engine, config: PushConfig) -> dg.MaterializeResult:
    """The ledger of accounts, contacts, leads and opportunities in Dynamics 365, one row a record.

    Keyed by table and `hnt_externalid`; every write is an upsert by that key, so a repeat after a lost answer is
    harmless. Only changed fields travel, and a salesperson's edit survives.
    """

    def work(progress: Progress) -> Any:
        from hunter_orchestration.dynamics.stage import push, without_values

        result = push(
            engine.store, engine.settings, window=window_of(context) if config.domains is None else None,
            domains=config.domains, dry_run=config.dry_run,
            actor=context.run.tags.get("requested_by") or "hunter", run_id=context.run.run_id,
            progress=progress,
        )  # fmt: skip
        result.facts = without_values(result.facts)
        with engine.store.read() as connection:
            states = crm_store.state_counts(connection)
        result.facts["need_a_person"] = sum(states.get(name, 0) for name in ("rejected", "conflict", "deleted_in_crm"))
        return result

    return run_stage(
        context, engine, "dynamics_records", work, retried=True, checks=[_pushed_check, _synced_check, _accepted_check]
    )


dynamics_365 = dg.AssetSpec(
    "dynamics_365",
    group_name="targets",
    kinds={"dynamics365", "api"},
    owners=[OWNER],
    deps=[dynamics_records],
    description="Accounts, contacts, leads and opportunities as Dynamics 365 holds them.",
)


_learned = dg.AssetCheckSpec(
    "win_rates_follow_the_rules",
    asset="dynamics_changes",
    description="Categories the rules call for first are won more often; by what Dynamics tells as won and lost.",
)


def _win_rates(engine: Engine) -> dg.AssetCheckResult:
    from hunter_orchestration.scoring.outcomes import outcome_report

    report = outcome_report(engine.store)
    shown: dict[str, Any] = {"decided": report["decided"], "win_rate": report["win_rate"]}
    for name in ("by_category", "by_band", "contradictions"):
        if report[name]:
            shown[name] = dg.MetadataValue.md(table(report[name]))
    return dg.AssetCheckResult(
        check_name=_learned.name,
        passed=report["consistent"],
        severity=dg.AssetCheckSeverity.WARN,
        metadata={name: value for name, value in shown.items() if value is not None},
    )


@dg.asset(
    group_name="crm", kinds={"dynamics365", "table"}, owners=[OWNER], deps=[dynamics_365],
    pool="dynamics", freshness_policy=FREQUENT, check_specs=[_learned], metadata=described(crm.crm_audit),
)  # fmt: skip
def dynamics_changes(context: dg.AssetExecutionContext, engine: Engine) -> dg.MaterializeResult:
    """What people and processes changed in Dynamics since the last look: wins, losses, edits, merges, deletions.

    Read by change tracking; an expired token falls back to a full read and a set difference.
    """

    def work(progress: Progress) -> Any:
        from hunter_orchestration.dynamics.stage import pull

        return pull(engine.store, engine.settings, actor="hunter", run_id=context.run.run_id, progress=progress)

    return run_stage(
        context, engine, "dynamics_changes", work, retried=True, checks=[lambda _result: _win_rates(engine)]
    )


class ReconcileConfig(dg.Config):
    """Whether to mend what is found."""

    mend: bool = False


_true, _true_check = checks.share(
    "pipeline_accuracy",
    "dynamics_differences",
    checks.PIPELINE_TRUE,
    "More than 95 % of what is shown as synced equals what the CRM holds.",
    checks.fact("accuracy"),
)


@dg.asset(
    group_name="crm", kinds={"dynamics365", "table"}, owners=[OWNER], deps=[dynamics_365],
    pool="dynamics", check_specs=[_true], freshness_policy=DAILY, metadata=described(crm.crm_differences),
)  # fmt: skip
def dynamics_differences(
    context: dg.AssetExecutionContext, engine: Engine, config: ReconcileConfig
) -> dg.MaterializeResult:
    """Where what Hunter claims differs from what Dynamics holds, both ways."""

    def work(progress: Progress) -> Any:
        from hunter_orchestration.dynamics.stage import reconcile, without_values

        result = reconcile(
            engine.store, engine.settings, mend=config.mend, actor=context.run.tags.get("requested_by") or "hunter",
            run_id=context.run.run_id, progress=progress,
        )  # fmt: skip
        result.facts = without_values(result.facts)
        return result

    return run_stage(context, engine, "dynamics_differences", work, retried=True, checks=[_true_check])
