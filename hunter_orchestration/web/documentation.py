"""The API's own documentation: what OpenAPI adds to the routes, and a page that reads it without any other site."""

from __future__ import annotations

import hashlib
from base64 import b64encode
from html import escape
from typing import Any

from fastapi import FastAPI, Request
from fastapi.openapi.utils import get_openapi
from fastapi.responses import HTMLResponse, Response

from hunter_orchestration.web.guard import CSP
from hunter_orchestration.web.problems import MEDIA_TYPE, Problem

DESCRIPTION = """Leads, referrals, imports and the Dynamics 365 sync of Hunter.

Errors are problem documents (RFC 9457) with a `code`, a sentence, what to do and the request's id. Lists are read a
page at a time with `limit` and `cursor`. Bodies are JSON; unknown fields and query parameters are refused. Actions
take an `Idempotency-Key`. Times are UTC. With sign-in configured, requests carry the session cookie of `/auth/login`;
viewers read, sellers act and export, admins mend."""

_STATUSES = {
    400: "The request can't be read, or the cursor belongs to another list.",
    401: "Nobody is signed in.",
    403: "The role is not enough, or the request came from another site.",
    404: "There is no such thing.",
    409: "Its state does not allow that, or a flag is off.",
    413: "The body is too large.",
    415: "The body is not JSON.",
    422: "A field or parameter is wrong or unknown.",
    429: "Too many of these in a minute; see Retry-After.",
    503: "The engine or the database does not answer.",
}
ERRORS: dict[int | str, dict[str, Any]] = {
    status: {"description": text, "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}}
    for status, text in _STATUSES.items()
}
"""Responses every route may give."""

_STYLE = """
:root{color-scheme:light dark;--line:#8884;--dim:#666;--accent:#0b5cad}
@media(prefers-color-scheme:dark){:root{--dim:#aaa;--accent:#6db3f2}}
body{font:14px/1.5 system-ui,sans-serif;max-width:960px;margin:0 auto;padding:24px 16px}
h1{font-size:20px}h2{font-size:16px;margin-top:32px;border-bottom:1px solid var(--line);padding-bottom:4px}
details{border-bottom:1px solid var(--line);padding:6px 0}summary{cursor:pointer;padding:4px 0}
summary code{font-weight:600}summary span{color:var(--dim);margin-left:8px}
table{border-collapse:collapse;width:100%;margin:8px 0}td,th{text-align:left;vertical-align:top;padding:4px 8px 4px 0}
th{font-size:12px;color:var(--dim);font-weight:500}tr+tr td{border-top:1px solid var(--line)}
pre{overflow:auto;padding:8px;border:1px solid var(--line);border-radius:6px}a{color:var(--accent)}
"""
_METHODS = ("get", "post", "put", "patch", "delete")


def install(app: FastAPI) -> None:
    """Complete the OpenAPI document, and serve it as a page at /api/docs."""

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = _complete(
                get_openapi(
                    title=app.title, version=app.version, description=app.description, routes=app.routes, tags=None
                )
            )
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]
    style_hash = b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()

    @app.get("/api/docs", include_in_schema=False)
    def docs(_request: Request) -> Response:
        policy = f"{CSP}; style-src 'self' 'sha256-{style_hash}'"
        return HTMLResponse(page(openapi()), headers={"Content-Security-Policy": policy, "Cache-Control": "no-cache"})


def _complete(document: dict[str, Any]) -> dict[str, Any]:
    schemas = document.setdefault("components", {}).setdefault("schemas", {})
    problem = Problem.model_json_schema(ref_template="#/components/schemas/{model}")
    schemas.update(problem.pop("$defs", {}))
    schemas["Problem"] = problem
    for unused in ("HTTPValidationError", "ValidationError"):
        schemas.pop(unused, None)
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            answers = operation["responses"]
            if path.startswith("/api/"):
                answers["422"] = ERRORS[422]
                for status in ("401", "403"):
                    if status in answers and "content" not in answers[status]:
                        answers[status] = ERRORS[int(status)]
            else:
                answers.pop("422", None)
            operation["operationId"] = (
                f"{method}_{path.removeprefix('/api/v1').strip('/')}".replace("/", "_")
                .replace("{", "")
                .replace("}", "")
                .replace(".", "_")
                .replace("-", "_")
            )
    return document


