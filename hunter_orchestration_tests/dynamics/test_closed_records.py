"""Records that people deleted, merged or closed in the CRM: left alone unless somebody asks for them again."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

import pytest

from hunter_orchestration_tests.dynamics.world import (
    World,
    add_companies,
    change_company,
    change_score,
    referral_of,
)


def test_a_record_deleted_in_the_crm_is_not_made_again_unless_asked(world: World) -> None:
    from hunter_orchestration.dynamics import decisions

    (domain,) = add_companies(world.store, [1])
    world.push()
    world.sales.delete("lead", domain)
    change_score(world.store, domain, score=90)
    assert world.push().counts["deleted_in_crm"] == 1
    assert world.record("lead", domain)["state"] == "deleted_in_crm"
    world.settles()
    assert domain not in world.sales.keyed("lead")
    decisions.recreate(world.store, "lead", domain, actor="elif")
    assert world.push().counts["created"] == 1
    assert world.sales.row("lead", domain)["hnt_finalscore"] == 90
    world.settles()


def test_merged_accounts_are_followed_and_the_loser_is_never_written(world: World) -> None:
    domain, other = add_companies(world.store, [1, 2])
    world.push()
    loser = world.sales.row("account", domain)
    world.sales.merge("account", domain, other)
    version = world.sales.row("account", loser["accountid"])["@odata.etag"]
    change_company(world.store, domain, city="Ankara")
    change_company(world.store, other, city="Bursa")
    world.push()
    assert world.sales.row("account", loser["accountid"])["@odata.etag"] == version
    assert world.sales.row("account", other)["address1_city"] == "Bursa"
    record = world.record("account", domain)
    assert (record["state"], record["error_code"]) == ("skipped", "merged_in_crm")
    assert record["crm_id"] == world.sales.row("account", other)["accountid"]
    world.settles()


def test_a_winner_without_our_key_is_kept_true_under_its_own_id(world: World) -> None:
    (domain,) = add_companies(world.store, [1])
    world.push()
    loser = world.sales.row("account", domain)["accountid"]
    winner = world.sales.enter("account", name="Acme Holding")
    world.sales.merge("account", loser, winner)
    version = world.sales.row("account", loser)["@odata.etag"]
    world.pull()
    change_company(world.store, domain, city="Ankara")
    world.push()
    row = world.sales.row("account", winner)
    assert (row["name"], row["address1_city"]) == ("Acme Holding", "Ankara")
    assert world.sales.row("account", loser)["@odata.etag"] == version
    world.settles()


@pytest.mark.parametrize(
    ("path", "table", "state"),
    [
        ("/opportunities/{key}/win", "opportunity", "won"),
        ("/opportunities/{key}/lose", "opportunity", "lost"),
        ("/leads/{key}/disqualify", "lead", "disqualified"),
    ],
)
def test_closed_records_are_never_forced(world: World, path: str, table: str, state: str) -> None:
    (domain,) = add_companies(world.store, [1])
    world.push()
    key = referral_of(1) if table == "opportunity" else domain
    world.sales.call("POST", path.format(key=world.sales.id_of(table, key)))
    before = world.sales.row(table, key)
    change_score(world.store, domain, score=95, commercial_heat="LOW")
    world.push()
    assert world.sales.row(table, key) == before
    record = world.record(table, key)
    assert (record["crm_state"], record["state"]) == (state, "skipped")
    world.settles()
    world.sales.call("POST", f"/tables/{table}/rows/{world.sales.id_of(table, key)}/reopen")
    world.pull()
    world.push()
    assert world.record(table, key)["state"] == "synced"
    world.settles()


@pytest.mark.parametrize(
    ("path", "table", "opened"),
    [
        ("/opportunities/{key}/lose", "opportunity", True),
        ("/leads/{key}/disqualify", "lead", True),
        ("/opportunities/{key}/win", "opportunity", False),
    ],
)
def test_a_mapping_may_say_which_closed_records_are_opened_again(
    world: World, tmp_path: Path, path: str, table: str, opened: bool
) -> None:
    """With something new to write, and never for what was won or qualified."""
    own = tmp_path / "mapping.yaml"
    ours = files("hunter_orchestration.dynamics").joinpath("mapping.yaml").read_text(encoding="utf-8")
    own.write_text(ours.replace("reopen: []", "reopen: [disqualified, lost]"), encoding="utf-8")
    world.settings = world.settings.model_copy(update={"mapping_file": own})
    (domain,) = add_companies(world.store, [1])
    world.push()
    key = referral_of(1) if table == "opportunity" else domain
    world.sales.call("POST", path.format(key=world.sales.id_of(table, key)))
    world.pull()
    world.push()
    assert world.sales.row(table, key)["statecode"] != 0, "nothing new: it stays closed"
    change_score(world.store, domain, score=95, commercial_heat="LOW")
    (plan,) = (p for p in world.push(dry_run=True).facts["plan"] if p["table"] == table)
    assert plan["fields"].get("statecode") == (["closed", "open"] if opened else None)
    world.push()
    row = world.sales.row(table, key)
    assert (row["statecode"] == 0) is opened
    assert (row["opportunityratingcode" if table == "opportunity" else "leadqualitycode"] == 3) is opened
    assert world.record(table, key)["state"] == ("synced" if opened else "skipped")
    world.settles()
