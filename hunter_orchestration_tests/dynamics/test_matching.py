"""Rows that sales entered before Hunter came: recognised, adopted, or left to a person where several may be meant."""

from __future__ import annotations

from importlib.resources import files

import pytest

from hunter_orchestration_tests.dynamics.world import (
    World,
    add_companies,
    email_hash,
    referral_of,
    world_in,
)


@pytest.mark.parametrize("heading", ["websiteurl", "name"])
def test_an_account_that_sales_entered_is_adopted_with_its_data(world: World, heading: str) -> None:
    (domain,) = add_companies(world.store, [1])
    values = {"websiteurl": {"websiteurl": f"https://www.{domain}/", "name": "Acme"},
              "name": {"name": "Şirket 1 A.Ş.", "address1_country": "Turkey"}}[heading]  # fmt: skip
    crm_id = world.sales.enter("account", **values, telephone1="0232 111")
    result = world.push()
    assert (result.counts["adopted"], result.counts["created"]) == (1, 3)
    row = world.sales.row("account", domain)
    assert (row["accountid"], row["telephone1"]) == (crm_id, "0232 111")
    assert all(row[name] == value for name, value in values.items())
    world.pull()
    world.check()


def test_the_same_name_in_another_country_is_another_company(world: World) -> None:
    add_companies(world.store, [1])
    world.sales.enter("account", name="Şirket 1 A.Ş.", address1_country="Germany")
    assert world.push().counts["adopted"] == 0


def test_several_matches_wait_for_a_person(world: World) -> None:
    from hunter_orchestration.dynamics import decisions

    (domain,) = add_companies(world.store, [1])
    first = world.sales.enter("account", name="Acme", websiteurl=f"https://{domain}")
    second = world.sales.enter("account", name="Acme İzmir", websiteurl=f"www.{domain}")
    result = world.push()
    assert result.counts["conflict"] == 1
    assert result.counts["deferred"] == 1, "the opportunity needs its account"
    record = world.record("account", domain)
    assert {c["crm_id"] for c in record["candidates"]} == {first, second}
    with pytest.raises(decisions.NotPossibleError):
        decisions.resolve_conflict(world.store, world.settings, "account", domain, referral_of(9), actor="elif")
    decisions.resolve_conflict(world.store, world.settings, "account", domain, second, actor="elif")
    world.retry_now()
    result = world.push()
    assert (result.counts["adopted"], result.counts["created"]) == (1, 1)
    assert world.sales.row("account", domain)["accountid"] == second
    world.settles()


def test_a_conflict_can_be_answered_with_a_new_record(world: World) -> None:
    from hunter_orchestration.dynamics import decisions

    (domain,) = add_companies(world.store, [1])
    for name in ("A", "B"):
        world.sales.enter("account", name=name, websiteurl=f"https://{domain}")
    world.push()
    decisions.resolve_conflict(world.store, world.settings, "account", domain, None, actor="elif")
    world.retry_now()
    assert world.push().counts["created"] == 2
    assert len(world.sales.rows("account")) == 3 + _seeded(world, "account")
    world.settles()


def _seeded(world: World, table: str) -> int:
    return sum(1 for r in world.sales.rows(table) if not r.get("hnt_externalid")) - (2 if table == "account" else 0)


@pytest.mark.parametrize("status", [412, 500])
def test_a_duplicate_refused_by_the_organisation_waits_for_a_person(
    sqlite_store,
    sandbox,
    tmp_path,
    status: int,  # type: ignore[no-untyped-def]
) -> None:

    mapping = files("hunter_orchestration.dynamics").joinpath("mapping.yaml").read_text()
    own = tmp_path / "mapping.yaml"
    own.write_text(mapping.replace("match: [email]", "match: []\n    detect_duplicates: true"))
    world = world_in(sqlite_store, sandbox, mapping_file=own)
    world.box.configure("dataverse", duplicate_status=status)
    (domain,) = add_companies(world.store, [1])
    address = f"ayse.1@{domain}"
    world.sales.enter("contact", lastname="Yılmaz", emailaddress1=address)
    world.push()
    record = world.record("contact", email_hash(address))
    assert (record["state"], record["error_code"]) == ("conflict", "duplicate_refused")
    assert email_hash(address) not in world.sales.keyed("contact")
    world.check()