def page(document: dict[str, Any]) -> str:
    """The OpenAPI document as one page of HTML without scripts."""
    parts = [
        "<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport content='width=device-width'>",
        f"<title>{escape(document['info']['title'])} API</title><style>{_STYLE}</style>",
        f"<h1>{escape(document['info']['title'])} API {escape(document['info']['version'])}</h1>",
        *(f"<p>{escape(text)}</p>" for text in document["info"].get("description", "").split("\n\n")),
        "<p><a href='/api/openapi.json'>OpenAPI document</a></p>",
    ]
    by_tag: dict[str, list[str]] = {}
    for path, operations in document["paths"].items():
        for method in _METHODS:
            if method in operations:
                operation = operations[method]
                tag = (operation.get("tags") or ["other"])[0]
                by_tag.setdefault(tag, []).append(_operation(document, path, method, operation))
    for tag, entries in by_tag.items():
        parts += [f"<h2>{escape(tag.capitalize())}</h2>", *entries]
    parts.append("<h2>Schemas</h2>")
    for name, schema in sorted(document["components"]["schemas"].items()):
        told = escape(schema.get("description", ""))
        parts.append(
            f"<details id='{escape(name)}'><summary><code>{escape(name)}</code><span>{told}</span></summary>"
            f"{_fields(schema)}</details>"
        )
    return "".join(parts)


def _operation(document: dict[str, Any], path: str, method: str, operation: dict[str, Any]) -> str:
    head = f"<code>{method.upper()} {escape(path)}</code><span>{escape(operation.get('summary', ''))}</span>"
    parts = [f"<details><summary>{head}</summary>"]
    if operation.get("description"):
        parts.append(f"<p>{escape(operation['description'])}</p>")
    parameters = operation.get("parameters", [])
    if parameters:
        rows = "".join(
            f"<tr><td><code>{escape(one['name'])}</code><td>{escape(one['in'])}"
            f"<td>{_type(one.get('schema', {}))}<td>{escape(one.get('description', ''))}"
            for one in parameters
        )
        parts.append(f"<table><tr><th>Parameter<th>In<th>Type<th>Meaning{rows}</table>")
    for media, content in operation.get("requestBody", {}).get("content", {}).items():
        parts.append(f"<p>Body ({escape(media)}): {_type(content.get('schema', {}))}</p>")
    rows = "".join(
        f"<tr><td>{escape(status)}<td>{escape(answer.get('description', ''))}<td>"
        + ", ".join(_type(content.get("schema", {})) for content in answer.get("content", {}).values())
        for status, answer in sorted(operation["responses"].items())
    )
    parts.append(f"<table><tr><th>Status<th>When<th>Shape{rows}</table></details>")
    return "".join(parts)


def _fields(schema: dict[str, Any]) -> str:
    rows = "".join(
        f"<tr><td><code>{escape(name)}</code><td>{_type(field)}<td>{escape(field.get('description', ''))}"
        for name, field in schema.get("properties", {}).items()
    )
    return f"<table><tr><th>Field<th>Type<th>Meaning{rows}</table>"


def _type(schema: dict[str, Any]) -> str:
    if "$ref" in schema:
        name = escape(schema["$ref"].rsplit("/", 1)[-1])
        return f"<a href='#{name}'>{name}</a>"
    for several in ("anyOf", "oneOf"):
        if several in schema:
            return " or ".join(_type(one) for one in schema[several])
    if "enum" in schema:
        return ", ".join(f"<code>{escape(str(one))}</code>" for one in schema["enum"])
    if schema.get("type") == "array":
        return f"list of {_type(schema.get('items', {}))}"
    return escape(str(schema.get("format") or schema.get("type") or "any"))
