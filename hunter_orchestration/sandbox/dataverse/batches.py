"""``$batch``: parts, change sets, references between parts, and the multipart answer (contract, section 9)."""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from hunter_orchestration.sandbox.dataverse import errors
from hunter_orchestration.sandbox.dataverse.errors import RefusedError
from hunter_orchestration.sandbox.dataverse.payloads import expand_names
from hunter_orchestration.sandbox.dataverse.rows import Organisation
from hunter_orchestration.sandbox.dataverse.wire import REASONS, Request, Response

Answer = Callable[[Request], Response]
_BOUNDARY = re.compile(r'boundary="?([^";,\s]+)"?', re.IGNORECASE)
_LONGEST_URL = 65_536
_NAMED = re.compile(r"/?\$(?!batch|metadata)")
_PART_HEADERS = "Content-Type: application/http\r\nContent-Transfer-Encoding: binary\r\n"


@dataclass(slots=True)
class Part:
    """One request of a batch."""

    method: str
    url: str
    headers: dict[str, str]
    body: bytes
    content_id: str | None


@dataclass(slots=True)
class ChangeSet:
    """Parts that succeed or fail together."""

    parts: list[Part] = field(default_factory=list)


def _boundary(content_type: str) -> str:
    match = _BOUNDARY.search(content_type)
    if not content_type.lower().startswith("multipart/mixed") or match is None:
        raise errors.bad_request("A batch needs Content-Type multipart/mixed with a boundary.")
    return match.group(1)


def _headers(block: bytes) -> dict[str, str]:
    headers = {}
    for line in block.split(b"\r\n"):
        name, colon, value = line.decode("utf-8", "replace").partition(":")
        if colon:
            headers[name.strip().lower()] = value.strip()
    return headers


def _sections(body: bytes, boundary: str) -> list[bytes]:
    mark = b"--" + boundary.encode()
    pieces = (b"\r\n" + body).split(b"\r\n" + mark)
    if len(pieces) < 2 or not pieces[-1].startswith(b"--"):
        raise errors.bad_request("The batch doesn't end with its boundary.")
    return [p.lstrip(b" \t").removeprefix(b"\r\n") for p in pieces[1:-1]]


def _part(section: bytes) -> Part:
    head, _, rest = section.partition(b"\r\n\r\n")
    outer = _headers(head)
    if not outer.get("content-type", "").startswith("application/http"):
        raise errors.bad_request("A part of a batch needs Content-Type application/http.")
    request_line, _, rest = rest.lstrip(b"\r\n").partition(b"\r\n")
    words = request_line.decode("utf-8", "replace").split(" ")
    if len(words) < 3 or not words[-1].startswith("HTTP/"):
        raise errors.bad_request(f"Invalid request line in the batch: '{' '.join(words)[:200]}'.")
    if rest.startswith(b"\r\n"):
        inner, body = b"", rest[2:]
    else:
        inner, _, body = rest.partition(b"\r\n\r\n")
    headers = _headers(inner)
    return Part(
        words[0].upper(),
        " ".join(words[1:-1]),
        headers,
        body.strip(b"\r\n"),
        outer.get("content-id") or headers.get("content-id"),
    )


