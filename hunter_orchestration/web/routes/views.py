"""Saved views: a name for a query string, each person's own."""

from __future__ import annotations

from fastapi import APIRouter, Response
from pydantic import BaseModel, Field

from hunter_orchestration.store import page_state
from hunter_orchestration.web import models
from hunter_orchestration.web.context import Hunter, Viewer
from hunter_orchestration.web.models import Asked
from hunter_orchestration.web.problems import ProblemError, not_found

router = APIRouter(prefix="/views", tags=["views"])


class ViewBody(Asked):
    """A view."""

    name: str = Field(min_length=1, max_length=100, pattern=r"^[^\x00-\x1f\x7f]+$", examples=["My P1s"])
    query: str = Field(max_length=2000, pattern=r"^[^\x00-\x1f\x7f]*$", examples=["priority=P1&sort=score"])


class ViewList(BaseModel):
    """Views by name."""

    items: list[models.View]


@router.get("", summary="List saved views")
def list_views(hunter: Hunter, person: Viewer) -> ViewList:
    """The asker's own views."""
    with hunter.read() as connection:
        return ViewList(
            items=[models.View.model_validate(dict(row)) for row in page_state.views(connection, person.id)]
        )


@router.post("", status_code=201, summary="Save a view")
def save_view(hunter: Hunter, person: Viewer, body: ViewBody) -> models.View:
    """Add a view; a view of that name takes the new query."""
    with hunter.store.write() as connection:
        row = page_state.save_view(connection, person.id, body.name, body.query)
    return models.View.model_validate(dict(row))


@router.put("/{view_id}", summary="Change a view")
def change_view(hunter: Hunter, person: Viewer, view_id: models.Number, body: ViewBody) -> models.View:
    """Rename a view or give it another query."""
    with hunter.store.write() as connection:
        other = page_state.view_named(connection, person.id, body.name)
        if other is not None and other["id"] != view_id:
            raise ProblemError(409, "name_taken", f"There is another view named {body.name}.", "Choose another name.")
        row = page_state.change_view(connection, person.id, view_id, body.name, body.query)
    if row is None:
        raise not_found(f"view {view_id}")
    return models.View.model_validate(dict(row))


@router.delete("/{view_id}", status_code=204, summary="Drop a view")
def delete_view(hunter: Hunter, person: Viewer, view_id: models.Number) -> Response:
    """Forget a view."""
    with hunter.store.write() as connection:
        if not page_state.delete_view(connection, person.id, view_id):
            raise not_found(f"view {view_id}")
    return Response(status_code=204)
