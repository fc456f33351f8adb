"""The organisation on disk and in memory: restarts, kills, undo."""

from __future__ import annotations

import uuid
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hunter_orchestration.sandbox.clock import Clock
from hunter_orchestration.sandbox.dataverse.errors import RefusedError
from hunter_orchestration.sandbox.dataverse.rows import Organisation
from hunter_orchestration.sandbox.dataverse.seeds import prepare
from hunter_orchestration.sandbox.dataverse.standalone import running
from hunter_orchestration_tests.sandbox.dataverse_box import Box


def test_a_restart_keeps_rows_columns_keys_and_delta_tokens(tmp_path: Path) -> None:
    with running(state=tmp_path, key_pending_reads=0) as first:
        box = Box(first)
        column = {
            "@odata.type": "Microsoft.Dynamics.CRM.StringAttributeMetadata",
            "SchemaName": "new_Code",
            "MaxLength": 20,
        }
        box.send("POST", "EntityDefinitions(LogicalName='lead')/Attributes", column)
        key = {"SchemaName": "new_CodeKey", "KeyAttributes": ["new_code"]}
        box.send("POST", "EntityDefinitions(LogicalName='lead')/Keys", key)
        for code in "abc":
            box.send("PATCH", f"leads(new_code='{code}')", {"subject": code})
        link = box.get("leads?$select=subject", Prefer="odata.track-changes")["@odata.deltaLink"]
        box.send("PATCH", "leads(new_code='a')", {"subject": "changed"})
        box.send("DELETE", "leads(new_code='b')")
        before = box.get("leads")["value"]
    with running(state=tmp_path) as second:
        box = Box(second)
        assert box.get("leads")["value"] == before
        assert box.send("PATCH", "leads(new_code='a')", {"subject": "again"}).status_code == 204
        changes = box.get(link.replace(first.url, second.url))["value"]
        assert sorted(c.get("reason", "changed") for c in changes) == ["changed", "deleted"]
        box.control("POST", "/reset", {"prepared": True})
    with running(state=tmp_path) as third:
        box = Box(third)
        assert box.get("leads")["value"] == []
        assert box.send("PATCH", "leads(hnt_externalid='a')", {"subject": "x"}).status_code == 204


def test_a_line_cut_short_by_a_kill_is_forgotten(tmp_path: Path) -> None:
    with running(state=tmp_path, prepared=True) as first:
        box = Box(first)
        box.create("leads", {"subject": "whole"})
    file = tmp_path / "dataverse.jsonl"
    file.write_bytes(file.read_bytes() + b'{"t":"lead","i":"half')
    with running(state=tmp_path) as second:
        assert [row["subject"] for row in Box(second).get("leads")["value"]] == ["whole"]


def test_what_was_rolled_back_is_not_kept(tmp_path: Path) -> None:
    with running(state=tmp_path, prepared=True) as first:
        box = Box(first)
        bad = {"a": {"subject": "x"}, "b": {"subject": "x" * 301}}
        assert box.upsert_many("leads", "lead", bad).status_code == 400
    with running(state=tmp_path) as second:
        assert Box(second).get("leads")["value"] == []


OPERATIONS = st.lists(
    st.tuples(st.sampled_from(["insert", "replace", "remove"]), st.integers(0, 5), st.sampled_from("abcAB")),
    max_size=12,
)


def picture(organisation: Organisation) -> Any:
    """Everything that a reader could tell apart."""
    data = organisation.data["lead"]
    rows = [(row.id, row.version, row.number, dict(row.values)) for row in data.rows.values()]
    index = {c: {v: sorted(ids) for v, ids in i.items()} for c, i in data.index.items()}
    return rows, {n: dict(k) for n, k in data.keys.items()}, index, list(data.deletions)


def perform(organisation: Organisation, operations: list[tuple[str, int, str]]) -> None:
    table = organisation.tables["lead"]
    for kind, number, key in operations:
        rows = list(organisation.data["lead"].rows.values())
        values = {"hnt_externalid": key, "emailaddress1": f"{key}@x.example"}
        try:
            if kind == "insert":
                organisation.insert(table, values, str(uuid.UUID(int=len(rows) * 1000 + number)))
            elif rows and kind == "replace":
                organisation.replace(table, rows[number % len(rows)], values)
            elif rows:
                organisation.remove(table, rows[number % len(rows)])
        except RefusedError:
            continue  # the id or the key is taken: nothing was written


def perform_and_fail(organisation: Organisation, operations: list[tuple[str, int, str]]) -> None:
    with organisation.transaction():
        perform(organisation, operations)
        raise RefusedError(400, "0x0", "enough")


@settings(max_examples=60, deadline=None)
@given(before=OPERATIONS, inside=OPERATIONS)
def test_undo_brings_back_every_row_key_and_index(
    before: list[tuple[str, int, str]], inside: list[tuple[str, int, str]]
) -> None:
    organisation = Organisation(Clock())
    prepare(organisation)
    perform(organisation, before)
    was = picture(organisation)
    with pytest.raises(RefusedError, match="enough"):
        perform_and_fail(organisation, inside)
    assert picture(organisation) == was
    keys = [row.values["hnt_externalid"].casefold() for row in organisation.data["lead"].rows.values()]
    assert len(keys) == len(set(keys))