class Batches:
    """Runs batches against the rest of the app.

    Args:
        answer: runs one request and never raises a refusal.
        settings: live switches ``require_crlf``, ``require_content_id``, ``batch_limit``.
        root: URL of the service root, with a slash at the end.
    """

    def __init__(self, organisation: Organisation, settings: Mapping[str, Any], root: str, answer: Answer) -> None:
        self.organisation = organisation
        self.settings = settings
        self.root = root
        self.answer = answer

    def run(self, request: Request, fault: Mapping[str, Any] | None = None) -> Response:
        """Answer a batch; ``fault`` may say ``missing`` (index of a part to leave out) or ``reversed``.

        Raises:
            RefusedError: the batch itself can't be read.
        """
        try:
            items = self.read(request)
        except _NotReadableError as unreadable:
            return _alone(unreadable.response)
        going_on = "odata.continue-on-error" in request.preferences()
        boundary = f"batchresponse_{uuid.uuid4()}"
        parts: list[bytes] = []
        status, rows = 200, 0
        for item in items:
            if isinstance(item, ChangeSet):
                failed, text, done = self._change_set(item, request)
            else:
                response = self._one(item, request, {})
                failed, text, done = response.status, _written(response, item.content_id), response.rows
            rows += done
            parts.append(text)
            if failed >= 400 and not going_on:
                status = failed
                break
        if fault is not None:
            if "missing" in fault and parts:
                del parts[min(int(fault["missing"]), len(parts) - 1)]
            if fault.get("reversed"):
                parts.reverse()
        mark = b"--" + boundary.encode()
        body = b"".join(mark + b"\r\n" + text for text in parts) + mark + b"--\r\n"
        return Response(status, {"Content-Type": f"multipart/mixed; boundary={boundary}"}, body, rows=max(1, rows))

    def read(self, request: Request) -> list[Part | ChangeSet]:
        """The parts of a batch.

        Raises:
            RefusedError: line ends, boundaries, counts or Content-IDs are wrong.
        """
        body = request.body
        if _bare_line_end(body):
            if self.settings["require_crlf"]:
                raise _NotReadableError
            body = body.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
        items: list[Part | ChangeSet] = []
        count = 0
        for section in _sections(body, _boundary(request.headers.get("content-type", ""))):
            head, _, rest = section.partition(b"\r\n\r\n")
            content_type = _headers(head).get("content-type", "")
            if content_type.lower().startswith("multipart/mixed"):
                change_set = ChangeSet([_part(s) for s in _sections(rest, _boundary(content_type))])
                self._check(change_set)
                items.append(change_set)
                count += len(change_set.parts)
            else:
                items.append(_part(section))
                count += 1
        if count > self.settings["batch_limit"]:
            raise errors.bad_request(
                f"The batch holds {count} requests; at most {self.settings['batch_limit']} are allowed."
            )
        return items

    def _check(self, change_set: ChangeSet) -> None:
        seen: set[str] = set()
        for part in change_set.parts:
            if part.method == "GET":
                raise errors.bad_request("A change set can't hold a GET request.")
            if part.content_id is None:
                if self.settings["require_content_id"]:
                    raise errors.bad_request("Content-ID header not present")
            elif part.content_id in seen:
                raise errors.bad_request(f"The Content-ID '{part.content_id}' is used twice in one change set.")
            else:
                seen.add(part.content_id)

    def _change_set(self, change_set: ChangeSet, request: Request) -> tuple[int, bytes, int]:
        names: dict[str, str] = {}
        texts: list[bytes] = []
        rows = 0
        try:
            with self.organisation.transaction():
                for part in change_set.parts:
                    response = self._one(part, request, names)
                    rows += response.rows
                    if response.status >= 400:
                        raise _FailedError(response)
                    made = response.headers.get("OData-EntityId")
                    if part.content_id is not None and made is not None:
                        names[f"${part.content_id}"] = made
                    texts.append(_written(response, part.content_id))
        except _FailedError as failure:
            return failure.response.status, _written(failure.response, None), rows
        boundary = f"changesetresponse_{uuid.uuid4()}"
        mark = b"--" + boundary.encode()
        inner = b"".join(mark + b"\r\n" + text for text in texts) + mark + b"--\r\n"
        head = f"Content-Type: multipart/mixed; boundary={boundary}\r\n\r\n".encode()
        return 200, head + inner, rows

    def _one(self, part: Part, request: Request, names: Mapping[str, str]) -> Response:
        try:
            path, _, query = self._path(part.url, names).partition("?")
        except RefusedError as error:
            return Response(error.status, {}, {"error": {"code": error.code, "message": error.message}})
        headers = {**part.headers}
        for name in ("callerobjectid", "mscrmcallerid"):
            if name in request.headers:
                headers.setdefault(name, request.headers[name])
        inner = Request(part.method, path, query, headers, part.body, names, request.claims)
        return self.answer(inner)

    def _path(self, url: str, names: Mapping[str, str]) -> str:
        if _NAMED.match(url):
            url = expand_names(url.lstrip("/"), names)
        if url.startswith(self.root):
            path = url[len(self.root) :]
        else:
            marker = url.find("/api/data/v")
            path = url[marker:].split("/", 4)[4] if marker >= 0 and url[marker:].count("/") >= 4 else url.lstrip("/")
        if len(url) > _LONGEST_URL:
            raise errors.bad_request(f"The URL has {len(url)} characters; at most {_LONGEST_URL} are allowed.")
        if path.startswith("$batch"):
            raise errors.bad_request("A batch can't hold a batch.")
        return path


class _NotReadableError(Exception):
    """The line ends are wrong: answered with a single part (contract, section 9)."""

    response = Response(
        400,
        {},
        {
            "error": {
                "code": "0x80048d19",
                "message": "Error identified in Payload provided by the user for Entity :'$batch', InnerException : "
                "System.ArgumentException: Stream was not readable.",
            }
        },
    )


def _alone(response: Response) -> Response:
    """A multipart answer of one part, with that part's status."""
    boundary = f"batchresponse_{uuid.uuid4()}"
    body = f"--{boundary}\r\n".encode() + _written(response, None) + f"--{boundary}--\r\n".encode()
    return Response(response.status, {"Content-Type": f"multipart/mixed; boundary={boundary}"}, body)


class _FailedError(Exception):
    def __init__(self, response: Response) -> None:
        super().__init__(response.status)
        self.response = response


def _bare_line_end(body: bytes) -> bool:
    """Whether a line outside the JSON bodies ends with LF alone: batch bodies of clients hold JSON on one line."""
    return re.search(rb"(?<!\r)\n(?:--|Content-|HTTP|\r?\n)", body) is not None


def _written(response: Response, content_id: str | None) -> bytes:
    headers, body = response.encode()
    if response.status >= 400:
        headers = {"REQ_ID": str(uuid.uuid4()), **headers}
    if response.status in (201, 204) and "OData-EntityId" in headers:
        headers = {"OData-Version": "4.0", "Location": headers["OData-EntityId"], **headers}
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    echo = f"Content-ID: {content_id}\r\n" if content_id is not None else ""
    reason = REASONS.get(response.status, "Unknown")
    return f"{_PART_HEADERS}{echo}\r\nHTTP/1.1 {response.status} {reason}\r\n{lines}\r\n".encode() + body + b"\r\n"
