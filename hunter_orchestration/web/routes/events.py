"""What happened, as it happens."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Header, Query, Request
from sse_starlette import EventSourceResponse

from hunter_orchestration.web.context import Hunter, Viewer
from hunter_orchestration.web.live import Live
from hunter_orchestration.web.people import sign_in_configured

router = APIRouter(tags=["events"])


@router.get(
    "/events",
    summary="Live events",
    response_class=EventSourceResponse,
    responses={200: {"content": {"text/event-stream": {"schema": {"type": "string"}}}, "description": "Events."}},
)
async def events(
    request: Request,
    hunter: Hunter,
    _person: Viewer,
    last_event_id: Annotated[int | None, Query(ge=0, le=2**62)] = None,
    last_event_header: Annotated[str | None, Header(alias="Last-Event-ID", max_length=30)] = None,
) -> EventSourceResponse:
    """A stream of server-sent events. Last-Event-ID (or last_event_id) gets what was missed first.

    ``hello`` opens the stream; ``gap`` says that too much was missed and everything is to be loaded anew.
    """
    after = last_event_id
    if last_event_header is not None and last_event_header.isdecimal():
        after = int(last_event_header)
    live: Live = request.app.state.live

    def still_allowed() -> bool:
        return not sign_in_configured(hunter.settings) or hunter.sessions.find(request) is not None

    return EventSourceResponse(live.listen(after, still_allowed), ping=20, headers={"Cache-Control": "no-store"})
