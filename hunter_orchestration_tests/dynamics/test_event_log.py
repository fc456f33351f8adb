"""What Dagster keeps of the CRM's stages: which records and fields, in a log that no erasure reaches; nobody's data."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import dagster as dg
import pytest

from hunter_orchestration.definitions import build_defs
from hunter_orchestration.defs.partitions import TICK, range_tags
from hunter_orchestration.settings import load_settings
from hunter_orchestration_tests.dynamics.world import World, add_companies, domain_of, email_hash

DOMAIN = domain_of(1)
DEAL = "00000000-0000-4000-8000-000000000001"
PERSON = email_hash(f"ayse.1@{DOMAIN}")


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as made:
        yield made


@pytest.fixture
def connected(world: World, monkeypatch: pytest.MonkeyPatch) -> World:
    """Dagster works on the test's store and organisation."""
    for name, value in world.box.settings().items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("HUNTER_DYNAMICS_ENABLED", "true")
    monkeypatch.setenv("HUNTER_DATABASE_URL", world.store.shown_url)
    add_companies(world.store, [1])
    return world


def run_job(instance: dg.DagsterInstance, job: str, config: dict[str, Any] | None = None) -> dg.ExecuteInProcessResult:
    today = datetime.now(UTC).date()
    made = build_defs(load_settings()).resolve_job_def(job)
    tags = {**range_tags(today, today), TICK: "1"}
    return made.execute_in_process(instance=instance, tags=tags, run_config=config, raise_on_error=False)


def logged(instance: dg.DagsterInstance, run: dg.ExecuteInProcessResult) -> str:
    """All that is kept of a run."""
    return "\n".join(
        str(record.event_log_entry) for record in instance.get_records_for_run(run.run_id, limit=None).records
    )


def test_a_difference_between_ledger_and_crm_is_told_by_its_names(
    connected: World, instance: dg.DagsterInstance
) -> None:
    connected.push()
    connected.sales.edit("contact", PERSON, jobtitle="Gizli Unvan", telephone1="+90 532 555 0199")
    connected.sales.delete("opportunity", DEAL)
    run = run_job(instance, "reconcile_dynamics")
    assert run.success
    (made,) = run.get_asset_materialization_events()
    told = made.materialization.metadata["differences"].value
    assert sorted((d["table_name"], d["kind"], d["field"]) for d in told) == [
        ("contact", "field", "jobtitle"),
        ("contact", "field", "telephone1"),
        ("opportunity", "missing", None),
    ]
    (check,) = run.get_asset_check_evaluations()
    assert (check.check_name, check.passed) == ("pipeline_accuracy", False)
    assert not [word for word in ("Gizli", "0199", "IT Manager", "0101") if word in logged(instance, run)]


def test_a_push_that_the_crm_alters_and_a_dry_run_tell_names(connected: World, instance: dg.DagsterInstance) -> None:
    connected.box.configure(
        "dataverse", rewrite_rows=[{"table": "contact", "column": "lastname", "value": "Yılmaz 1", "to": "YILMAZ 1"}]
    )
    config = {"ops": {"dynamics_records": {"config": {"domains": [DOMAIN], "dry_run": True}}}}
    planned = run_job(instance, "push_leads", config)
    assert planned.success
    (made,) = planned.get_asset_materialization_events()
    (contact,) = [p for p in made.materialization.metadata["plan"].value if p["table"] == "contact"]
    assert (contact["operation"], contact["external_id"]) == ("create", PERSON)
    assert {"emailaddress1", "lastname", "telephone1"} <= set(contact["fields"])
    pushed = run_job(instance, "push_leads", {"ops": {"dynamics_records": {"config": {"domains": [DOMAIN]}}}})
    assert pushed.success
    (made,) = pushed.get_asset_materialization_events()
    (surprise,) = made.materialization.metadata["plan_differences"].value["sample"]
    assert (surprise["outcome"], surprise["fields"]) == ("altered_in_crm", ["lastname"])
    words = ("ayse.1@", "Ayşe", "Yılmaz", "YILMAZ", "532 555", "IT Manager")
    assert not [word for word in words if word in logged(instance, planned) + logged(instance, pushed)]
