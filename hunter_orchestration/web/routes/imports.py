"""Files of leads: upload, look at the columns, start, watch, take the rejects home."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response, UploadFile
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, Field

from hunter_orchestration.companies import imports
from hunter_orchestration.scoring.templates import Language
from hunter_orchestration.store import imports as import_store
from hunter_orchestration.web import cursors, launching, models
from hunter_orchestration.web.context import Context, Hunter, IdempotencyKey, Seller, Viewer, once
from hunter_orchestration.web.exports import rejects_pieces
from hunter_orchestration.web.models import Asked, Line
from hunter_orchestration.web.problems import ProblemError, not_found

router = APIRouter(prefix="/imports", tags=["imports"])

_REJECTS_AT_ONCE = 500


class Preview(BaseModel):
    """The file's first rows, and which field each column seems to hold."""

    headings: list[str]
    rows: list[list[str | None]]
    fields: list[str] = Field(description="Fields a column can be read as.")
    columns: dict[str, Any] = Field(description="field: column, as found by heading and content.")


class Import(BaseModel):
    """A file."""

    id: int
    filename: str
    state: str = Field(examples=["uploaded"])
    encoding: str | None
    separator: str | None
    columns: dict[str, Any] | None
    counts: dict[str, int] | None
    error: str | None
    requested_by: str | None
    created_at: datetime
    finished_at: datetime | None
    preview: Preview | None = None


class ImportList(BaseModel):
    """Files, newest first."""

    items: list[Import]
    next: str | None = None


class Started(BaseModel):
    """The file and the run that reads it."""

    import_: Import = Field(alias="import", serialization_alias="import")
    run: models.Run

    model_config = {"populate_by_name": True}


class StartBody(Asked):
    """The columns as a person confirmed them: field: column heading."""

    columns: dict[Line, Line | None] | None = Field(default=None, max_length=60)


class Reject(BaseModel):
    """A row that was not taken."""

    line: int
    reason: str
    detail: str
    row: Any


class RejectList(BaseModel):
    """Rows that were not taken, by line."""

    items: list[Reject]
    total: int
    next: str | None = None


def _import(row: Any, preview: Any = None) -> Import:
    values = {name: row[name] for name in Import.model_fields if name != "preview"}
    return Import(**values, preview=None if preview is None else Preview.model_validate(preview, from_attributes=True))


def _existing(hunter: Context, import_id: models.Number) -> Any:
    with hunter.read() as connection:
        row = import_store.one(connection, import_id)
    if row is None:
        raise not_found(f"import {import_id}")
    return row


@router.post("", status_code=201, summary="Upload a file")
def upload(hunter: Hunter, person: Seller, file: UploadFile) -> Import:
    """A CSV or XLSX file of at most 52 MB. Nothing is taken in before it is started."""
    hunter.limit(person, "upload", 20)
    name = (file.filename or "file")[:200]
    import_id = imports.receive(hunter.store, hunter.settings.home, name, file.file, person.actor)
    row = _existing(hunter, import_id)
    hunter.tell("import_progress", str(import_id), {"state": row["state"]})
    return _import(row, imports.preview_of(hunter.store, hunter.settings.home, import_id))


@router.get("", summary="List imports")
def list_imports(hunter: Hunter, _person: Viewer, query: Annotated[models.Listed, Query()]) -> ImportList:
    """Files with their counts, newest first."""
    before: int | None = None
    if query.cursor is not None:
        _direction, place = cursors.decode(query.cursor, "imports", int)
        before = int(place[0])
    with hunter.read() as connection:
        rows = import_store.listed(connection, limit=query.limit + 1, before=before)
    shown = rows[: query.limit]
    return ImportList(
        items=[_import(row) for row in shown],
        next=cursors.encode("imports", (shown[-1]["id"],)) if len(rows) > query.limit else None,
    )


@router.get("/{import_id}", summary="One import")
def one(hunter: Hunter, _person: Viewer, import_id: models.Number) -> Import:
    """How far it is."""
    return _import(_existing(hunter, import_id))


