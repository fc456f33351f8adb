"""The slow lane: what registries and Microsoft's sign-in tell of the best leads, a share a day, beside the scans."""

import dagster as dg

from hunter_orchestration.defs.resources import Engine
from hunter_orchestration.store.runs import recorded

DETAILS = "look_up_details"


@dg.op(
    description="Looks up registration, tenant, mail transport, DNSSEC and network where they are missing or old.",
    pool="registries",
)
def look_up(context: dg.OpExecutionContext, engine: Engine) -> None:
    from hunter_orchestration.scanning.extended import run_due

    with recorded(engine.store, "domain_details", context.run.run_id, context.run.tags.get("source")) as result:
        run_due(engine.store, engine.settings, result)
    context.add_output_metadata({**result.counts})


@dg.job(
    name=DETAILS,
    description="Adds what is asked of others than the DNS: registration, tenant, mail transport; best leads first.",
    tags={"hunter/job": DETAILS},
)
def look_up_details() -> None:
    look_up()
