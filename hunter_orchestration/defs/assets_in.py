"""Data in: Partner Center's referrals and imported files, as they came and as they stand."""

from typing import Any

import dagster as dg

from hunter_orchestration.defs import checks
from hunter_orchestration.defs.columns import described
from hunter_orchestration.defs.partitions import DAYS, SINGLE_RUN, window_of
from hunter_orchestration.defs.resources import Engine
from hunter_orchestration.defs.stages import AS_REFERRALS_CHANGE, OWNER, run_stage
from hunter_orchestration.defs.watching import waiting_imports
from hunter_orchestration.store import page_figures, quarantine
from hunter_orchestration.store.tables import ingestion
from hunter_orchestration.store.tables import referrals as referral_tables
from hunter_orchestration.store.work import Progress, StageResult, utc_now

partner_center = dg.AssetSpec(
    "partner_center",
    group_name="sources",
    kinds={"azure", "api"},
    owners=[OWNER],
    description="Microsoft Partner Center's referrals, as its API serves them.",
)
lead_files = dg.AssetSpec(
    "lead_files",
    group_name="sources",
    kinds={"csv", "excel"},
    owners=[OWNER],
    description="Files of leads: uploaded on the page, given to `hunter import`, or dropped into the watched folder.",
)

_fetched, _fetched_check = checks.adds_up("raw_leads", "fetched", "stored", "unchanged", "quarantined")
_drop, _drop_check = checks.fact_is_false(
    "no_sudden_drop",
    "raw_leads",
    "sudden_drop",
    "Partner Center did not suddenly return far fewer referrals than before. Nothing downstream runs if it did.",
    blocking=True,
)
_signed_in, _signed_in_check = checks.at_least(
    "sign_in_lasts",
    "raw_leads",
    "sign_in_days_left",
    checks.SIGN_IN_DAYS,
    "The sign-in to Partner Center holds for two more weeks: hunter login renews it.",
)
_read, _read_check = checks.adds_up("referrals", "picked", "stored", "superseded", "quarantined")
_kept, _kept_check = checks.share(
    "referral_sync_success",
    "referrals",
    checks.REFERRALS_KEPT,
    "More than 95 % of the referrals read were understood and stored.",
    checks.share_of("picked", "stored", "superseded"),
)

_answered, _answered_check = checks.at_most(
    "new_referrals_answered",
    "referrals",
    "expiring_soon",
    0,
    "No new referral expires within three days: Partner Center closes those that nobody accepts or declines.",
)
_understood, _understood_check = checks.at_most(
    "quarantine_empty", "referrals", "quarantined_now", 0, "No payload waits in quarantine for a person."
)


@dg.asset(
    group_name="data_in",
    kinds={"azure", "table"},
    owners=[OWNER],
    deps=[partner_center],
    partitions_def=DAYS,
    backfill_policy=SINGLE_RUN,
    pool="partner_center",
    check_specs=[_fetched, _drop, _signed_in],
    freshness_policy=AS_REFERRALS_CHANGE,
    code_version="1",
    metadata=described(ingestion.raw_leads),
)
def raw_leads(context: dg.AssetExecutionContext, engine: Engine) -> dg.MaterializeResult:
    """Every payload as it came, one row a distinct payload.

    A row is keyed by source, the source's id and the payload's hash, so a repeated page stores nothing twice. A tick
    reads from the watermark; a backfill reads the referrals that last changed on its days and leaves the watermark.
    """

    def work(progress: Progress) -> Any:
        from hunter_orchestration.companies.erasure import scrubber
        from hunter_orchestration.partner_center.client import PartnerCenterClient
        from hunter_orchestration.partner_center.ingestion import fetch
        from hunter_orchestration.partner_center.sign_in import Tokens, sign_in_status

        client = PartnerCenterClient(engine.settings, Tokens(engine.settings))
        try:
            result = fetch(
                engine.store,
                client,
                window=window_of(context),
                run_id=context.run.run_id,
                overlap_minutes=engine.settings.partner_center_overlap_minutes,
                progress=progress,
                scrub=scrubber(engine.store),
            )
            result.facts["sign_in_days_left"] = sign_in_status(engine.settings).days_left
            return result
        finally:
            client.close()

    return run_stage(
        context, engine, "raw_leads", work, retried=True, checks=[_fetched_check, _drop_check, _signed_in_check]
    )


@dg.asset(
    group_name="data_in",
    kinds={"table"},
    owners=[OWNER],
    deps=[raw_leads],
    partitions_def=DAYS,
    backfill_policy=SINGLE_RUN,
    check_specs=[_read, _kept, _answered, _understood],
    freshness_policy=AS_REFERRALS_CHANGE,
    code_version="1",
    metadata=described(
        referral_tables.referrals,
        id=[("raw_leads", "external_id")],
        company_name=[("raw_leads", "payload")],
        contacts=[("raw_leads", "payload")],
        status=[("raw_leads", "payload")],
        deal_value=[("raw_leads", "payload")],
    ),
)
def referrals(context: dg.AssetExecutionContext, engine: Engine) -> dg.MaterializeResult:
    """The current state of every referral, keyed by Partner Center's id, with the history of its status and value.

    Read from the payloads that wait in raw_leads. A referral belongs to the UTC day it last changed; an older payload
    never overwrites a newer one. What can't be understood is quarantined whole, with the reason.
    """

    def work(progress: Progress) -> Any:
        from hunter_orchestration.partner_center.reading import read_referrals

        result = read_referrals(engine.store, window=window_of(context), run_id=context.run.run_id, progress=progress)
        now = utc_now()
        with engine.store.read() as connection:
            soon, _today = page_figures.expiring(connection, now, checks.EXPIRING_DAYS, now)
            result.facts |= {"expiring_soon": soon, "quarantined_now": quarantine.count_open(connection)}
        return result

    return run_stage(
        context, engine, "referrals", work, checks=[_read_check, _kept_check, _answered_check, _understood_check]
    )


class ImportConfig(dg.Config):
    """Which uploaded file to import; none named: the files of the watched folder that wait."""

    import_id: int | None = None


_IMPORTED = ("rows", "stored", "unchanged", "rejected")
_imported, _imported_check = checks.adds_up("imported_leads", *_IMPORTED)


@dg.multi_asset(
    name="import_file",
    specs=[
        dg.AssetSpec(
            "imported_leads",
            group_name="data_in",
            kinds={"csv", "table"},
            owners=[OWNER],
            deps=[lead_files],
            description="Rows of imported files, as raw leads of source `import`. Rejects keep their line and reason.",
            metadata=described(ingestion.raw_leads),
        )
    ],
    check_specs=[_imported],
)
def import_file(context: dg.AssetExecutionContext, engine: Engine, config: ImportConfig) -> dg.MaterializeResult:
    def work(progress: Progress) -> Any:
        from hunter_orchestration.companies.imports import run

        chosen = waiting_imports(engine.store) if config.import_id is None else [config.import_id]
        total = StageResult(counts=dict.fromkeys(_IMPORTED, 0))
        for number in chosen:
            done = run(engine.store, engine.settings.home, number, run_id=context.run.run_id, progress=progress)
            for name, rows in done.counts.items():
                total.add(name, rows)
            total.facts |= done.facts
        return total

    return run_stage(context, engine, "imported_leads", work, checks=[_imported_check])
