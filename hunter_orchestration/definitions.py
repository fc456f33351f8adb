"""The one object Dagster loads. It reads like a table of contents."""

from __future__ import annotations

from typing import Any

import dagster as dg

from hunter_orchestration.defs import assets_crm, assets_in, assets_insight
from hunter_orchestration.defs.alerts import build_alert_sensor
from hunter_orchestration.defs.details import look_up_details
from hunter_orchestration.defs.housekeeping import housekeeping
from hunter_orchestration.defs.jobs import build_jobs
from hunter_orchestration.defs.resources import Engine
from hunter_orchestration.defs.spread import build_spread_job
from hunter_orchestration.defs.ticks import build_schedules, build_sensors
from hunter_orchestration.defs.watching import build_file_sensors
from hunter_orchestration.settings import Settings, load_settings

_ASSETS = (
    assets_in.partner_center,
    assets_in.lead_files,
    assets_in.raw_leads,
    assets_in.referrals,
    assets_in.import_file,
    assets_insight.companies,
    assets_insight.domain_scans,
    assets_insight.lead_scores,
    assets_crm.dynamics_records,
    assets_crm.dynamics_365,
    assets_crm.dynamics_changes,
    assets_crm.dynamics_differences,
)


def build_defs(
    settings: Settings,
    resource_overrides: dict[str, Any] | None = None,
    spread_over: dg.ExecutorDefinition = dg.multiprocess_executor,
) -> dg.Definitions:
    """Fresh definitions that production, tests and commands share.

    Args:
        resource_overrides: resources by name, in place of ours.
        spread_over: what runs the chunks of a spread scan: the cores of this machine, or an executor of workers.
    """
    jobs = [*build_jobs(settings), look_up_details, housekeeping, build_spread_job(spread_over)]
    made = [asset for asset in _ASSETS if isinstance(asset, dg.AssetsDefinition)]
    checks = [key for asset in made for key in asset.check_keys]
    assets = [key for asset in made for key in asset.keys]
    return dg.Definitions(
        assets=dg.with_source_code_references(_ASSETS),
        jobs=jobs,
        schedules=build_schedules(settings),
        sensors=[
            *build_sensors(settings),
            *build_file_sensors(settings),
            build_alert_sensor([job.name for job in jobs], checks, assets),
        ],
        resources={"engine": Engine(), **(resource_overrides or {})},
        executor=dg.in_process_executor,
    )


defs = build_defs(load_settings())
