"""The three sources beside DNS: OpenID discovery, RDAP, and an MMDB file. Each answers with a state and facts."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from threading import Lock
from typing import Any
from urllib.parse import quote

import maxminddb
import requests
import whoisit
import yaml
from urllib3.exceptions import HTTPError, ReadTimeoutError

_SECONDS = 10
_MOST_BYTES = 1_000_000
_PART_BYTES = 65_536
_LATE = "no answer in time"
_GUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
_BOOTSTRAP_DAYS = 7
_AGAIN_AFTER_SECONDS = 600.0

Detail = dict[str, Any]


def _unknown(reason: str) -> Detail:
    return {"state": "unknown", "facts": {"reason": reason}}


def _fetched(url: str, accept: str) -> tuple[int, Any] | str:
    """(status, JSON document) of a GET, or why there is none. No redirect, bounded in size and time."""
    try:
        with requests.get(
            url, headers={"Accept": accept}, timeout=_SECONDS, allow_redirects=False, stream=True
        ) as response:
            deadline = time.monotonic() + _SECONDS
            body = b""
            while part := response.raw.read1(_PART_BYTES, decode_content=True):
                body += part
                if len(body) > _MOST_BYTES:
                    return "an answer too large"
                if time.monotonic() > deadline:
                    return _LATE
            response._content = body
            try:
                return response.status_code, response.json()
            except ValueError:
                return response.status_code, None
    except (requests.RequestException, HTTPError, OSError) as error:
        return _why(error)


def _why(error: Exception) -> str:
    """Why there is no answer, in words for people."""
    if isinstance(error, requests.Timeout | TimeoutError | ReadTimeoutError):
        return _LATE
    if isinstance(error, requests.RequestException | HTTPError | OSError | whoisit.errors.QueryError):
        return "the server can't be reached"
    return "an answer that can't be read"


def tenant(authority: str, domain: str) -> Detail:
    """The Microsoft Entra tenant a domain belongs to, by OpenID discovery (contract: 200 with the GUID in ``issuer``,
    400 invalid_tenant when it belongs to none).

    Whether sign-in is managed or federated is not in that document, nor is it asked elsewhere: ``sign_in`` says so.
    """
    if not authority:
        return {"state": "not_configured", "facts": {}}
    url = f"{authority}/{quote(domain)}/v2.0/.well-known/openid-configuration"
    got = _fetched(url, "application/json")
    if isinstance(got, str):
        return _unknown(got)
    status, document = got
    if not isinstance(document, Mapping):
        return _unknown(f"HTTP {status}")
    if status == 400 and document.get("error") == "invalid_tenant":
        return {"state": "absent", "facts": {}}
    match = _GUID.search(str(document.get("issuer", ""))) if status == 200 else None
    if match is None:
        return _unknown(f"HTTP {status}")
    facts = {
        "tenant_id": match[0].lower(),
        "region": document.get("tenant_region_scope"),
        "cloud": document.get("cloud_instance_name"),
        "sign_in": "unknown",
    }
    return {"state": "found", "facts": facts}


@cache
def _without_rdap() -> frozenset[str]:
    document = yaml.safe_load(Path(__file__).with_name("rdap.yaml").read_text(encoding="utf-8"))
    return frozenset(document["without"])


class _Bootstrap:
    """IANA's list of RDAP servers. Where it can't be fetched, the next minutes' domains don't wait for it in turn."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._not_before = 0.0

    def ready(self) -> bool:
        """Whether there is a list, fetched now when it is missing or old."""
        with self._lock:
            old = not whoisit.is_bootstrapped() or whoisit.bootstrap_is_older_than(_BOOTSTRAP_DAYS)
            if old and time.monotonic() >= self._not_before:
                try:
                    whoisit.bootstrap()
                except (whoisit.errors.WhoisItError, requests.RequestException, OSError, ValueError):
                    self._not_before = time.monotonic() + _AGAIN_AFTER_SECONDS
            return bool(whoisit.is_bootstrapped())


_bootstrap = _Bootstrap()


def registration(base: str, domain: str) -> Detail:
    """Registrar, dates and name servers by RDAP. With a base URL every domain is asked there; without one, the servers
    of IANA's bootstrap are, and top-level domains without a server are unknown."""
    if base:
        got = _fetched(f"{base}/domain/{quote(domain)}", "application/rdap+json")
        if isinstance(got, str):
            return _unknown(got)
        status, document = got
        if status == 404:
            return {"state": "absent", "facts": {}}
        if status != 200 or not isinstance(document, Mapping):
            return _unknown(f"HTTP {status}")
        return _registration(document)
    if domain.rpartition(".")[2] in _without_rdap():
        return _unknown("no RDAP service for this top-level domain")
    if not _bootstrap.ready():
        return _unknown("IANA's list of RDAP servers can't be fetched")
    try:
        return _registration(whoisit.domain(domain, raw=True))
    except whoisit.errors.ResourceDoesNotExist:
        return {"state": "absent", "facts": {}}
    except whoisit.errors.UnsupportedError:
        return _unknown("no RDAP service for this top-level domain")
    except (whoisit.errors.WhoisItError, requests.RequestException, OSError, ValueError) as error:
        return _unknown(_why(error))


def _registration(document: Mapping[str, Any]) -> Detail:
    """Facts of an RDAP domain object (RFC 9083). What has another shape is left out."""
    events: dict[str, str] = {}
    for event in _list(document.get("events")):
        if isinstance(event, Mapping) and isinstance(event.get("eventDate"), str):
            events.setdefault(str(event.get("eventAction")), event["eventDate"])
    servers = [
        str(server["ldhName"]).rstrip(".").lower()
        for server in _list(document.get("nameservers"))
        if isinstance(server, Mapping) and server.get("ldhName")
    ]
    facts = {
        "registrar": _registrar(document),
        "created": events.get("registration"),
        "expires": events.get("expiration"),
        "name_servers": servers[:20],
        "status": [str(status) for status in _list(document.get("status"))][:20],
    }
    return {"state": "found", "facts": facts}


def _registrar(document: Mapping[str, Any]) -> str | None:
    for entity in _list(document.get("entities")):
        if not isinstance(entity, Mapping) or "registrar" not in _list(entity.get("roles")):
            continue
        card = _list(entity.get("vcardArray"))
        for entry in _list(card[1]) if len(card) > 1 else []:
            if isinstance(entry, list) and len(entry) > 3 and entry[0] == "fn":
                return str(entry[3])[:200]
        if entity.get("handle"):
            return str(entity["handle"])[:200]
    return None


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def network(path: Path | None, address: str | None) -> Detail:
    """Country and network of an address from an MMDB file of the usual layouts."""
    if path is None:
        return {"state": "not_configured", "facts": {}}
    if address is None:
        return {"state": "absent", "facts": {}}
    try:
        with maxminddb.open_database(str(path)) as database:
            row = database.get(address)
    except OSError:
        return _unknown("the MMDB file can't be read")
    except (ValueError, maxminddb.InvalidDatabaseError):
        return _unknown("not an MMDB file")
    if not isinstance(row, Mapping):
        return {"state": "absent", "facts": {"address": address}}
    country = row.get("country")
    code = country.get("iso_code") if isinstance(country, Mapping) else row.get("country_code") or country
    facts = {
        "address": address,
        "country": code,
        "asn": row.get("autonomous_system_number") or row.get("asn"),
        "organisation": row.get("autonomous_system_organization") or row.get("as_name") or row.get("name"),
    }
    return {"state": "found", "facts": facts}
