"""Runs of the engine, from Dagster and from what the stages recorded."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field

from hunter_orchestration.store import page_state
from hunter_orchestration.web import cursors, launching, models, shapes
from hunter_orchestration.web.context import Hunter, Seller, Viewer
from hunter_orchestration.web.models import Asked, Line
from hunter_orchestration.web.problems import not_found

router = APIRouter(tags=["runs"])


class RunList(BaseModel):
    """Runs, newest first."""

    items: list[models.Run]
    next: str | None = None


class SyncList(BaseModel):
    """Recorded stages, newest first."""

    items: list[models.Sync]
    next: str | None = None


class RunListQuery(Asked):
    """Page of the runs."""

    job: Line | None = None
    limit: int = Field(default=50, ge=1, le=200)
    cursor: str | None = Field(default=None, max_length=100, pattern=r"^[0-9a-fA-F-]+$")


class SyncListQuery(Asked):
    """Filter and page of the recorded stages."""

    kind: Line | None = None
    limit: int = Field(default=50, ge=1, le=200)
    cursor: str | None = Field(default=None, max_length=4000)


@router.get("/runs", summary="List runs")
def list_runs(hunter: Hunter, _person: Viewer, query: Annotated[RunListQuery, Query()]) -> RunList:
    """Dagster's runs with what their stages recorded, newest first."""
    found = hunter.dagster.runs(query.limit, query.cursor, job=query.job)
    with hunter.read() as connection:
        items = shapes.runs(found, connection, hunter.settings.dagster_base_url)
    return RunList(items=items, next=found[-1].id if len(found) == query.limit else None)


@router.get("/runs/{run_id}", summary="One run")
def one_run(hunter: Hunter, _person: Viewer, run_id: str) -> models.Run:
    """A run with its steps, to be followed."""
    found = hunter.dagster.run(run_id)
    if found is None:
        raise not_found(f"run {run_id[:60]}")
    with hunter.read() as connection:
        return shapes.run(found, connection, hunter.settings.dagster_base_url)


@router.post("/runs/{run_id}/cancel", status_code=202, summary="End a run")
def cancel_run(hunter: Hunter, person: Seller, run_id: str, _body: models.Nothing | None = None) -> models.RunAnswer:
    """Ask a run to end; what it committed stays."""
    if hunter.dagster.run(run_id) is None:
        raise not_found(f"run {run_id[:60]}")
    hunter.dagster.terminate(run_id)
    found = hunter.dagster.run(run_id)
    if found is None:
        raise not_found(f"run {run_id[:60]}")
    hunter.tell("run_finished", run_id, {"run_id": run_id, "state": "cancelled", "requested_by": person.actor})
    return launching.answer(hunter, found)


@router.get("/syncs", summary="List recorded stages")
def list_syncs(hunter: Hunter, _person: Viewer, query: Annotated[SyncListQuery, Query()]) -> SyncList:
    """What each stage did, when, and how it ended, newest first. Answers while Dagster is down, too."""
    identity = ["syncs", query.kind]
    before: Any = None
    if query.cursor is not None:
        _direction, before = cursors.decode(query.cursor, identity, datetime, int)
    with hunter.read() as connection:
        rows = page_state.syncs(connection, query.kind, query.limit + 1, before)
    shown = rows[: query.limit]
    following = None
    if len(rows) > query.limit:
        following = cursors.encode(identity, (shown[-1]["started_at"], shown[-1]["id"]))
    return SyncList(items=[shapes.sync(row) for row in shown], next=following)
