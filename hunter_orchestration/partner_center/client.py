"""Partner Center's referrals over HTTP (contract sections 2 and 6): one session, retries, paging, patches.

The bearer token goes to the configured origin and nowhere else: redirects are refused, next links are rebuilt on the
configured collection. Knows nothing of the store.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol, TypeVar
from urllib.parse import SplitResult, quote, urlsplit

import orjson
import requests
import tenacity

from hunter_orchestration.entra import Bearer
from hunter_orchestration.errors import HunterError, PermanentError, TransientError
from hunter_orchestration.logging import get_logger
from hunter_orchestration.loopback import is_loopback
from hunter_orchestration.partner_center.models import format_stamp, identity
from hunter_orchestration.partner_center.refusals import (
    MfaRequiredError,
    MissingRoleError,
    PagingError,
    RefusedError,
    SignInExpiredError,
    WrongAudienceError,
)
from hunter_orchestration.partner_center.responses import (
    AUDIENCE,
    MFA,
    code_of,
    object_of,
    refusal_of,
    rows_of,
    server_time,
)
from hunter_orchestration.settings import Settings

_COLLECTION = "/v1.0/engagements/referrals"
_TIMEOUTS = (10, 60)
_ATTEMPTS = 6
_LONGEST_WAIT = 120.0
_RESTARTS = 3
_ACCOUNT = (SignInExpiredError, MfaRequiredError, WrongAudienceError, MissingRoleError)
"""Refusals of the account, not of one request."""

T = TypeVar("T")

_log = get_logger(__name__)


class TokenSource(Protocol):
    """Where the bearer token comes from; ``force`` asks for a new one because the last was refused.

    ``refused`` hears why the service turned the account away, so that whoever asks about the sign-in is told.
    """

    def token(self, *, force: bool = False) -> str: ...
    def refused(self, error: HunterError) -> None: ...


@dataclass(frozen=True, slots=True)
class Page:
    """One page: rows as they came, whether the list ends here, and the service's clock when it says."""

    rows: list[Any]
    last: bool
    server_time: datetime | None


def checked_origin(url: str, setting: str) -> str:
    """The URL when a token may go there: https, or http on loopback.

    Raises:
        PermanentError: naming the setting.
    """
    parts = urlsplit(url)
    if parts.username or parts.password or not parts.hostname:
        raise PermanentError(f"{setting} is not a plain https address.", f"Correct {setting}.")
    if parts.scheme == "https" or (parts.scheme == "http" and is_loopback(parts.hostname)):
        return url
    raise PermanentError(f"{setting} is not https; no token is sent there.", f"Write {setting} with https://.")


