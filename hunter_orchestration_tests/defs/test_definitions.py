"""What Dagster loads: named, described, owned, and light."""

from __future__ import annotations

import subprocess
import sys
from itertools import chain
from pathlib import Path

import dagster as dg
import pytest
import yaml

from hunter_orchestration.definitions import build_defs
from hunter_orchestration.defs.partitions import DAYS
from hunter_orchestration.defs.spread import SPREAD
from hunter_orchestration.settings import load_settings

ROOT = Path(__file__).parents[2]
CHAIN = {"raw_leads", "referrals", "companies", "domain_scans", "lead_scores", "dynamics_records"}
TABLES = CHAIN | {"imported_leads", "dynamics_changes", "dynamics_differences"}
OUTSIDE = {"partner_center", "lead_files", "dynamics_365"}


def test_every_asset_has_an_owner_a_group_kinds_and_a_description() -> None:
    nodes = build_defs(load_settings()).resolve_asset_graph().asset_nodes
    assert {node.key.to_user_string() for node in nodes} == TABLES | OUTSIDE
    for node in nodes:
        assert node.owners == ["team:lead-engine"], node.key
        assert node.group_name in {"sources", "data_in", "insight", "crm", "targets"}, node.key
        assert 1 <= len(node.kinds) <= 3, node.key
        assert len(node.description or "") > 30, node.key


def test_every_table_shows_its_columns_its_name_and_where_its_code_is() -> None:
    for node in build_defs(load_settings()).resolve_asset_graph().asset_nodes:
        if node.key.to_user_string() in TABLES:
            assert len(node.metadata["dagster/column_schema"].columns) > 3, node.key
            assert node.metadata["dagster/table_name"].startswith("hunter."), node.key
            assert "dagster/code_references" in node.metadata, node.key


def test_every_column_is_described_and_typed_in_words_of_a_database() -> None:
    known = {"integer", "float", "text", "boolean", "json", "timestamp", "decimal"}
    for node in build_defs(load_settings()).resolve_asset_graph().asset_nodes:
        for column in getattr(node.metadata.get("dagster/column_schema"), "columns", ()):
            assert column.description, (node.key, column.name)
            assert column.type in known, (node.key, column.name)


def test_a_part_of_a_key_is_not_called_unique() -> None:
    node = build_defs(load_settings()).resolve_asset_graph().get(dg.AssetKey("dynamics_records"))
    unique = [column.name for column in node.metadata["dagster/column_schema"].columns if column.constraints.unique]
    assert unique == []


def test_column_lineage_names_columns_that_are_there() -> None:
    nodes = {node.key: node for node in build_defs(load_settings()).resolve_asset_graph().asset_nodes}
    columns = {
        key: {column.name: column.description for column in node.metadata["dagster/column_schema"].columns}
        for key, node in nodes.items()
        if "dagster/column_schema" in node.metadata
    }
    traced = {key for key, node in nodes.items() if "dagster/column_lineage" in node.metadata}
    assert {key.to_user_string() for key in traced} >= CHAIN - {"raw_leads"}
    for key in traced:
        for name, sources in nodes[key].metadata["dagster/column_lineage"].deps_by_column.items():
            assert name in columns[key], (key, name)
            for source in sources:
                assert source.asset_key in nodes[key].parent_keys, (key, source)
                assert source.column_name in columns[source.asset_key], (key, source)
                told = {
                    column.name: column.description for column in nodes[key].metadata["dagster/column_schema"].columns
                }
                assert f"{source.asset_key.to_user_string()}.{source.column_name}" in told[name], (key, name)


def test_every_stage_has_a_freshness_policy_and_a_check() -> None:
    graph = build_defs(load_settings()).resolve_asset_graph()
    checked = {key.asset_key.to_user_string() for key in graph.asset_check_keys}
    assert checked >= CHAIN | {"dynamics_differences", "imported_leads"}
    for stage in CHAIN | {"dynamics_changes", "dynamics_differences"}:
        assert graph.get(dg.AssetKey(stage)).freshness_policy is not None, stage


