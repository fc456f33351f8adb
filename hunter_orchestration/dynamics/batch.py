"""The ``$batch`` codec: requests to one multipart body, and its answer back to one answer a request (contract
section 9). CRLF throughout, every part carries a Content-ID, no inner Content-Length. Requests that must succeed or
fail together stand in a change set; all others stand alone, so that one bad row costs one row."""

from __future__ import annotations

import re
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson

from hunter_orchestration import broken_json

LARGEST = 1000
"""Requests that fit in one batch."""

_BOUNDARY = re.compile(r'boundary="?([^";,\s]+)"?', re.IGNORECASE)
_CRLF = b"\r\n"


@dataclass(frozen=True, slots=True)
class Part:
    """One request inside a batch; ``path`` is below the service root, percent-encoded."""

    method: str
    path: str
    body: Mapping[str, Any] | None = None
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer; ``body`` is the parsed JSON or ``None``, header names are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: Any


class BatchFormatError(ValueError):
    """The answer is not the multipart it claims to be."""


def encode(parts: Sequence[Part], root_path: str, *, together: bool = False) -> tuple[str, bytes]:
    """Content type and body.

    Args:
        root_path: path of the service root, e.g. ``/api/data/v9.2/``.
        together: put all requests, which must be writes, into one change set.
    """
    batch = f"batch_{uuid.uuid4()}"
    mark, pieces = batch, []
    if together:
        mark = f"changeset_{uuid.uuid4()}"
        pieces.append(f"--{batch}\r\nContent-Type: multipart/mixed; boundary={mark}\r\n\r\n".encode())
    for number, part in enumerate(parts, 1):
        pieces += [f"--{mark}\r\n".encode(), _request(part, root_path, str(number))]
    if together:
        pieces.append(f"--{mark}--\r\n".encode())
    pieces.append(f"--{batch}--\r\n".encode())
    return f'multipart/mixed; boundary="{batch}"', b"".join(pieces)


def _request(part: Part, root_path: str, content_id: str) -> bytes:
    lines = ["Content-Type: application/http", "Content-Transfer-Encoding: binary", f"Content-ID: {content_id}"]
    lines += ["", f"{part.method} {root_path}{part.path} HTTP/1.1", "Accept: application/json"]
    lines += [f"{name}: {value}" for name, value in part.headers.items()]
    if part.body is not None:
        lines.append("Content-Type: application/json; type=entry")
    head = "\r\n".join(lines).encode() + _CRLF + _CRLF
    return head + (orjson.dumps(part.body) if part.body is not None else b"") + _CRLF


def decode(content_type: str, body: bytes, sent: Sequence[Part]) -> list[Answer | None]:
    """One answer per request sent, in the order sent; ``None`` where none came: unknown, never success.

    Answers are matched by the Content-ID they echo. What echoes none is matched by position, but only when every
    request was answered and the Content-IDs that came stand in order: otherwise nobody can tell whose answer it is.

    Raises:
        BatchFormatError: the body can't be read.
    """
    match = _BOUNDARY.search(content_type)
    if match is None or not content_type.lower().startswith("multipart/mixed"):
        raise BatchFormatError(f"a batch was answered with {content_type or 'no content type'}")
    flat: list[tuple[str | None, Answer]] = []
    for section in _sections(body, match.group(1)):
        headers, rest = _split(section)
        inner = _BOUNDARY.search(headers.get("content-type", ""))
        if inner is not None and headers["content-type"].lower().startswith("multipart/mixed"):
            for nested in _sections(rest, inner.group(1)):
                nested_headers, nested_rest = _split(nested)
                flat.append((nested_headers.get("content-id"), _answer(nested_rest)))
        else:
            flat.append((headers.get("content-id"), _answer(rest)))
    answers: list[Answer | None] = [None] * len(sent)
    in_order = len(flat) == len(sent)
    for position, (content_id, answer) in enumerate(flat):
        if content_id is not None and content_id.isdigit() and 0 < int(content_id) <= len(sent):
            answers[int(content_id) - 1] = answer
            in_order = in_order and int(content_id) == position + 1
    if in_order:
        for position, (content_id, answer) in enumerate(flat):
            if content_id is None:
                answers[position] = answer
    return answers


def _sections(body: bytes, boundary: str) -> list[bytes]:
    mark = b"\r\n--" + boundary.encode()
    pieces = (_CRLF + body).split(mark)
    if len(pieces) < 2 or not pieces[-1].lstrip(b" \t").startswith(b"--"):
        raise BatchFormatError("a batch's answer ends in the middle")
    return [piece.lstrip(b" \t").removeprefix(_CRLF) for piece in pieces[1:-1]]


def _split(section: bytes) -> tuple[dict[str, str], bytes]:
    head, found, rest = section.partition(b"\r\n\r\n")
    if not found:
        raise BatchFormatError("a part of a batch's answer has no body")
    return _headers(head), rest


def _headers(head: bytes) -> dict[str, str]:
    headers = {}
    for line in head.split(_CRLF):
        name, colon, value = line.decode("utf-8", "replace").partition(":")
        if colon:
            headers[name.strip().lower()] = value.strip()
    return headers


def _answer(raw: bytes) -> Answer:
    line, _, rest = raw.lstrip(_CRLF).partition(_CRLF)
    words = line.split(b" ", 2)
    if len(words) < 2 or not words[0].startswith(b"HTTP/") or not words[1].isdigit():
        raise BatchFormatError("a part of a batch's answer has no status line")
    if rest.startswith(_CRLF):
        head, body = b"", rest[2:]
    else:
        head, _, body = rest.partition(b"\r\n\r\n")
    body = body.strip(b"\r\n")
    headers = _headers(head)
    if not body:
        return Answer(int(words[1]), headers, None)
    try:
        return Answer(int(words[1]), headers, broken_json.loads(body))
    except orjson.JSONDecodeError:
        raise BatchFormatError("a part of a batch's answer is not JSON") from None
