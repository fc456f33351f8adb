"""Scans of one run spread over steps, for several machines; the cores of one are used by the stage itself.

A step cuts what is due into chunks, each chunk is a step of its own on whichever worker is free, a last one adds up.
A chunk only takes companies that are still due, so one that is done twice, after a worker died, changes nothing.
"""

from collections import Counter
from collections.abc import Iterator
from typing import Any

import dagster as dg

from hunter_orchestration.defs.resources import Engine
from hunter_orchestration.defs.stages import attempts
from hunter_orchestration.store.runs import recorded
from hunter_orchestration.store.upsert import chunks

SPREAD = "rescan_domains_spread"


class SpreadConfig(dg.Config):
    """How many companies a step scans: large enough that a step's start of some seconds does not matter."""

    chunk: int = 5000


@dg.op(out=dg.DynamicOut(list[str]), description="Cuts the companies that are due into chunks.")
def due_chunks(context: dg.OpExecutionContext, engine: Engine, config: SpreadConfig) -> Iterator[Any]:
    from hunter_orchestration.scanning.picking import due_domains

    due = due_domains(engine.store)
    context.log.info(f"{len(due)} companies are due")
    for number, domains in enumerate(chunks(due, config.chunk)):
        yield dg.DynamicOutput(domains, mapping_key=f"chunk_{number:05d}")


@dg.op(description="Scans one chunk, on any worker.")
def scan_one_chunk(context: dg.OpExecutionContext, engine: Engine, domains: list[str]) -> dict[str, int]:
    from hunter_orchestration.scanning.stage import scan_chunk

    with attempts(context):
        result = scan_chunk(engine.store, engine.settings, domains, run_id=context.run.run_id)
    context.add_output_metadata({**result.counts, "domains_per_second": result.facts["domains_per_second"]})
    return result.counts


@dg.op(description="Adds up what the chunks did and materializes domain_scans.")
def add_up(context: dg.OpExecutionContext, engine: Engine, counts: list[dict[str, int]]) -> None:
    total: Counter[str] = Counter()
    for chunk in counts:
        total.update(chunk)
    with recorded(engine.store, "domain_scans", context.run.run_id, "spread") as result:
        result.counts = dict(total)
    context.log_event(dg.AssetMaterialization("domain_scans", metadata=dict(total)))


def build_spread_job(executor: dg.ExecutorDefinition) -> dg.JobDefinition:
    """The job on an executor that has several processes."""

    @dg.job(
        name=SPREAD,
        executor_def=executor,
        resource_defs={"engine": Engine()},
        description="Scans what is due, in chunks that several workers share; worth it from some 100,000 domains on.",
        tags={"hunter/job": SPREAD},
    )
    def spread() -> None:
        add_up(due_chunks().map(scan_one_chunk).collect())

    return spread
