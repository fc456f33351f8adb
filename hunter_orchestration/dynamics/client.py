"""The Dataverse Web API over HTTP: one session, one pace, tokens, retries of what is safe to repeat, typed refusals.

Knows no table of ours and nothing of the store. A request that may have been carried out although no answer came is
repeated only when repeating is harmless (reads, writes by key or with If-Match); else ``UnreachableError`` says that
somebody has to look first.
"""

from __future__ import annotations

import random
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

import orjson
import requests
from requests.adapters import HTTPAdapter

from hunter_orchestration import broken_json
from hunter_orchestration.dynamics.batch import LARGEST, Answer, BatchFormatError, Part, decode, encode
from hunter_orchestration.dynamics.pace import HeldError, Pace, read_retry_after
from hunter_orchestration.dynamics.refusals import (
    CONCURRENCY,
    EXECUTION_TIME,
    CrmRefusedError,
    NotReadyError,
    Refusal,
    SignInError,
    ThrottledError,
    UnreachableError,
    read_refusal,
)
from hunter_orchestration.dynamics.sign_in import AppTokens, TokenSource
from hunter_orchestration.entra import Bearer
from hunter_orchestration.logging import mask
from hunter_orchestration.loopback import is_loopback
from hunter_orchestration.settings import Settings

_ROOT = "/api/data/v9.2/"
_TIMEOUTS = (10, 120)
_ATTEMPTS = 5
_FIRST_BACKOFF, _LONGEST_BACKOFF = 0.5, 20.0
_PAGES = 10_000
_RESERVED = frozenset("/<>*%&:\\?+")


class KeyValueError(ValueError):
    """A key value that no URL of Dataverse can hold (contract section 5)."""


def key_address(entity_set: str, column: str, value: str) -> str:
    """``leads(hnt_externalid='x')``.

    Raises:
        KeyValueError: the value holds a character that Dataverse refuses in key URLs.
    """
    bad = sorted(c for c in set(value) if c in _RESERVED or ord(c) < 32)
    if bad or not value:
        raise KeyValueError(f"the key value {value!r} holds {' '.join(map(repr, bad)) or 'nothing'}")
    return f"{entity_set}({column}='{value.replace(chr(39), chr(39) * 2).replace('#', '%23')}')"


