"""Insight: whose referrals they are, what their domains tell, how good the leads are."""

from typing import Any

import dagster as dg

from hunter_orchestration.defs import checks
from hunter_orchestration.defs.columns import described
from hunter_orchestration.defs.partitions import DAYS, SINGLE_RUN, window_of
from hunter_orchestration.defs.resources import Engine
from hunter_orchestration.defs.stages import AS_REFERRALS_CHANGE, DAILY, OWNER, run_stage
from hunter_orchestration.store.tables import companies as company_tables
from hunter_orchestration.store.tables import scans as scan_tables
from hunter_orchestration.store.tables import scores as score_tables
from hunter_orchestration.store.work import Progress

_placed, _placed_check = checks.adds_up(
    "companies", "picked", "linked", "needs_domain", "recorded", "quarantined", "suppressed"
)


@dg.asset(
    group_name="insight",
    kinds={"table"},
    owners=[OWNER],
    deps=["referrals", "imported_leads"],
    partitions_def=DAYS,
    backfill_policy=SINGLE_RUN,
    check_specs=[_placed],
    freshness_policy=AS_REFERRALS_CHANGE,
    code_version="1",
    metadata=described(
        company_tables.companies,
        domain=[("referrals", "contacts"), ("referrals", "candidates"), ("imported_leads", "payload")],
        name=[("referrals", "company_name"), ("imported_leads", "payload")],
        has_open_co_sell=[("referrals", "category"), ("referrals", "status")],
        open_deal_value=[("referrals", "deal_value"), ("referrals", "currency")],
        activity_at=[("referrals", "updated_at"), ("imported_leads", "seen_at")],
    ),
)
def companies(context: dg.AssetExecutionContext, engine: Engine) -> dg.MaterializeResult:
    """One row a company, keyed by its registrable domain, with its people and the sum of its referrals.

    Takes the referrals and imported rows that changed. A person's links, merges and edits outlive every sync. A
    company belongs to the UTC day a source last changed it.
    """

    def work(progress: Progress) -> Any:
        from hunter_orchestration.companies.stage import run

        return run(engine.store, window=window_of(context), progress=progress)

    return run_stage(context, engine, "companies", work, checks=[_placed_check])


class ScanConfig(dg.Config):
    """Named domains instead of what is due."""

    domains: list[str] | None = None
    force: bool = False
    extended: bool = False


_alive, _alive_check = checks.share(
    "resolver_answers",
    "domain_scans",
    0.5,
    "The resolvers answered: fewer than half of the domains have a failed lookup.",
    lambda result: None if not result.counts.get("picked") else 1 - float(result.facts.get("unknown_share") or 0),
)


@dg.asset(
    group_name="insight",
    kinds={"dns", "table"},
    owners=[OWNER],
    deps=[companies],
    partitions_def=DAYS,
    backfill_policy=SINGLE_RUN,
    pool="scanner",
    check_specs=[_alive],
    freshness_policy=DAILY,
    code_version="1",
    metadata=described(scan_tables.scans, domain=[("companies", "domain")]),
)
def domain_scans(context: dg.AssetExecutionContext, engine: Engine, config: ScanConfig) -> dg.MaterializeResult:
    """What each company's domain tells: mail provider, gateway, SPF, DKIM, DMARC, tenant, with the evidence.

    Scans are appended and the newest valid one is current. A fresh scan is not repeated; a lookup that failed is
    unknown, never absent. A run against dead resolvers fails and leaves everything as it was.
    """

    def work(progress: Progress) -> Any:
        from hunter_orchestration.scanning.stage import run

        return run(
            engine.store, engine.settings, window=window_of(context) if config.domains is None else None,
            domains=config.domains, force=config.force, extended=config.extended, run_id=context.run.run_id,
            progress=progress,
        )  # fmt: skip

    return run_stage(context, engine, "domain_scans", work, retried=True, checks=[_alive_check])


_scored, _scored_check = checks.adds_up("lead_scores", "picked", "changed", "unchanged", "unscanned")


@dg.asset(
    group_name="insight",
    kinds={"yaml", "table"},
    owners=[OWNER],
    deps=[domain_scans, companies],
    partitions_def=DAYS,
    backfill_policy=SINGLE_RUN,
    pool="scorer",
    check_specs=[_scored],
    freshness_policy=AS_REFERRALS_CHANGE,
    code_version="1",
    metadata=described(
        score_tables.scores,
        domain=[("companies", "domain")],
        provider=[("domain_scans", "provider")],
        score=[("domain_scans", "findings"), ("companies", "tenant_id"), ("companies", "has_open_co_sell")],
    ),
)
def lead_scores(context: dg.AssetExecutionContext, engine: Engine) -> dg.MaterializeResult:
    """The score, segment and priority of each company, every point with its reason.

    Computed again only when inputs or rules changed; a new version of the rules file makes every lead due.
    """

    def work(progress: Progress) -> Any:
        from hunter_orchestration.scoring.stage import run

        return run(engine.store, engine.settings, window=window_of(context), progress=progress)

    return run_stage(context, engine, "lead_scores", work, checks=[_scored_check])
