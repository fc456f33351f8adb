"""Jobs: the suffixes of the chain that schedules, buttons and commands start."""

from __future__ import annotations

import dagster as dg

from hunter_orchestration.settings import Settings

CHAIN = ("raw_leads", "referrals", "companies", "domain_scans", "lead_scores", "dynamics_records")
"""The stages, in order."""
BACKFILL = "backfill_leads"

_CHAIN = CHAIN[:-1]
_WITH_CHECKS = "Asset checks of these stages run with them."


def _job(name: str, description: str, *assets: str) -> dg.JobDefinition:
    return dg.define_asset_job(
        name,
        selection=dg.AssetSelection.assets(*assets),
        description=f"{description} {_WITH_CHECKS}",
        tags={"hunter/job": name},
    )  # type: ignore[return-value]


def build_jobs(settings: Settings) -> list[dg.JobDefinition]:
    """All jobs. In development, pushing is part of every sync; in production it has its own hourly schedule."""
    pushed_along = settings.dynamics_enabled and settings.environment == "development"
    sync = (*_CHAIN, "dynamics_records") if pushed_along else _CHAIN
    return [
        _job("sync_referrals", "Fetch what changed in Partner Center and carry it down the chain.", *sync),
        _job(
            "import_leads", "Import one uploaded file and carry its rows down the chain.", "imported_leads", *_CHAIN[2:]
        ),
        _job("rescan_domains", "Scan domains again and score their companies.", "domain_scans", "lead_scores"),
        _job("score_leads", "Score what is due, for example after new rules.", "lead_scores"),
        _job("push_leads", "Push what is due, or named companies, into Dynamics 365.", "dynamics_records"),
        _job(BACKFILL, "Do days again, for any stages of the chain; the watermark stays where it is.", *CHAIN),
        _job("pull_dynamics", "Read back what changed in Dynamics 365.", "dynamics_changes"),
        _job("reconcile_dynamics", "Compare what we claim with what Dynamics holds.", "dynamics_differences"),
    ]