class DataverseClient:
    """One organisation. Safe to use from several threads.

    Args:
        tokens: gives the bearer token; the app registration's when left out.
        patience: seconds that a request waits in all for a busy organisation before ``ThrottledError``.
        sleep, clock: wait and tell the time, in seconds; given by tests that don't want to wait.

    Raises:
        NotReadyError: HUNTER_DYNAMICS_URL is missing or not https (http is for loopback).
    """

    def __init__(
        self,
        settings: Settings,
        tokens: TokenSource | None = None,
        *,
        patience: float = 60.0,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        parts = urlsplit(settings.dynamics_url)
        if not parts.hostname or parts.username or parts.path not in ("", "/"):
            raise NotReadyError(
                "HUNTER_DYNAMICS_URL is not the address of an organisation.",
                "Set it, for example to https://contoso.crm4.dynamics.com.",
            )
        if parts.scheme != "https" and not is_loopback(parts.hostname):
            raise NotReadyError("HUNTER_DYNAMICS_URL is not https; no token is sent there.", "Write it with https://.")
        self.origin = _origin(settings.dynamics_url)
        self.root = self.origin + _ROOT
        self.pace = Pace(settings.dynamics_concurrency, sleep=sleep, clock=clock)
        self.requests = 0
        """Requests sent so far, repeats included."""
        self._tokens = tokens or AppTokens(settings)
        self._patience = patience
        self._sleep = sleep
        self._lock = threading.Lock()
        self._session = requests.Session()
        self._session.trust_env = not is_loopback(parts.hostname)
        adapter = HTTPAdapter(pool_connections=1, pool_maxsize=settings.dynamics_concurrency)
        self._session.mount("https://", adapter)
        self._session.mount("http://", adapter)

    def close(self) -> None:
        """Close the connections."""
        self._session.close()

    def __enter__(self) -> DataverseClient:
        return self

    def __exit__(self, *_exception: object) -> None:
        self.close()

    def pause(self, attempt: int) -> None:
        """Wait a little longer after each failure, with jitter."""
        self._sleep(_backoff(attempt))

    def get(self, path: str, headers: Mapping[str, str] | None = None) -> Any:
        """The JSON of a GET below the service root, or of a link the organisation gave.

        Raises:
            CrmRefusedError: refused. ThrottledError, UnreachableError: try later. SignInError: sign in again.
        """
        return self._json(self._call("GET", path, None, headers, repeatable=True))

    def pages(self, path: str, headers: Mapping[str, str] | None = None) -> Iterator[dict[str, Any]]:
        """Every page of a list. A next link that leads in circles, or to another host, is refused."""
        seen: set[str] = set()
        link: str | None = path
        while link is not None:
            if link in seen or len(seen) >= _PAGES:
                raise UnreachableError("Dynamics' list of rows runs in circles.", "Try again later.")
            seen.add(link)
            page = self.get(link, headers)
            if not isinstance(page, dict) or not isinstance(page.get("value"), list):
                raise UnreachableError("Dynamics answered a list without rows.", "Try again later.")
            yield page
            link = page.get("@odata.nextLink")

    def post(
        self, path: str, body: Any, headers: Mapping[str, str] | None = None, *, repeatable: bool = False
    ) -> tuple[Any, Mapping[str, str]]:
        """The JSON (or ``None``) and headers of a POST. ``repeatable`` says that doing it twice does no harm."""
        response = self._call("POST", path, orjson.dumps(body), headers, repeatable=repeatable)
        return (self._json(response) if response.content else None), response.headers

    def patch(self, path: str, body: Any, headers: Mapping[str, str] | None = None) -> Any:
        """The JSON (or ``None``) of a PATCH by key or GUID: repeating one is harmless."""
        response = self._call("PATCH", path, orjson.dumps(body), headers, repeatable=True)
        return self._json(response) if response.content else None

    def put(self, path: str, body: Any, headers: Mapping[str, str] | None = None) -> None:
        """A PUT, used on definitions."""
        self._call("PUT", path, orjson.dumps(body), headers, repeatable=True)

    def upsert_many(self, table: str, entity_set: str, column: str, rows: Mapping[str, Mapping[str, Any]]) -> None:
        """``UpsertMultiple`` by alternate key: all rows or none. Sent once: after a lost answer one looks first.

        Args:
            rows: key value to body; the key column stays out of the body (contract section 7).
        """
        kind = f"Microsoft.Dynamics.CRM.{table}"
        targets = [
            {**body, "@odata.type": kind, "@odata.id": key_address(entity_set, column, value)}
            for value, body in rows.items()
        ]
        self.post(f"{entity_set}/Microsoft.Dynamics.CRM.UpsertMultiple", {"Targets": targets})

    def batch(self, parts: Sequence[Part], *, repeatable: bool) -> list[Answer | None]:
        """Run requests in one ``$batch`` with continue-on-error; ``None`` for an answer that did not come.

        Raises:
            UnreachableError: the answer can't be read; the requests may have been carried out.
        """
        if len(parts) > LARGEST:
            raise ValueError(f"{len(parts)} requests don't fit in one batch")
        content_type, body = encode(parts, _ROOT)
        headers = {"Content-Type": content_type, "Prefer": "odata.continue-on-error"}
        for attempt in range(3 if repeatable else 1):
            response = self._call("POST", "$batch", body, headers, repeatable=repeatable)
            try:
                return decode(response.headers.get("Content-Type", ""), response.content, parts)
            except BatchFormatError as error:
                reason = str(error)
                if repeatable:
                    self._sleep(_backoff(attempt))
        raise UnreachableError(f"Dynamics' answer to a batch can't be read: {reason}.", "Try again later.")

    def _json(self, response: requests.Response) -> Any:
        try:
            return broken_json.loads(response.content)
        except orjson.JSONDecodeError:
            raise UnreachableError("Dynamics answered something that is not JSON.", "Try again later.") from None

    def _url(self, path: str) -> str:
        if not path.startswith(("http://", "https://")):
            return self.root + path
        parts = urlsplit(path)
        if _origin(path) != self.origin or parts.username:
            raise NotReadyError(
                f"Dynamics gave a link to {parts.hostname}, not to itself; the token stays here.",
                "Check HUNTER_DYNAMICS_URL: it must be the address the organisation calls itself by.",
            )
        return path

    def below_root(self, link: str) -> str | None:
        """The path below the service root of a link the organisation gave; ``None`` for one that leads elsewhere."""
        parts = urlsplit(link)
        if _origin(link) != self.origin or parts.username or not parts.path.startswith(_ROOT):
            return None
        return parts.path.removeprefix(_ROOT) + (f"?{parts.query}" if parts.query else "")

    def _call(
        self, method: str, path: str, body: bytes | None, headers: Mapping[str, str] | None, *, repeatable: bool
    ) -> requests.Response:
        url, waited, renewed, failures = self._url(path), 0.0, False, 0
        while True:
            token = self.bearer()
            response, failure = self._send(method, url, body, headers, token)
            if response is None:
                failures += 1
                if not repeatable or failures >= _ATTEMPTS:
                    raise UnreachableError(
                        f"Dynamics gave no usable answer to {method} ({failure}).",
                        "The next run looks what arrived and goes on.",
                    )
                self._sleep(_backoff(failures))
                continue
            if response.status_code < 400 or response.headers.get("Content-Type", "").startswith("multipart/"):
                return response
            refusal = _refusal(response)
            if refusal.kind == "signed_out":
                if renewed:
                    raise SignInError(
                        f"Dynamics refuses a new token too: {mask(refusal.message)}",
                        "Sign in again: check that the application user exists in the organisation and is enabled.",
                    )
                renewed = True
                self._renew(token)
            elif refusal.kind == "throttled":
                waited += self._wait(refusal, response, waited)
            elif refusal.kind == "passing":
                failures += 1
                # A 5xx may come after the work was done, so it is no better than a lost answer.
                if not repeatable or failures >= _ATTEMPTS:
                    raise UnreachableError(
                        f"Dynamics failed {failures} time(s) with status {refusal.status} "
                        f"({refusal.code or 'no code'}).",
                        "The next run looks what arrived and goes on.",
                    )
                self._sleep(_backoff(failures))
            else:
                raise CrmRefusedError(refusal)

    def _send(
        self, method: str, url: str, body: bytes | None, headers: Mapping[str, str] | None, token: str
    ) -> tuple[requests.Response | None, str]:
        sent = {
            "Accept": "application/json",
            "OData-Version": "4.0",
            "OData-MaxVersion": "4.0",
            "If-None-Match": "null",
            "x-ms-client-request-id": str(uuid.uuid4()),
        }
        if body is not None:
            sent["Content-Type"] = "application/json"
        sent |= dict(headers or {})
        try:
            self.pace.enter(self._patience)
        except HeldError as error:
            raise ThrottledError(
                f"Dynamics asked to wait, {error.seconds:.0f} seconds are left.",
                "Nothing is sent until then; the next run goes on.",
                retry_after=error.seconds,
            ) from None
        good = False
        try:
            with self._lock:
                self.requests += 1
            response = self._session.request(
                method, url, data=body, headers=sent, auth=Bearer(token), timeout=_TIMEOUTS, allow_redirects=False
            )
            if response.status_code in range(300, 400) and response.status_code != 304:
                return None, f"a redirect, status {response.status_code}"
            if response.status_code < 400 and response.content and _is_html(response):
                return None, "an HTML page"
            good = response.status_code < 400
            return response, ""
        except requests.RequestException as error:
            # Also half a body and a truncated gzip: the request may have been carried out.
            return None, type(error).__name__
        finally:
            self.pace.leave(good=good)

    def bearer(self) -> str:
        """The token of the next request: MSAL keeps it and renews it just before it ends."""
        return self._tokens.token()

    def _renew(self, refused: str) -> None:
        """One new token for all workers: the first that was refused asks for it."""
        with self._lock:
            if self._tokens.token() == refused:
                self._tokens.token(force=True)

    def _wait(self, refusal: Refusal, response: requests.Response, waited: float) -> float:
        """Hold everybody for as long as asked, or give up when that is longer than our patience."""
        seconds = read_retry_after(response.headers.get("Retry-After"))
        if refusal.code in (EXECUTION_TIME, CONCURRENCY):
            self.pace.slow_down()
        self.pace.hold(seconds)
        if waited + seconds > self._patience:
            raise ThrottledError(
                f"Dynamics asks to wait {seconds:.0f} seconds ({refusal.code or refusal.status}).",
                "Nothing is sent until then; the next run goes on.",
                retry_after=seconds,
            )
        return max(seconds, 0.1)


def _origin(url: str) -> str:
    """Scheme, host and port in one spelling: hosts know no case, and people paste addresses with capitals and ports."""
    parts = urlsplit(url)
    place = parts.netloc.rpartition("@")[2].lower()
    return f"{parts.scheme}://{place.removesuffix({'https': ':443', 'http': ':80'}.get(parts.scheme, ''))}"


def _refusal(response: requests.Response) -> Refusal:
    try:
        body = broken_json.loads(response.content)
    except orjson.JSONDecodeError:
        body = None
    return read_refusal(response.status_code, body)


def _is_html(response: requests.Response) -> bool:
    return "html" in response.headers.get("Content-Type", "").lower()


def _backoff(attempt: int) -> float:
    """Exponential with full jitter, in seconds."""
    return random.uniform(0.2, 1.0) * min(_LONGEST_BACKOFF, _FIRST_BACKOFF * 2.0**attempt)