class PartnerCenterClient:
    """The referrals collection.

    Args:
        tokens: gives the bearer token.
        sleep: waits between attempts, in seconds; given by tests that don't want to wait.

    Every call raises ``PermanentError`` (sign in again, role missing, refused) or ``TransientError`` (throttled or
    unreachable for longer than waiting makes sense).
    """

    def __init__(self, settings: Settings, tokens: TokenSource, *, sleep: Callable[[float], None] = time.sleep) -> None:
        self._origin = checked_origin(settings.partner_center_url, "HUNTER_PARTNER_CENTER_URL")
        self._page_size = settings.partner_center_page_size
        self._quotes_dates = False
        self._tokens = tokens
        self._sleep = sleep
        self._session = requests.Session()
        self._session.headers["Accept"] = "application/json"
        self.requests = 0
        """Requests made so far, repeats included."""

    def close(self) -> None:
        """Close the connections."""
        self._session.close()

    def newest_change(self) -> tuple[str, datetime] | None:
        """Id and stamp of the referral that changed last, in one request; ``None`` when there is none at all."""
        query = {"$select": "id,updatedDateTime", "$orderby": "updatedDateTime desc", "$top": "1"}
        rows = rows_of(self._list(self._origin + _COLLECTION, params=query)[0])
        if not rows:
            return None
        referral_id, stamp = identity(rows[0])
        if stamp is None:
            raise TransientError("Partner Center's newest referral carries no readable updatedDateTime.")
        return referral_id, stamp

    def list_referrals(self, start: datetime | None = None, end: datetime | None = None) -> Iterator[Page]:
        """Referrals with ``start <= updatedDateTime < end``, oldest change first, a page at a time.

        The next page is under way while the caller works on this one. The last page is marked, and comes even when
        the list is empty. Rows may repeat; none is left out: a list that loops, or that ends where ``$top`` may have
        cut it, is read on from its last stamp.

        Raises:
            PagingError: the next link leads elsewhere, or in circles without progress.
        """
        with ThreadPoolExecutor(1, thread_name_prefix="partner-center-page") as ahead:
            walk = _Walk(start, end, self._page_size, quoted=self._quotes_dates)
            pending = ahead.submit(self._begin, walk)
            try:
                while True:
                    body, headers = pending.result()
                    rows = rows_of(body)
                    walk.saw(rows)
                    follow = self._next(walk, body)
                    if follow is not None:
                        pending = ahead.submit(self._list, follow[0], params=follow[1])
                    yield Page(rows, follow is None, server_time(headers))
                    if follow is None:
                        return
            finally:
                pending.cancel()

    def _begin(self, walk: _Walk) -> tuple[dict[str, Any], Mapping[str, str]]:
        """The first page. Whether times stand bare or quoted in a filter the sources leave open (contract section 2):
        OData wants them bare, and what the service refuses so is asked once in quotes."""
        url = self._origin + _COLLECTION
        try:
            return self._list(url, params=walk.query())
        except RefusedError as error:
            if error.status != 400 or walk.quoted or "$filter" not in walk.query():
                raise
            walk.quoted = True
            try:
                first = self._list(url, params=walk.query())
            except RefusedError:
                raise error from None
            self._quotes_dates = True
            return first

    def _next(self, walk: _Walk, body: Mapping[str, Any]) -> tuple[str, dict[str, str] | None] | None:
        link = body.get("@odata.nextLink")
        if link:
            target = self._own(link)
            if walk.is_new(target):
                return target, None
            _log.warning("the list of referrals runs in circles", pages=walk.pages)
            return self._origin + _COLLECTION, walk.restart()
        if walk.may_be_cut():
            return self._origin + _COLLECTION, walk.restart(top=False)
        return None

    def _own(self, link: object) -> str:
        """The next link on our own collection: its query is kept, its host must be ours, its path one of the two.

        The documentation's sample is plain http and lacks ``/engagements`` (contract section 2).
        """
        parts, own = urlsplit(str(link)), urlsplit(self._origin)
        foreign = bool(parts.netloc) and (parts.hostname, _port(parts, own)) != (own.hostname, _port(own, own))
        if foreign or parts.username or not parts.path.rstrip("/").endswith("/referrals") or not parts.query:
            raise PagingError(
                f"Partner Center's next link leads to {parts.hostname or 'nowhere'}, not to {own.hostname}.",
                "Nothing was sent there. Check HUNTER_PARTNER_CENTER_URL, or report the service's answer.",
            )
        return f"{self._origin}{_COLLECTION}?{parts.query}"

    def get(self, referral_id: str) -> tuple[dict[str, Any], str | None]:
        """A referral as it came, and its ETag."""
        body, headers = self._json("GET", self._url(referral_id))
        return body, headers.get("ETag") or body.get("eTag")

    def patch(self, referral_id: str, operations: Sequence[Mapping[str, Any]], etag: str | None) -> dict[str, Any]:
        """Change a referral by JSON Patch (add and replace); returns it as it is afterwards.

        Raises:
            ChangedSinceReadError: somebody else changed it since ``etag``.
        """
        headers = {"Content-Type": "application/json", "Prefer": "return=representation"}
        if etag:
            headers["If-Match"] = etag
        url = self._url(referral_id)
        response = self._send("PATCH", url, data=orjson.dumps(list(operations)), headers=headers)
        return self.get(referral_id)[0] if response.status_code == 204 else object_of(response)

    def _url(self, referral_id: str) -> str:
        return f"{self._origin}{_COLLECTION}/{quote(referral_id, safe='')}"

    def _list(self, url: str, *, params: Mapping[str, str] | None) -> tuple[dict[str, Any], Mapping[str, str]]:
        def attempt() -> tuple[dict[str, Any], Mapping[str, str]]:
            response = self._once("GET", url, params=params)
            body = object_of(response)
            rows_of(body)
            return body, response.headers

        return self._retried(attempt)

    def _json(self, method: str, url: str, **request: Any) -> tuple[dict[str, Any], Mapping[str, str]]:
        def attempt() -> tuple[dict[str, Any], Mapping[str, str]]:
            response = self._once(method, url, **request)
            return object_of(response), response.headers

        return self._retried(attempt)

    def _send(self, method: str, url: str, **request: Any) -> requests.Response:
        return self._retried(lambda: self._once(method, url, **request))

    def _retried(self, attempt: Callable[[], T]) -> T:
        """Try again what may pass: waits as told, else longer and longer with jitter; gives up, never hammers."""
        retrying = tenacity.Retrying(
            retry=tenacity.retry_if_exception(_worth_waiting),
            wait=_wait,
            stop=tenacity.stop_after_attempt(_ATTEMPTS),
            sleep=self._sleep,
            reraise=True,
        )
        return retrying(attempt)

    def _once(self, method: str, url: str, **request: Any) -> requests.Response:
        response = self._ask(method, url, self._tokens.token(), **request)
        if response.status_code == 401 and code_of(response) not in (MFA, AUDIENCE):
            # One refresh, then it is a person's turn: a storm of 401s locks accounts.
            response = self._ask(method, url, self._tokens.token(force=True), **request)
        if response.status_code >= 300:
            error = refusal_of(response)
            if method == "GET" and isinstance(error, _ACCOUNT):
                self._tokens.refused(error)
            raise error
        return response

    def _ask(self, method: str, url: str, token: str, **request: Any) -> requests.Response:
        call = str(uuid.uuid4())
        headers = {**request.pop("headers", {}), "client-request-id": call, "MS-CorrelationId": call}
        self.requests += 1
        try:
            return self._session.request(
                method,
                url,
                auth=Bearer(token),
                headers=headers,
                timeout=_TIMEOUTS,
                allow_redirects=False,
                **request,
            )
        except requests.RequestException as error:
            raise TransientError(
                f"Partner Center could not be reached ({type(error).__name__}).", "It is tried again by the next sync."
            ) from None


