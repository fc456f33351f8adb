"""Control endpoints: look into the organisation, and change it as its people would. None of it counts as a request."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from fastapi import APIRouter, HTTPException
from pydantic import BaseModel, Field

from hunter_orchestration.sandbox.dataverse import seeds
from hunter_orchestration.sandbox.dataverse.addresses import GUID
from hunter_orchestration.sandbox.dataverse.errors import RefusedError
from hunter_orchestration.sandbox.dataverse.records import Caller
from hunter_orchestration.sandbox.dataverse.rows import Row
from hunter_orchestration.sandbox.dataverse.schema import Column, Table, column_of, stable_id

if TYPE_CHECKING:
    from hunter_orchestration.sandbox.dataverse.app import DataverseApp

DONE = {"done": True}
_ELIF = stable_id("systemuser", "elif.aydin")
_PERSON = Caller(_ELIF, _ELIF)
"""The salesperson who makes the edits."""


class NewColumn(BaseModel):
    """A column that an administrator adds."""

    schema_name: str = Field(examples=["new_Region"])
    type: str = "String"
    length: int | None = 100
    required: str = Field("None", description="None, Recommended, ApplicationRequired (a plug-in enforces it).")
    options: list[str] = []


class ColumnChange(BaseModel):
    """What an administrator changes on a column."""

    max_length: int | None = None
    required: str | None = None


class KeyStatus(BaseModel):
    """The state of all alternate key indexes of a table."""

    status: str = Field(examples=["Pending"], description="Active, Pending (stays so), InProgress or Failed.")


class TableChange(BaseModel):
    """Switches of a table."""

    change_tracking: bool | None = None
    duplicate_detection: bool | None = None


class Into(BaseModel):
    """The row that survives a merge."""

    into: str


class Owner(BaseModel):
    """A user or team id."""

    owner: str


class Qualification(BaseModel):
    """What qualifying a lead makes."""

    account: bool = True
    contact: bool = True
    opportunity: bool = True


class Start(BaseModel):
    """How the organisation starts again."""

    prepared: bool = False


def control_router(app: DataverseApp) -> APIRouter:
    """The routes of one emulator, to be mounted under ``/dataverse`` of the control API."""
    router = APIRouter(tags=["dataverse"])
    for routes in (_definitions(app), _rows(app), _organisation(app)):
        router.include_router(routes)
    return router


def _definitions(app: DataverseApp) -> APIRouter:
    router = APIRouter()

    @router.get("/tables", summary="Tables with row counts, keys and switches")
    async def tables() -> list[dict[str, Any]]:
        return [
            {
                "name": t.name,
                "entity_set": t.entity_set,
                "rows": len(app.org.data[t.name].rows),
                "keys": {k.schema_name: k.status for k in t.keys.values()},
                "columns": len(t.columns),
                "change_tracking": t.change_tracking,
                "duplicate_detection": t.duplicate_detection,
            }
            for t in app.org.tables.values()
        ]

    @router.patch("/tables/{table}", summary="Switch change tracking or duplicate detection of a table")
    async def change_table(table: str, change: TableChange) -> dict[str, Any]:
        found = _table_of(app, table)
        if change.change_tracking is not None:
            found.change_tracking = change.change_tracking
        if change.duplicate_detection is not None:
            found.duplicate_detection = change.duplicate_detection
        app.org.defined(found)
        return {"change_tracking": found.change_tracking, "duplicate_detection": found.duplicate_detection}

    @router.post("/tables/{table}/columns", summary="Add a column, as an administrator")
    async def add_column(table: str, body: NewColumn) -> dict[str, Any]:
        found = _table_of(app, table)
        entry = {
            "name": body.schema_name.lower(),
            "schema_name": body.schema_name,
            "type": body.type,
            "length": body.length if body.type in {"String", "Memo"} else None,
            "required": body.required,
            "options": [[816_940_000 + i, text] for i, text in enumerate(body.options)],
            "custom": True,
        }
        with _told():
            found.add(column_of(found.name, entry))
            app.org.defined(found)
        return {"name": entry["name"]}

    @router.patch("/tables/{table}/columns/{column}", summary="Shorten a column or make it required")
    async def change_column(table: str, column: str, body: ColumnChange) -> dict[str, Any]:
        holder = _table_of(app, table)
        found = _column_in(holder, column)
        if body.max_length is not None:
            found.length = body.max_length
        if body.required is not None:
            found.required = body.required
            found.custom = True
        app.org.defined(holder)
        return {"name": found.name, "max_length": found.length, "required": found.required}

    @router.delete("/tables/{table}/columns/{column}", summary="Remove a column")
    async def drop_column(table: str, column: str) -> dict[str, bool]:
        found = _table_of(app, table)
        _column_in(found, column)
        app.org.drop_column(found, column)
        return DONE

    @router.delete("/tables/{table}/columns/{column}/options/{value}", summary="Remove a choice of a column")
    async def drop_option(table: str, column: str, value: int) -> dict[str, bool]:
        holder = _table_of(app, table)
        found = _column_in(holder, column)
        found.options = [o for o in found.options if o.value != value]
        found.option_values.discard(value)
        app.org.defined(holder)
        return DONE

    @router.patch("/tables/{table}/keys", summary="Set the index status of a table's alternate keys")
    async def key_status(table: str, body: KeyStatus) -> dict[str, str]:
        found = _table_of(app, table)
        for key in found.keys.values():
            if body.status == "Active":
                app.org.activate(found, key)
            else:
                app.org.deactivate(found, key, body.status)
                key.pending_reads = -1
        return {k.schema_name: k.status for k in found.keys.values()}

    @router.delete("/tables/{table}/keys", summary="Remove a table's alternate keys")
    async def drop_keys(table: str) -> dict[str, bool]:
        found = _table_of(app, table)
        for key in list(found.keys.values()):
            app.org.deactivate(found, key, "Failed")
        found.keys.clear()
        app.org.defined(found)
        return DONE

    return router


def _rows(app: DataverseApp) -> APIRouter:
    router = APIRouter()

    @router.get("/tables/{table}/rows", summary="Rows of a table, newest last")
    async def rows(table: str, limit: int = 100, offset: int = 0, external_id: str | None = None) -> dict[str, Any]:
        found = _table_of(app, table)
        every = list(app.org.data[found.name].rows.values())
        if external_id is not None:
            every = [r for r in every if r.values.get("hnt_externalid") == external_id]
        return {"count": len(every), "rows": [_shown(app, found, r) for r in every[offset : offset + limit]]}

    @router.post("/tables/{table}/rows", summary="Enter one row or a list of rows, as a salesperson")
    async def enter(table: str, body: dict[str, Any] | list[dict[str, Any]]) -> list[str]:
        found = _table_of(app, table)
        with _told(), app.org.transaction():
            return [app.api.records.create(found, b, _PERSON).id for b in (body if isinstance(body, list) else [body])]

    @router.get("/tables/{table}/rows/{row}", summary="One row, by GUID or external id")
    async def one(table: str, row: str) -> dict[str, Any]:
        found = _table_of(app, table)
        return _shown(app, found, _row_of(app, found, row))

    @router.patch("/tables/{table}/rows/{row}", summary="Edit a row as a salesperson would")
    async def edit(table: str, row: str, body: dict[str, Any]) -> dict[str, Any]:
        found = _table_of(app, table)
        with _told():
            return _shown(app, found, app.api.records.update(_row_of(app, found, row), found, body, _PERSON))

    @router.delete("/tables/{table}/rows/{row}", summary="Delete a row")
    async def delete(table: str, row: str) -> dict[str, bool]:
        found = _table_of(app, table)
        with _told():
            app.api.records.delete(found, _row_of(app, found, row))
        return DONE

    @router.post("/tables/{table}/rows/{row}/merge", summary="Merge this row into another")
    async def merge(table: str, row: str, body: Into) -> dict[str, bool]:
        found = _table_of(app, table)
        with _told():
            app.api.actions.join(found, _row_of(app, found, body.into), _row_of(app, found, row), None, _PERSON)
        return DONE

    @router.post("/tables/{table}/rows/{row}/owner", summary="Assign a row")
    async def assign(table: str, row: str, body: Owner) -> dict[str, Any]:
        found = _table_of(app, table)
        target = "teams" if body.owner in app.org.data["team"].rows else "systemusers"
        change = {"ownerid@odata.bind": f"/{target}({body.owner})"}
        with _told():
            return _shown(app, found, app.api.records.update(_row_of(app, found, row), found, change, _PERSON))

    @router.post("/leads/{row}/qualify", summary="Qualify a lead")
    async def qualify(row: str, body: Qualification) -> dict[str, Any]:
        given = {
            "CreateAccount": body.account,
            "CreateContact": body.contact,
            "CreateOpportunity": body.opportunity,
            "Status": 3,
        }
        with _told():
            made: dict[str, Any] = app.api.actions.qualify(
                _row_of(app, _table_of(app, "lead"), row), given, _PERSON
            ).body
        return made

    @router.post("/leads/{row}/disqualify", summary="Disqualify a lead")
    async def disqualify(row: str) -> dict[str, Any]:
        return await edit("lead", row, {"statecode": 2, "statuscode": 4})

    @router.post("/opportunities/{row}/win", summary="Win an opportunity")
    async def win(row: str) -> dict[str, bool]:
        with _told():
            app.api.actions.end(_row_of(app, _table_of(app, "opportunity"), row), 3, {}, _PERSON, True)
        return DONE

    @router.post("/opportunities/{row}/lose", summary="Lose an opportunity")
    async def lose(row: str) -> dict[str, bool]:
        with _told():
            app.api.actions.end(_row_of(app, _table_of(app, "opportunity"), row), 4, {}, _PERSON, False)
        return DONE

    @router.post("/tables/{table}/rows/{row}/reopen", summary="Reactivate a closed row")
    async def reopen(table: str, row: str) -> dict[str, Any]:
        return await edit(table, row, {"statecode": 0})

    return router


def _organisation(app: DataverseApp) -> APIRouter:
    router = APIRouter()

    @router.post("/change-tracking/expire", summary="Expire every delta token issued so far")
    async def expire() -> dict[str, bool]:
        app.org.version += 1
        app.org.oldest_token = app.org.version
        app.org.defined(_table_of(app, "lead"))
        return DONE

    @router.post("/prepare", summary="Create Hunter's solution, columns and active keys")
    async def prepare() -> dict[str, bool]:
        seeds.prepare(app.org)
        return DONE

    @router.post("/reset", summary="A fresh organisation")
    async def reset(body: Start) -> dict[str, bool]:
        app.reset(body.prepared)
        return DONE

    @router.get("/counters", summary="Requests, limits broken, rows written per table")
    async def counters() -> dict[str, Any]:
        return counted(app)

    @router.delete("/counters", summary="Count from zero")
    async def forget() -> dict[str, bool]:
        app.forget_counts()
        return DONE

    return router


def _table_of(app: DataverseApp, name: str) -> Table:
    found = app.org.tables.get(name) or app.org.sets.get(name)
    if found is None:
        raise HTTPException(404, f"There is no table {name!r}.")
    return found


def _row_of(app: DataverseApp, table: Table, key: str) -> Row:
    rows = app.org.data[table.name].rows
    if GUID.fullmatch(key):
        row = rows.get(key.lower())
    else:
        row = next((r for r in rows.values() if r.values.get("hnt_externalid") == key), None)
    if row is None:
        raise HTTPException(404, f"{table.name} has no row {key!r}.")
    return row


def _column_in(table: Table, name: str) -> Column:
    column = table.columns.get(name)
    if column is None:
        raise HTTPException(404, f"{table.name} has no column {name!r}.")
    return column


def _shown(app: DataverseApp, table: Table, row: Row) -> dict[str, Any]:
    rendered = app.api.queries.render(table, row, table.columns.values(), False)
    return {name: value for name, value in rendered.items() if value is not None}


@contextmanager
def _told() -> Iterator[None]:
    """Tell what the organisation refuses as 409, with its own status, code and message."""
    try:
        yield
    except RefusedError as error:
        raise HTTPException(409, {"status": error.status, "code": error.code, "message": error.message}) from error


def counted(app: DataverseApp) -> dict[str, Any]:
    """What was counted since the start or the last ``DELETE /counters``."""
    return {
        "requests": app.requests,
        "limits_broken": dict(app.limits.broken),
        "requests_sent_while_told_to_wait": app.limits.ignored_waits,
        "highest_concurrency": max((u.highest_in_flight for u in app.limits.callers.values()), default=0),
        "writes": app.org.counts(),
        "rows": {n: len(d.rows) for n, d in app.org.data.items() if not app.org.tables[n].system},
    }
