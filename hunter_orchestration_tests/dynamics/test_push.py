"""Pushing against the organisation: nothing twice, nothing over a person's typing, nothing shown that isn't there."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

import pytest
from sqlalchemy import select, text

from hunter_orchestration.dynamics.mapping import load_mapping
from hunter_orchestration.store import crm
from hunter_orchestration.store.tables.crm import crm_audit
from hunter_orchestration_tests.dynamics.world import (
    World,
    add_companies,
    change_company,
    change_score,
    domain_of,
    email_hash,
    world_in,
)


def referral_of(number: int) -> str:
    return f"00000000-0000-4000-8000-{number:012d}"


def test_a_company_becomes_account_contact_lead_and_opportunity_that_know_each_other(both: World) -> None:
    (domain,) = add_companies(both.store, [1])
    result = both.push()
    assert result.counts["created"] == 4
    account, lead = both.sales.row("account", domain), both.sales.row("lead", domain)
    contact = both.sales.row("contact", email_hash(f"ayse.1@{domain}"))
    opportunity = both.sales.row("opportunity", referral_of(1))
    assert contact["_parentcustomerid_value"] == account["accountid"]
    assert lead["_parentaccountid_value"] == account["accountid"]
    assert lead["_parentcontactid_value"] == contact["contactid"]
    assert opportunity["_customerid_value"] == account["accountid"]
    assert opportunity["_originatingleadid_value"] == lead["leadid"]
    assert opportunity["estimatedvalue"] == 38000
    assert (opportunity["salesstage"], opportunity["closeprobability"]) == (1, 40)
    assert lead["hnt_prioritycategory"] == 816940001
    assert lead["hnt_priorityscore"] == 570
    assert "Competitive Takeover" in lead["description"]
    both.check()


def test_a_second_push_writes_and_asks_nothing(both: World) -> None:
    add_companies(both.store, range(5))
    both.push()
    both.writes()
    both.box.reset_counters()
    assert both.push().counts["picked"] == 0
    assert both.box.counters().get("dataverse", 0) == 0
    both.settles()


def test_a_repush_of_unchanged_companies_writes_nothing(world: World) -> None:
    domains = add_companies(world.store, range(5))
    world.push()
    world.writes()
    world.due(*domains)
    assert world.push().counts["unchanged"] == 20
    assert world.writes() == {}


def test_only_changed_fields_travel(world: World) -> None:
    (domain,) = add_companies(world.store, [1])
    world.push()
    change_company(world.store, domain, city="Ankara")
    plan = world.push(dry_run=True).facts["plan"]
    changed = {p["table"]: p["fields"] for p in plan if p["operation"] == "update"}
    assert changed == {
        "account": {"address1_city": ["İzmir", "Ankara"]},
        "lead": {"address1_city": ["İzmir", "Ankara"]},
    }
    result = world.push()
    assert (result.counts["updated"], result.counts["unchanged"]) == (2, 2)
    assert result.facts["plan_differences"]["count"] == 0
    assert world.sales.row("account", domain)["address1_city"] == "Ankara"


def test_an_edit_to_every_field_of_the_crm_survives_ten_syncs(world: World) -> None:
    (domain,) = add_companies(world.store, [1])
    world.push()
    keys = {"account": domain, "contact": email_hash(f"ayse.1@{domain}"), "lead": domain, "opportunity": referral_of(1)}
    mapping = load_mapping(None).mapping
    edited = 0
    for table, key in keys.items():
        for name, field in mapping.tables[table].fields.items():  # type: ignore[index]
            value = _typed(name, field.transform)
            if field.rule == "crm-wins-unless-empty" and value is not None:
                world.sales.edit(table, key, **{name: value})
                edited += 1
    assert edited > 30
    for number in range(10):
        change_company(world.store, domain, name=f"Yeni Ad {number}", city=f"Şehir {number}", phone=f"+90 212 {number}")
        change_score(world.store, domain, score=40 + 5 * number, commercial_heat=("LOW", "HIGH")[number % 2])
        if number % 3 == 0:
            world.pull()
        world.push()
        world.check(fresh=False)
    world.settles()
    assert world.sales.row("lead", domain)["hnt_finalscore"] == 85


def _typed(name: str, transform: str) -> object:
    if transform in ("clip", "phone", "country", "url"):
        return f"typed {name}"[:20]
    chosen = {"leadqualitycode": 3, "leadsourcecode": 7, "salesstage": 3, "closeprobability": 99}
    chosen |= {"opportunityratingcode": 3, "estimatedvalue": 1234.5, "estimatedclosedate": "2027-01-31"}
    return chosen.get(name)


def test_an_empty_field_is_filled_and_our_own_value_follows_its_source(world: World) -> None:
    (domain,) = add_companies(world.store, [1], phone=None)
    world.push()
    change_company(world.store, domain, phone="0090 232 555 1111", city="Bursa")
    world.push()
    row = world.sales.row("account", domain)
    assert (row["telephone1"], row["address1_city"]) == ("+90 232 555 1111", "Bursa")


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


@pytest.mark.slow
def test_one_bad_row_in_a_thousand_costs_one_row(sqlite_store, sandbox) -> None:  # type: ignore[no-untyped-def]
    world = world_in(sqlite_store, sandbox, dynamics_batch_size=1000)
    add_companies(world.store, range(1000), referral=False)
    world.box.configure(
        "dataverse",
        refuse_rows=[{"table": "account", "column": "name", "value": "Şirket 7 A.Ş.", "message": "Blocked by sales."}],
    )
    result = world.push()
    assert (result.counts["rejected"], result.counts["created"]) == (1, 2999)
    record = world.record("account", domain_of(7))
    assert (record["state"], record["error_code"], record["fix"]) == ("rejected", "0x80040265", "plugin_refused")
    assert record["error"] == "Blocked by sales."
    world.pull()
    world.check()


def test_a_rejected_row_is_tried_again_when_its_data_changed_or_on_demand(world: World) -> None:
    from hunter_orchestration.dynamics import decisions

    (domain,) = add_companies(world.store, [1], referral=False)
    world.box.configure("dataverse", refuse_rows=[{"table": "account", "column": "name", "message": "No."}])
    world.push()
    world.due(domain)
    world.box.reset_counters()
    world.push()
    with world.store.read() as connection:
        attempts = connection.execute(select(crm_audit).where(crm_audit.c.outcome == "sent")).mappings().all()
    assert sum(a["table_name"] == "account" for a in attempts) == 1
    world.box.clear("dataverse")
    assert decisions.retry(world.store, actor="elif") == 1
    assert world.push().counts["created"] == 1
    world.settles()


def test_a_forbidden_field_rejects_the_row_with_its_name_and_the_run_goes_on(world: World) -> None:
    add_companies(world.store, range(3))
    world.box.configure("dataverse", forbidden_columns={"lead": ["leadqualitycode"]})
    result = world.push()
    assert (result.counts["rejected"], result.counts["created"]) == (3, 9)
    record = world.record("lead", domain_of(0))
    assert record["fix"] == "field_forbidden"
    assert "leadqualitycode" in record["error"]
    world.check()


def test_a_lost_answer_is_looked_up_by_key_and_marked_recovered(both: World) -> None:
    add_companies(both.store, range(5))
    both.box.fault("dataverse", "drop_after_commit", times=1, path="accounts/Microsoft")
    result = both.push()
    assert (result.counts["recovered"], result.counts["created"]) == (5, 15)
    assert len(both.sales.keyed("account")) == 5
    with both.store.read() as connection:
        outcomes = connection.execute(select(crm_audit.c.outcome).where(crm_audit.c.table_name == "account")).scalars()
        assert sorted(outcomes) == ["recovered"] * 5 + ["sent"] * 5 + ["unknown"] * 5
    both.settles()


def test_a_lost_answer_to_an_update_is_recovered_too(world: World) -> None:
    domains = add_companies(world.store, range(3))
    world.push()
    for domain in domains:
        change_company(world.store, domain, city="Ankara")
    world.box.fault("dataverse", "drop_after_commit", times=1, path=r"\$batch")
    result = world.push()
    assert result.counts["recovered"] == 3
    assert world.sales.row("account", domains[0])["address1_city"] == "Ankara"
    change_company(world.store, domains[0], city="Muğla")
    world.push()
    assert world.sales.row("account", domains[0])["address1_city"] == "Muğla", "what arrived is ours to change"
    world.settles()


@pytest.mark.parametrize("kind", ["reset", "half_body", "invalid_json", "html", "truncated_gzip"])
def test_an_answer_that_is_none_never_counts_as_one(world: World, kind: str) -> None:
    add_companies(world.store, range(3))
    world.box.fault("dataverse", kind, times=2, after=4)
    result = world.push()
    good = result.counts["created"] + result.counts["recovered"]
    assert good == 12
    world.settles()


@pytest.mark.parametrize("status", [500, 502, 503, 504])
def test_a_failing_organisation_is_asked_again_a_bounded_number_of_times(world: World, status: int) -> None:
    from hunter_orchestration.dynamics.refusals import UnreachableError

    add_companies(world.store, range(2))
    world.box.fault("dataverse", "status", times=None, after=4, status=status)
    world.box.reset_counters()
    with pytest.raises(UnreachableError):
        world.push()
    assert world.box.counters()["dataverse"] < 20
    assert world.states().get("synced", 0) == 0
    world.check(fresh=False)
    world.settles()
    assert world.states() == {"synced": 8}


@pytest.mark.parametrize("kind", ["batch_part_missing", "batch_parts_reversed"])
def test_a_part_of_a_batch_that_is_missing_or_misplaced_is_no_success(world: World, kind: str) -> None:
    domains = add_companies(world.store, range(4))
    world.push()
    for number, domain in enumerate(domains):
        change_company(world.store, domain, city=f"City {number}")
    world.box.fault("dataverse", kind, times=1, index=1)
    result = world.push()
    assert result.counts["updated"] + result.counts["recovered"] == 8
    for number, domain in enumerate(domains):
        assert world.sales.row("account", domain)["address1_city"] == f"City {number}"
    world.settles()


def test_a_row_that_changed_since_it_was_read_is_read_again_and_the_rules_apply_again(world: World) -> None:
    (domain,) = add_companies(world.store, [1])
    world.push()
    world.sales.edit("account", domain, telephone1="0232 999 typed")
    change_company(world.store, domain, phone="+90 1", city="Ankara")
    result = world.push()
    assert result.counts["updated"] >= 1
    row = world.sales.row("account", domain)
    assert (row["telephone1"], row["address1_city"]) == ("0232 999 typed", "Ankara")
    world.settles()


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


@pytest.mark.parametrize("status", [412, 500])
def test_a_duplicate_refused_by_the_organisation_waits_for_a_person(
    sqlite_store,
    sandbox,
    tmp_path,
    status: int,  # type: ignore[no-untyped-def]
) -> None:
    from importlib.resources import files

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


def test_a_company_without_a_score_or_without_prospects_is_skipped_with_the_reason(world: World) -> None:
    add_companies(world.store, [1], priority="P6", score=0, referral=False)
    result = world.push()
    assert result.counts["skipped"] == 1
    assert world.record("lead", domain_of(1))["error_code"] == "priority"
    world.settles()


@pytest.mark.parametrize(
    ("score", "category", "stage"),
    [
        (39, "marketplace", None),
        (40, "marketplace", 0),
        (60, "marketplace", 1),
        (80, "marketplace", 2),
        (5, "co_sell", 0),
    ],
)
def test_the_score_decides_the_stage_and_co_sell_always_has_one(
    world: World, score: int, category: str, stage: int | None
) -> None:
    add_companies(world.store, [1], score=score, category=category)
    world.push()
    found = world.sales.keyed("opportunity")
    assert [row["salesstage"] for row in found.values()] == ([] if stage is None else [stage])


def test_a_person_of_two_companies_is_one_contact(world: World) -> None:
    from sqlalchemy import insert

    from hunter_orchestration.store.tables.companies import contacts
    from hunter_orchestration_tests.dynamics.world import NOW

    first, second = add_companies(world.store, [1, 2])
    address = f"ayse.1@{first}"
    with world.store.write() as connection:
        connection.execute(
            insert(contacts).values(company_domain=second, email_hash=email_hash(address), email=address,
                                    source="import", first_seen_at=NOW, changed_at=NOW)
        )  # fmt: skip
    assert world.push().counts["created"] == 8
    world.settles()


def test_text_is_cut_to_the_organisations_length_and_never_in_half_a_character(world: World) -> None:
    (domain,) = add_companies(world.store, [1], name="İ" * 90 + "😀" * 60)
    world.push()
    lead = world.sales.row("lead", domain)
    assert len(lead["companyname"].encode("utf-16-le")) // 2 <= 100
    assert lead["companyname"].endswith("…")
    world.settles()


def test_no_audit_no_push(world: World) -> None:
    """The audit can't be written: nothing leaves the house."""
    add_companies(world.store, range(2))
    with world.store.write() as connection:
        connection.execute(
            text("CREATE TRIGGER shut BEFORE INSERT ON crm_audit BEGIN SELECT RAISE(ABORT, 'full'); END")
        )
    with pytest.raises(Exception, match="full"):
        world.push()
    assert world.sales.keyed("account") == {}
    with world.store.write() as connection:
        connection.execute(text("DROP TRIGGER shut"))
    assert world.push().counts["created"] == 8
    world.settles()


def test_the_plan_of_a_dry_run_is_what_the_real_run_does(world: World) -> None:
    add_companies(world.store, range(3))
    world.sales.enter("account", name="Acme", websiteurl=f"https://{domain_of(1)}")
    planned = world.push(dry_run=True)
    assert world.writes() == {"account": {"create": 1}}
    with world.store.read() as connection:
        assert crm.state_counts(connection) == {}
    operations = [p["operation"] for p in planned.facts["plan"]]
    result = world.push()
    assert operations.count("create") == result.counts["created"] == 11
    assert operations.count("adopt") == result.counts["adopted"] == 1
    assert result.facts["plan_differences"]["count"] == 0
