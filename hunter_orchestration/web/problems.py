"""Errors as RFC 9457 problem documents: a code the page translates, a sentence, what to do, and the request's id."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException

from hunter_orchestration.errors import HunterError, PermanentError, TransientError
from hunter_orchestration.logging import get_logger
from hunter_orchestration.store import StoreError
from hunter_orchestration.store.runs import LeaseHeldError
from hunter_orchestration.web.dagster_client import EngineDownError

MEDIA_TYPE = "application/problem+json"

log = get_logger("hunter.web")


class FieldProblem(BaseModel):
    """What is wrong with one field."""

    field: str
    message: str


class Problem(BaseModel):
    """An error answer."""

    type: str = Field(examples=["/api/docs#not_found"])
    title: str = Field(examples=["Not found"])
    status: int = Field(examples=[404])
    code: str = Field(description="Key of the message catalogue.", examples=["not_found"])
    detail: str = Field(examples=["There is no lead egeinsaat.example."])
    fix: str = Field(default="", description="What the reader can do; may be empty.")
    request_id: str = Field(examples=["01JDQ0T3"])
    errors: list[FieldProblem] = Field(default_factory=list, description="For 422: each field that is wrong.")


_TITLES = {
    400: "Bad request",
    401: "Signed out",
    403: "Not allowed",
    404: "Not found",
    405: "Method not allowed",
    406: "Not acceptable",
    409: "Conflict",
    413: "Too large",
    415: "Wrong content type",
    422: "Invalid input",
    429: "Too many requests",
    500: "Internal error",
    502: "Bad answer from another service",
    503: "Not available right now",
}
_CODES = {
    400: "bad_request",
    401: "signed_out",
    403: "forbidden",
    404: "not_found",
    405: "method_not_allowed",
    409: "conflict",
    413: "too_large",
    415: "wrong_content_type",
    422: "invalid",
    429: "too_many_requests",
    503: "unavailable",
}


class ProblemError(Exception):
    """Raised to answer with a problem document.

    Args:
        status: HTTP status.
        code: key of the message catalogue.
        detail: one sentence, without secrets or internals.
        fix: what to do.
        retry_after: seconds, sent as Retry-After.
        errors: (field, message) pairs.
    """

    def __init__(
        self,
        status: int,
        code: str,
        detail: str,
        fix: str = "",
        *,
        retry_after: int | None = None,
        errors: tuple[tuple[str, str], ...] = (),
    ) -> None:
        super().__init__(detail)
        self.status, self.code, self.detail, self.fix = status, code, detail, fix
        self.retry_after, self.errors = retry_after, errors


def not_found(what: str) -> ProblemError:
    """404 for a named thing."""
    return ProblemError(404, "not_found", f"There is no {what}.")


def flag_off(what: str, setting: str) -> ProblemError:
    """409 for an action whose flag is off."""
    return ProblemError(409, "flag_off", f"{what} is off.", f"Set {setting}=true and start Hunter again.")


def document(problem: ProblemError, request_id: str) -> dict[str, Any]:
    """The problem's JSON."""
    return Problem(
        type=f"/api/docs#{problem.code}",
        title=_TITLES.get(problem.status, "Error"),
        status=problem.status,
        code=problem.code,
        detail=problem.detail,
        fix=problem.fix,
        request_id=request_id,
        errors=[FieldProblem(field=field, message=message) for field, message in problem.errors],
    ).model_dump()


def answer(problem: ProblemError, request_id: str, headers: Mapping[str, str] | None = None) -> Response:
    """The problem as a response."""
    sent = dict(headers or {})
    if problem.retry_after is not None:
        sent["Retry-After"] = str(problem.retry_after)
    return Response(orjson.dumps(document(problem, request_id)), problem.status, sent, MEDIA_TYPE)


def from_exception(error: Exception) -> ProblemError:
    """What a reader is told about an exception. Unknown ones are told as nothing but "internal"."""
    if isinstance(error, ProblemError):
        return error
    if isinstance(error, LeaseHeldError):
        return ProblemError(409, "already_running", error.message, error.fix)
    if isinstance(error, EngineDownError):
        return ProblemError(503, "engine_down", error.message, error.fix)
    if isinstance(error, TransientError):
        retry_after = int(min(error.retry_after or 0, 3600)) or None
        return ProblemError(503, "unavailable", error.message, error.fix, retry_after=retry_after)
    if isinstance(error, PermanentError | HunterError):
        return ProblemError(409, "refused", error.message, error.fix)
    if isinstance(error, StoreError):
        return ProblemError(503, "store_down", "The database can't be used right now.", "hunter doctor tells why.")
    return ProblemError(500, "internal", "Something went wrong here.", "Try again; if it stays, tell the request id.")


def install(app: FastAPI) -> None:
    """Answer every kind of error with a problem document."""

    def request_id(request: Request) -> str:
        return str(request.scope.get("state", {}).get("request_id", ""))

    @app.exception_handler(ProblemError)
    async def _problem(request: Request, error: ProblemError) -> Response:
        return answer(error, request_id(request))

    @app.exception_handler(HunterError)
    async def _hunter(request: Request, error: HunterError) -> Response:
        log.warning("request refused", error=type(error).__name__, path=request.url.path)
        return answer(from_exception(error), request_id(request))

    @app.exception_handler(StoreError)
    async def _store(request: Request, error: StoreError) -> Response:
        log.error("store unusable", detail=str(error))
        return answer(from_exception(error), request_id(request))

    @app.exception_handler(RequestValidationError)
    async def _invalid(request: Request, error: RequestValidationError) -> Response:
        errors = tuple(
            (".".join(str(part) for part in item["loc"][1:]) or str(item["loc"][0]), str(item["msg"]))
            for item in error.errors()[:20]
        )
        detail = "; ".join(f"{field}: {message}" for field, message in errors[:3]) or "The request can't be read."
        return answer(ProblemError(422, "invalid", detail, errors=errors), request_id(request))

    @app.exception_handler(HTTPException)
    async def _http(request: Request, error: HTTPException) -> Response:
        code = _CODES.get(error.status_code, "error")
        detail = {404: "There is nothing at this address.", 405: "This address does not take that method."}.get(
            error.status_code, "The request can't be read." if error.status_code == 400 else str(error.detail)
        )
        return answer(ProblemError(error.status_code, code, detail), request_id(request), error.headers)
