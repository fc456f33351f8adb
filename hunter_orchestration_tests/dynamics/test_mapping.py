"""The mapping file: what is wrong with it is said with file, line and reason before anything is sent."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

import pytest

from hunter_orchestration.dynamics.columns import COLUMNS
from hunter_orchestration.dynamics.mapping import MappingError, load_mapping, parse_mapping
from hunter_orchestration_tests.dynamics.world import add_companies, world_in

TEXT = files("hunter_orchestration.dynamics").joinpath("mapping.yaml").read_text(encoding="utf-8")


def line_of(text: str, part: str) -> int:
    return next(n for n, line in enumerate(text.splitlines(), 1) if part in line)


def test_the_mapping_that_comes_with_hunter_is_good_and_writes_all_its_columns() -> None:
    mapping = load_mapping(None).mapping
    for table, columns in COLUMNS.items():
        mapped = set(mapping.tables[table].fields)  # type: ignore[index]
        assert {c.name for c in columns} - mapped == {"hnt_externalid"}


@pytest.mark.parametrize(
    ("before", "after", "reason"),
    [
        (
            "websiteurl: {source: company.website, transform: url}",
            "websiteurl: {source: company.web}",
            "is not a source",
        ),
        ("rule: hunter-wins}", "rule: hunter-win}", "Input should be"),
        ("transform: phone}", "transform: phone, colour: red}", "Extra inputs"),
        ("match: [email]", "match: [tea]", "no match rule"),
        ("required: true}", "required: maybe}", "valid boolean"),
        ("version: 1", "version: 2", "Input should be 1"),
        ("{from: 60, stage: Develop, probability: 40}", "{from: 10, stage: Develop, probability: 40}", "ascending"),
        ("{from: 80, stage: Propose, probability: 60}", "{from: 80, stage: Close, probability: 60}", "Input should be"),
        ("source: record.account, transform: lookup}", "source: record.account}", "lookup"),
        ("firstname: {source: contact.first_name}", "hnt_externalid: {source: company.domain}", "own key"),
    ],
)
def test_a_mistake_is_named_with_its_line(before: str, after: str, reason: str) -> None:
    text = TEXT.replace(before, after, 1)
    assert text != TEXT
    with pytest.raises(MappingError) as caught:
        parse_mapping(text, "my-mapping.yaml")
    assert reason in str(caught.value)
    said = int(str(caught.value).split("line ")[1].split(":")[0])
    assert abs(said - line_of(text, after.splitlines()[0])) <= 1 or reason == "ascending"
    assert str(caught.value).startswith("my-mapping.yaml, line ")


def test_what_is_no_yaml_or_stands_twice_is_named_too(tmp_path: Path) -> None:
    with pytest.raises(MappingError, match=r"m.yaml, line \d: "):
        parse_mapping("version: 1\ntables:\n  a: [1\n", "m.yaml")
    with pytest.raises(MappingError, match="'name' stands twice"):
        parse_mapping(
            TEXT.replace("      websiteurl:", "      name: {source: company.domain}\n      websiteurl:", 1), "m"
        )
    for text in ("", "[]", "3"):
        with pytest.raises(MappingError):
            parse_mapping(text, "m.yaml")
    with pytest.raises(MappingError, match="can't be read"):
        load_mapping(tmp_path / "none.yaml")


def test_a_table_left_out_is_named() -> None:
    with pytest.raises(MappingError, match="opportunity"):
        parse_mapping(TEXT[: TEXT.index("  opportunity:\n    match")], "m.yaml")


def test_a_broken_mapping_stops_the_push_before_anything_is_asked(sqlite_store, sandbox, tmp_path) -> None:  # type: ignore[no-untyped-def]
    own = tmp_path / "mapping.yaml"
    own.write_text(TEXT.replace("company.name", "company.nome", 1), encoding="utf-8")
    world = world_in(sqlite_store, sandbox, mapping_file=own)
    add_companies(world.store, [1])
    world.box.reset_counters()
    with pytest.raises(MappingError, match=r"mapping\.yaml, line"):
        world.push()
    assert world.box.counters().get("dataverse", 0) == 0


def test_a_changed_mapping_makes_every_company_due(sqlite_store, sandbox, tmp_path) -> None:  # type: ignore[no-untyped-def]
    own = tmp_path / "mapping.yaml"
    own.write_text(TEXT, encoding="utf-8")
    world = world_in(sqlite_store, sandbox, mapping_file=own)
    add_companies(world.store, range(3))
    world.push()
    line = "jobtitle: {source: contact.title}"
    own.write_text(TEXT.replace(line, line + "\n      description: {source: company.domain}", 1), encoding="utf-8")
    assert world.push().counts["updated"] == 3
    assert {r["description"] for r in world.sales.keyed("contact").values()} == {
        f"company-0000{n}.example" for n in range(3)
    }