_backoff = tenacity.wait_random_exponential(multiplier=0.5, max=30)


def _worth_waiting(error: BaseException) -> bool:
    return isinstance(error, TransientError) and (error.retry_after or 0) <= _LONGEST_WAIT


def _wait(state: tenacity.RetryCallState) -> float:
    error = state.outcome.exception() if state.outcome else None
    told = error.retry_after if isinstance(error, TransientError) else None
    return _backoff(state) if told is None else told


class _Walk:
    """Where a list stands: what was asked, how far it came, which links were followed."""

    def __init__(self, start: datetime | None, end: datetime | None, page_size: int, *, quoted: bool) -> None:
        self._since, self._end = start, end
        self.quoted = quoted
        self._top: int | None = page_size
        self._links: set[int] = set()
        self._restarts = 0
        self._rows = 0
        self.pages = 0
        self._reached = start

    def query(self) -> dict[str, str]:
        conditions = []
        if self._since is not None:
            conditions.append(f"updatedDateTime ge {self._literal(self._since)}")
        if self._end is not None:
            conditions.append(f"updatedDateTime lt {self._literal(self._end)}")
        query = {"$orderby": "updatedDateTime asc"}
        if conditions:
            query["$filter"] = " and ".join(conditions)
        if self._top is not None:
            query["$top"] = str(self._top)
        return query

    def _literal(self, moment: datetime) -> str:
        return f"'{format_stamp(moment)}'" if self.quoted else format_stamp(moment)

    def saw(self, rows: Sequence[Any]) -> None:
        self.pages += 1
        self._rows += len(rows)
        for row in rows[-1:]:
            try:
                stamp = identity(row)[1]
            except ValueError:
                continue
            if stamp is not None and (self._reached is None or stamp > self._reached):
                self._reached = stamp

    def is_new(self, link: str) -> bool:
        mark = hash(link)
        if mark in self._links:
            return False
        self._links.add(mark)
        return True

    def may_be_cut(self) -> bool:
        """Whether ``$top`` may have limited the whole list instead of the page: the sources leave it open."""
        return self._top is not None and self._rows > 0 and self._rows == self._top

    def restart(self, *, top: bool = True) -> dict[str, str]:
        self._restarts += 1
        if self._restarts > _RESTARTS:
            raise PagingError(
                "Partner Center's list of referrals runs in circles.",
                "What came before is stored; the next sync starts where this one began.",
            )
        self._since, self._rows = self._reached, 0
        if not top:
            self._top = None
        self._links.clear()
        return self.query()


def _port(parts: SplitResult, own: SplitResult) -> int | None:
    """The port of a link; without one that of our scheme, for a link in plain http means us all the same."""
    try:
        return parts.port or (443 if own.scheme == "https" else 80)
    except ValueError:
        return None