@router.get("/{import_id}/preview", summary="First rows of a file")
def preview(hunter: Hunter, _person: Seller, import_id: models.Number) -> Preview:
    """The first rows and the columns found."""
    _existing(hunter, import_id)
    return Preview.model_validate(
        imports.preview_of(hunter.store, hunter.settings.home, import_id), from_attributes=True
    )


@router.post("/{import_id}/cancel", summary="Stop an import")
def cancel(hunter: Hunter, _person: Seller, import_id: models.Number, _body: models.Nothing | None = None) -> Import:
    """What was taken in stays; an import that is over stays as it was."""
    _existing(hunter, import_id)
    imports.cancel(hunter.store, import_id)
    return _import(_existing(hunter, import_id))


@router.post("/{import_id}/start", status_code=202, summary="Take a file in")
def start(
    hunter: Hunter,
    person: Seller,
    request: Request,
    response: Response,
    import_id: models.Number,
    body: StartBody | None = None,
    key: IdempotencyKey = None,
) -> Started:
    """Read the file with the columns confirmed. The same file twice changes nothing."""
    asked = body or StartBody()
    response.status_code = 202

    def act() -> dict[str, Any]:
        row = _existing(hunter, import_id)
        if row["state"] == "running":
            raise ProblemError(409, "already_running", f"{row['filename']} is being read already.")
        if asked.columns is not None:
            chosen = {field: heading for field, heading in asked.columns.items() if heading}
            imports.choose_columns(hunter.store, hunter.settings.home, import_id, chosen)
        config = {"ops": {"import_file": {"config": {"import_id": import_id}}}}
        run = launching.launch(hunter, person.actor, launching.IMPORT, config=config)
        told = launching.answer(hunter, run).run
        read = _import(_existing(hunter, import_id))
        return {"import": read.model_dump(mode="json"), "run": told.model_dump(mode="json")}

    answer = once(hunter, person, key, request, asked.model_dump(), response, act)
    return Started.model_validate(answer)


@router.get("/{import_id}/rejects", summary="Rows of a file that were not taken")
def rejects(
    hunter: Hunter, _person: Viewer, import_id: models.Number, query: Annotated[models.Listed, Query()]
) -> RejectList:
    """With line number and reason."""
    _existing(hunter, import_id)
    after = 0
    if query.cursor is not None:
        _direction, place = cursors.decode(query.cursor, ["rejects", import_id], int)
        after = int(place[0])
    with hunter.read() as connection:
        rows = import_store.rejects(connection, import_id, after_line=after, limit=query.limit + 1)
        total = import_store.rejects_total(connection, import_id)
    shown = rows[: query.limit]
    return RejectList(
        items=[Reject(**{name: row[name] for name in Reject.model_fields}) for row in shown],
        total=total,
        next=cursors.encode(["rejects", import_id], (shown[-1]["line"],)) if len(rows) > query.limit else None,
    )


@router.get(
    "/{import_id}/rejects.csv",
    summary="Rejected rows as CSV",
    response_class=StreamingResponse,
    responses={200: {"content": {"text/csv": {"schema": {"type": "string"}}}, "description": "The file."}},
)
def rejects_csv(hunter: Hunter, person: Seller, import_id: models.Number, lang: Language = "en") -> StreamingResponse:
    """Every rejected row with line, reason and its cells, to be mended and uploaded again."""
    hunter.limit(person, "export", 6)
    _existing(hunter, import_id)

    def rows() -> Iterator[Mapping[Any, Any]]:
        after = 0
        while True:
            with hunter.read() as connection:
                found = import_store.rejects(connection, import_id, after_line=after, limit=_REJECTS_AT_ONCE)
            yield from found
            if len(found) < _REJECTS_AT_ONCE:
                return
            after = found[-1]["line"]

    pieces = rejects_pieces(rows(), lang)
    headers = {"Content-Disposition": f'attachment; filename="import-{import_id}-rejects.csv"'}
    return StreamingResponse(pieces, media_type="text/csv; charset=utf-8", headers=headers)
