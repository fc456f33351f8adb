"""The control port's documentation as one page that needs no network."""

from __future__ import annotations

import html
from typing import Any

import orjson

_STYLE = (
    "body{font:15px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}"
    "code,pre{font:13px ui-monospace,monospace}pre{background:#f4f4f4;padding:.75rem;overflow:auto}"
    "summary{cursor:pointer;padding:.25rem 0}b{display:inline-block;min-width:4.5rem}"
    "@media(prefers-color-scheme:dark){body{background:#16181d;color:#e6e6e6}pre{background:#22252c}a{color:#8ab4ff}}"
)


def control_page(document: dict[str, Any]) -> str:
    """HTML from an OpenAPI document: every operation with its text, parameters and body."""
    schemas = document.get("components", {}).get("schemas", {})
    parts = [
        '<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
        f"<title>{html.escape(document['info']['title'])}</title><style>{_STYLE}</style>"
        f"<h1>{html.escape(document['info']['title'])}</h1><p>{html.escape(document['info'].get('description', ''))} "
        '<a href="/openapi.json">OpenAPI document</a></p>'
    ]
    groups: dict[str, list[str]] = {}
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            group = (operation.get("tags") or ["other"])[0]
            groups.setdefault(group, []).append(_operation(method, path, operation, schemas))
    for group, items in groups.items():
        parts.append(f"<h2>{html.escape(group)}</h2>{''.join(items)}")
    return "".join(parts) + "</html>"


def _operation(method: str, path: str, operation: dict[str, Any], schemas: dict[str, Any]) -> str:
    inner = f"<p>{html.escape(operation.get('description', ''))}</p>"
    names = [f"<code>{html.escape(p['name'])}</code> ({html.escape(p['in'])})" for p in operation.get("parameters", [])]
    if names:
        inner += f"<p>Parameters: {', '.join(names)}</p>"
    content = operation.get("requestBody", {}).get("content", {}).get("application/json", {})
    if content:
        schema = content.get("schema", {})
        name = schema.get("$ref", "").rsplit("/", 1)[-1]
        shown = orjson.dumps(schemas.get(name, schema), option=orjson.OPT_INDENT_2).decode()
        inner += f"<p>Body:</p><pre>{html.escape(shown)}</pre>"
    title = f"<b>{method.upper()}</b> <code>{html.escape(path)}</code> {html.escape(operation.get('summary', ''))}"
    return f"<details><summary>{title}</summary>{inner}</details>"
