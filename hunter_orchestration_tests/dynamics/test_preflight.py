"""Is it the right organisation, and can it hold what the mapping writes? Asked before the first write."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

import pytest

from hunter_orchestration.dynamics import preflight
from hunter_orchestration.dynamics.mapping import TABLES, load_mapping
from hunter_orchestration.dynamics.refusals import CrmRefusedError, NotReadyError, UnreachableError
from hunter_orchestration.dynamics.setup import set_up
from hunter_orchestration.store import Store, runs
from hunter_orchestration_tests.dynamics.world import World, add_companies, domain_of, world_in


def check(world: World) -> preflight.Report:
    with world.client() as client:
        return preflight.check(client, load_mapping(None))


def problems(world: World) -> dict[tuple[str, str], str]:
    return {(f.table, f.field): f"{f.level}: {f.problem}" for f in check(world).findings}


def test_a_prepared_organisation_is_ready_and_every_field_is_reported(world: World) -> None:
    report = check(world)
    assert report.ready
    assert report.findings == []
    mapping = load_mapping(None).mapping
    assert len(report.fields) == sum(len(mapping.tables[t].fields) for t in TABLES)
    assert {f["state"] for f in report.fields} == {"ok"}


@pytest.mark.parametrize("status", ["Pending", "Failed", "InProgress"])
def test_a_key_that_is_not_active_refuses_and_says_which(world: World, status: str) -> None:
    add_companies(world.store, [1])
    world.sales.set_keys("lead", status)
    with pytest.raises(NotReadyError, match=rf"lead.hnt_externalid: .*{status}"):
        world.push()
    assert world.writes() == {}
    assert world.states() == {}
    world.sales.set_keys("lead", "Active")
    assert world.push().counts["created"] == 4
    world.settles()


def test_a_missing_key_refuses(world: World) -> None:
    add_companies(world.store, [1])
    world.sales.call("DELETE", "/tables/account/keys")
    with pytest.raises(NotReadyError, match="the alternate key is missing"):
        world.push()
    assert world.writes() == {}


def test_setting_up_creates_everything_once_and_waits_for_the_keys(sqlite_store: Store, sandbox) -> None:  # type: ignore[no-untyped-def]
    world = world_in(sqlite_store, sandbox, prepared=False)
    add_companies(world.store, [1])
    assert not check(world).ready
    with pytest.raises(NotReadyError, match="hunter dynamics setup"):
        world.push()
    with world.client() as client:
        done = set_up(client, sleep=lambda _seconds: None)
        assert sum(line.startswith("column") for line in done) == 26
        assert sum(line.startswith("key ") for line in done) == 4
        assert set_up(client, sleep=lambda _seconds: None) == []
    assert check(world).findings == []
    assert world.push().counts["created"] == 4
    world.settles()


def test_set_up_finishes_what_an_earlier_one_began(world: World) -> None:
    world.sales.call("DELETE", "/tables/lead/columns/hnt_gateway")
    world.sales.call("PATCH", "/tables/lead", {"change_tracking": False})
    assert "column is missing" in problems(world)["lead", "hnt_gateway"]
    assert "change tracking is off" in problems(world)["lead", ""]
    with world.client() as client:
        done = set_up(client, sleep=lambda _seconds: None)
    assert done == ["column lead.hnt_gateway", "change tracking of lead"]
    assert check(world).findings == []


def test_a_required_field_added_is_shown_and_costs_new_rows_with_a_reason(world: World) -> None:
    add_companies(world.store, range(3))
    column = {"schema_name": "new_Region", "required": "ApplicationRequired"}
    world.sales.call("POST", "/tables/lead/columns", column)
    assert "requires new_region" in problems(world)["lead", "new_region"]
    result = world.push()
    assert (result.counts["rejected"], result.counts["created"]) == (3, 9)
    assert "new_region" in world.record("lead", domain_of(0))["error"]
    world.sales.call("DELETE", "/tables/lead/columns/new_region")
    assert world.push().counts["created"] == 3, "the organisation changed, so they are tried again"
    world.settles()


def test_an_option_removed_is_shown_and_rejects_the_rows_that_need_it(world: World) -> None:
    add_companies(world.store, range(2), referral=False)
    world.sales.call("DELETE", "/tables/lead/columns/leadqualitycode/options/1")
    assert problems(world)["lead", "leadqualitycode"] == "warning: has no choice Hot"
    result = world.push()
    assert (result.counts["rejected"], result.counts["created"]) == (2, 4)
    record = world.record("lead", domain_of(0))
    assert (record["state"], record["fix"]) == ("rejected", "option_unknown")
    world.check()


def test_a_length_shortened_is_followed_at_once(world: World) -> None:
    add_companies(world.store, [1])
    world.sales.call("PATCH", "/tables/account/columns/name", {"max_length": 5})
    assert world.push().counts["created"] == 4
    assert world.sales.row("account", domain_of(1))["name"] == "Şirk…"
    world.settles()


def test_missing_privileges_stop_before_the_first_write(world: World) -> None:
    add_companies(world.store, [1])
    world.box.configure("dataverse", missing_privileges=["prvCreateLead"])
    with pytest.raises(NotReadyError, match="prvCreateLead"):
        world.push()
    assert world.writes() == {}


def test_another_organisation_stops_before_the_first_write(world: World) -> None:
    add_companies(world.store, [1])
    with world.store.write() as connection:
        runs.write_watermark(connection, "dynamics", "organisation", "another")
    with pytest.raises(NotReadyError, match="another organisation"):
        world.push()
    assert world.writes() == {}


def test_duplicate_rules_are_reported_and_missed_where_the_mapping_relies_on_them(world: World, tmp_path: Path) -> None:
    assert set(check(world).duplicate_rules) == {"account", "contact", "lead"}
    own = tmp_path / "mapping.yaml"
    text = files("hunter_orchestration.dynamics").joinpath("mapping.yaml").read_text(encoding="utf-8")
    own.write_text(text.replace("    match: []\n", "    match: []\n    detect_duplicates: true\n"), encoding="utf-8")
    with world.client() as client:
        report = preflight.check(client, load_mapping(own))
    assert report.ready
    (found,) = (f for f in report.findings if "detect_duplicates" in f.problem)
    assert (found.table, found.level) == ("opportunity", "warning")


@pytest.mark.parametrize(("path", "body"), [("WhoAmI", []), ("WhoAmI", {"UserId": None}), ("currencies", {"rows": 1})])
def test_an_answer_of_another_shape_is_no_defect_of_ours(world: World, path: str, body: object) -> None:
    add_companies(world.store, [1])
    world.box.fault("dataverse", "status", times=None, status=200, path=path, body=body)
    with pytest.raises(UnreachableError):
        world.push()
    assert world.writes() == {}


def test_a_currency_without_a_code_and_a_user_without_named_privileges_stop_nothing(world: World) -> None:
    add_companies(world.store, [1])
    rows = {"value": [{"transactioncurrencyid": "x", "isocurrencycode": None}]}
    world.box.fault("dataverse", "status", times=1, status=200, path="currencies", body=rows)
    world.box.fault("dataverse", "status", times=1, status=200, path="Privileges", body={"RolePrivileges": None})
    counts = world.push().counts
    assert (counts["created"], counts["rejected"]) == (3, 1)
    assert world.record("opportunity", "00000000-0000-4000-8000-000000000001")["error_code"] == "currency_unknown"


def test_a_refusal_before_the_first_write_says_what_to_do(world: World) -> None:
    add_companies(world.store, [1])
    refused = {"error": {"code": "0x80040220", "message": "Principal user is missing prvReadEntity privilege"}}
    world.box.fault("dataverse", "status", times=1, status=403, path="RetrieveMetadataChanges", body=refused)
    with pytest.raises(CrmRefusedError) as caught:
        world.push()
    assert str(caught.value) == (
        "Dynamics refused the request (0x80040220): Principal user is missing prvReadEntity privilege. "
        "Give Hunter's application user the missing privilege in Dynamics."
    )