def test_a_sudden_drop_stops_what_is_downstream() -> None:
    graph = build_defs(load_settings()).resolve_asset_graph()
    blocking = {key.name for key in graph.asset_check_keys if graph.get_check_spec(key).blocking}
    assert "no_sudden_drop" in blocking


def test_no_two_runs_do_the_same_stage_at_once() -> None:
    graph = build_defs(load_settings()).resolve_asset_graph()
    pools = {stage: graph.get(dg.AssetKey(stage)).pools for stage in CHAIN | {"dynamics_changes"}}
    assert pools["lead_scores"] == {"scorer"}
    assert pools["domain_scans"] == {"scanner"}
    assert pools["raw_leads"] == {"partner_center"}
    assert pools["dynamics_records"] == pools["dynamics_changes"] == {"dynamics"}
    for file in ("dagster.yaml", "deploy/postgres/dagster.yaml"):
        settings = yaml.safe_load((ROOT / file).read_text(encoding="utf-8"))
        assert settings["concurrency"]["pools"] == {"granularity": "op", "default_limit": 1}, file


def test_jobs_of_the_chain_run_over_days_and_the_others_do_not() -> None:
    repository = build_defs(load_settings()).get_repository_def()
    whole = {"pull_dynamics", "reconcile_dynamics", "housekeeping", "look_up_details", SPREAD}
    for job in repository.get_all_jobs():
        if not job.name.startswith("__"):
            assert (job.partitions_def is None) == (job.name in whole), job.name
            assert job.partitions_def in (None, DAYS), job.name


@pytest.mark.parametrize("environment", ["production", "development"])
def test_each_environment_has_its_jobs_schedules_and_sensors(
    environment: str, monkeypatch: pytest.MonkeyPatch, tmp_path: object
) -> None:
    monkeypatch.setenv("HUNTER_ENVIRONMENT", environment)
    monkeypatch.setenv("HUNTER_DYNAMICS_ENABLED", "true")
    monkeypatch.setenv("HUNTER_IMPORT_FOLDER", str(tmp_path))
    definitions = build_defs(load_settings())
    repository = definitions.get_repository_def()
    jobs = {job.name for job in repository.get_all_jobs() if not job.name.startswith("__")}
    assert jobs == {"sync_referrals", "import_leads", "rescan_domains", "score_leads", "push_leads", "backfill_leads",
                    "pull_dynamics", "reconcile_dynamics", "housekeeping", "look_up_details", SPREAD}  # fmt: skip
    schedules = {schedule.name for schedule in repository.schedule_defs}
    slow = {"rescan_domains_daily", "push_leads_hourly", "pull_dynamics_every_10_minutes", "reconcile_dynamics_daily",
            "housekeeping_daily", "look_up_details_daily"}  # fmt: skip
    sensors = {sensor.name for sensor in repository.sensor_defs}
    watching = {"rules_changed", "mapping_changed", "lead_files_dropped", "alerts"}
    if environment == "production":
        assert schedules == slow | {"sync_referrals_every_10_minutes"}
        assert sensors == watching
    else:
        assert schedules == slow
        assert sensors == watching | {"partner_center_changed"}
    for named in chain(repository.schedule_defs, repository.sensor_defs, repository.get_all_jobs()):
        if not named.name.startswith("__"):
            assert named.description, named.name


def test_definitions_load_without_pandas_msal_or_fastapi() -> None:
    heavy = ("pandas", "msal", "fastapi", "uvicorn", "playwright", "numpy")
    code = f"import sys, hunter_orchestration.definitions\nprint([name for name in {heavy!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=True)
    assert done.stdout.strip() == "[]"
    assert "BetaWarning" not in done.stderr


@pytest.mark.slow
def test_dagster_finds_the_definitions_valid() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "dagster", "definitions", "validate", "-m", "hunter_orchestration.definitions"],
        capture_output=True, text=True, timeout=240, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
