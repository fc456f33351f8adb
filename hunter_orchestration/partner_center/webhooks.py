"""Partner Center's signed events (contract section 5): proof that Microsoft sent one, registration of our address.

An event carries no referral, only that one changed: it starts a sync, nothing else. The weak points of the published
samples are closed: certificates come from allow-listed hosts over https, the chain must verify, and the body itself
is what the signature is checked against.
"""

from __future__ import annotations

import base64
import binascii
import re
import time
import warnings
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import certifi
import orjson
import requests
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.utils import CryptographyDeprecationWarning
from cryptography.x509.oid import NameOID
from cryptography.x509.verification import ExtensionPolicy, PolicyBuilder, VerificationError
from cryptography.x509.verification import Store as TrustStore

from hunter_orchestration.entra import Bearer
from hunter_orchestration.errors import PermanentError, TransientError
from hunter_orchestration.logging import get_logger
from hunter_orchestration.loopback import is_loopback
from hunter_orchestration.partner_center.client import TokenSource, checked_origin
from hunter_orchestration.partner_center.resource import parse_stamp
from hunter_orchestration.settings import Settings
from hunter_orchestration.store import Store
from hunter_orchestration.store.referrals import first_sight
from hunter_orchestration.store.work import utc_now

EVENTS = ("referral-created", "referral-updated", "related-referral-created", "related-referral-updated")
TEST_EVENT = "test-created"
AUDIENCE = "https://api.partnercenter.microsoft.com"
"""Registration belongs to the classic API, another than the referrals' (contract section 5)."""
LARGEST_BODY = 64 * 1024
"""Bytes of an event, and of a certificate, that are read at most."""

_ORGANISATION = "Microsoft Corporation"
_OLDEST = timedelta(days=7)
_NEWEST = timedelta(days=1)
_CERTIFICATE_SECONDS = 3600
_CERTIFICATES = 8
_TIMEOUTS = (5, 10)
_PEM = re.compile(rb"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", re.DOTALL)
_ID = re.compile(r"[A-Za-z0-9-]{1,100}")
_REGISTRATION = "/webhooks/v1/registration"

_log = get_logger(__name__)


class EventRefusedError(PermanentError):
    """An event that is not proven to be Microsoft's.

    Args:
        reason: short machine word: unsigned, algorithm, certificate_host, certificate, chain, issuer, signature, size,
            body or stale.
    """

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason

    def __reduce__(self) -> tuple[Any, ...]:
        return EventRefusedError, (self.reason, self.message)


@dataclass(frozen=True, slots=True)
class WebhookEvent:
    """A proven event. ``referral_id`` is empty for Partner Center's own test event."""

    name: str
    referral_id: str | None
    resource_uri: str
    changed_at: datetime


@dataclass(frozen=True, slots=True)
class ReceivedEvent:
    """An event as received; a ``replay`` was seen before and starts nothing."""

    name: str
    referral_id: str | None
    replay: bool


class WebhookVerifier:
    """Proves events. Holds fetched certificates for an hour; safe to share between threads.

    Raises on ``verify``: ``EventRefusedError``; ``TransientError`` when the certificate can't be fetched right now.
    """

    def __init__(self, settings: Settings) -> None:
        self._hosts = frozenset(host.lower() for host in settings.webhook_certificate_hosts)
        self._trust = _trust(settings.webhook_root_certificate)
        self._certificates: dict[str, tuple[float, list[x509.Certificate]]] = {}

    def verify(self, body: bytes, headers: Mapping[str, str], now: datetime | None = None) -> WebhookEvent:
        """The event, once certificate, chain, issuer and signature of the raw body are proven."""
        now = now or utc_now()
        if len(body) > LARGEST_BODY:
            raise EventRefusedError("size", "The event is too large.")
        given = {name.lower(): value for name, value in headers.items()}
        signature = _signature(given)
        if given.get("x-ms-signature-algorithm", "").lower() != "rsa-sha256":
            raise EventRefusedError("algorithm", "The event is not signed with rsa-sha256.")
        leaf, *others = self._fetched(given.get("x-ms-certificate-url", ""))
        self._prove_chain(leaf, others, now)
        key = leaf.public_key()
        if not isinstance(key, RSAPublicKey):
            raise EventRefusedError("certificate", "The certificate holds no RSA key.")
        try:
            key.verify(signature, body, PKCS1v15(), SHA256())
        except InvalidSignature:
            raise EventRefusedError("signature", "The signature does not fit the event.") from None
        return _event(body, now)

    def _prove_chain(self, leaf: x509.Certificate, others: list[x509.Certificate], now: datetime) -> None:
        verifier = (
            PolicyBuilder()
            .store(self._trust)
            .time(now)
            .extension_policies(ca_policy=ExtensionPolicy.webpki_defaults_ca(), ee_policy=ExtensionPolicy.permit_all())
            .build_client_verifier()
        )
        try:
            verifier.verify(leaf, others)
        except VerificationError:
            raise EventRefusedError("chain", "The certificate does not chain to a trusted root.") from None
        issuers = {str(name.value) for name in leaf.issuer.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)}
        if issuers != {_ORGANISATION}:
            raise EventRefusedError("issuer", "The certificate was not issued by Microsoft Corporation.")

    def _fetched(self, url: str) -> list[x509.Certificate]:
        self._allow(url)
        held = self._certificates.get(url)
        if held and held[0] > time.monotonic():
            return held[1]
        certificates = _certificates(_download(url))
        if len(self._certificates) >= _CERTIFICATES:
            self._certificates.clear()
        self._certificates[url] = (time.monotonic() + _CERTIFICATE_SECONDS, certificates)
        return certificates

    def _allow(self, url: str) -> None:
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError:
            raise EventRefusedError("certificate_host", "The certificate's address is malformed.") from None
        host = (parts.hostname or "").lower()
        named = f"{host}:{port}" if port else host
        # A stand-in on this machine speaks plain http, and only when its very port is on the list.
        plain = parts.scheme == "http" and port is not None and is_loopback(host) and named in self._hosts
        safe = parts.scheme == "https" and named in self._hosts
        if parts.username or parts.password or not (safe or plain):
            raise EventRefusedError(
                "certificate_host", "The certificate's address is not on the list of allowed hosts."
            )


def receive(store: Store, verifier: WebhookVerifier, body: bytes, headers: Mapping[str, str]) -> ReceivedEvent:
    """Prove an event and note it. The caller starts a sync unless it is a replay or Partner Center's test.

    There is no event id: an event is itself by address, time of change and name (contract section 5).
    """
    event = verifier.verify(body, headers)
    mark = sha256(f"{event.resource_uri}\n{event.changed_at.isoformat()}\n{event.name}".encode()).hexdigest()
    with store.write() as connection:
        fresh = first_sight(connection, mark, "partner-center-webhook")
    _log.info("partner center event", event_name=event.name, referral_id=event.referral_id, replay=not fresh)
    return ReceivedEvent(event.name, event.referral_id, not fresh)


def audience(settings: Settings) -> str:
    """The API that tokens for registering must be for: the events address itself, of which a stand-in on this machine
    only plays the part."""
    url = settings.partner_center_events_url
    return AUDIENCE if is_loopback(urlsplit(url).hostname) else url


def register(settings: Settings, tokens: TokenSource, address: str) -> dict[str, Any]:
    """Tell Partner Center where to send events; replaces an earlier registration, of which there is one a partner.

    Args:
        tokens: for ``audience``.
        address: our receiver as Microsoft reaches it, https.
    """
    if urlsplit(address).scheme != "https" and not is_loopback(urlsplit(address).hostname):
        raise PermanentError("Partner Center sends events to https addresses only.", "Set HUNTER_PUBLIC_URL.")
    url = checked_origin(settings.partner_center_events_url, "HUNTER_PARTNER_CENTER_EVENTS_URL") + _REGISTRATION
    body = {"WebhookUrl": address, "WebhookEvents": [*EVENTS], "signatureTokenToMsSignatureHeader": True}
    standing = _registration("GET", url, tokens, None)
    method = "PUT" if standing.status_code == 200 else "POST"
    done = _registration(method, url, tokens, body)
    if done.status_code not in (200, 201):
        raise PermanentError(
            f"Partner Center refused the registration ({done.status_code}).",
            "The account needs an admin agent's role, and the address must be reachable from outside.",
        )
    try:
        answer = orjson.loads(done.content) if done.content else {}
    except orjson.JSONDecodeError:
        answer = {}
    subscriber = answer.get("SubscriberId") if isinstance(answer, dict) else None
    return {"address": address, "events": [*EVENTS], "subscriber": subscriber}


def _registration(method: str, url: str, tokens: TokenSource, body: Any) -> requests.Response:
    try:
        answer = requests.request(
            method,
            url,
            json=body,
            auth=Bearer(tokens.token()),
            headers={"Accept": "application/json"},
            timeout=_TIMEOUTS,
            allow_redirects=False,
        )
    except requests.RequestException as error:
        raise TransientError(
            f"Partner Center could not be reached to register ({type(error).__name__}).", "Try again later."
        ) from None
    if answer.status_code >= 500 or answer.status_code == 429:
        raise TransientError(f"Partner Center answered {answer.status_code}.", "Try again later.")
    return answer


def _signature(headers: Mapping[str, str]) -> bytes:
    text = headers.get("x-ms-signature", "")
    if not text:
        scheme, _, text = headers.get("authorization", "").partition(" ")
        text = text if scheme.lower() == "signature" else ""
    text = text.strip()
    if text.lower().startswith("signature "):
        text = text[len("signature ") :].strip()
    if not text:
        raise EventRefusedError("unsigned", "The event is not signed.")
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise EventRefusedError("signature", "The signature is not base64.") from None


def _trust(bundle: Path | None) -> TrustStore:
    try:
        return TrustStore(x509.load_pem_x509_certificates(bundle.read_bytes()) if bundle else _public_roots())
    except (OSError, ValueError) as error:
        raise PermanentError(
            f"The webhook's root certificates can't be read ({type(error).__name__}).",
            "Check HUNTER_WEBHOOK_ROOT_CERTIFICATE.",
        ) from None


def _public_roots() -> list[x509.Certificate]:
    """Mozilla's roots. Some have the serial number 0, which cryptography warns of and will refuse one day."""
    roots = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", CryptographyDeprecationWarning)
        for pem in _PEM.findall(Path(certifi.where()).read_bytes()):
            with suppress(ValueError):
                roots.append(x509.load_pem_x509_certificate(pem))
    return roots


def _download(url: str) -> bytes:
    try:
        with requests.get(url, timeout=_TIMEOUTS, allow_redirects=False, stream=True) as answer:
            if answer.status_code != 200:
                raise EventRefusedError("certificate", f"The certificate's host answered {answer.status_code}.")
            content = answer.raw.read(LARGEST_BODY + 1, decode_content=True)
    except requests.RequestException as error:
        raise TransientError(f"The certificate could not be fetched ({type(error).__name__}).") from None
    if len(content) > LARGEST_BODY:
        raise EventRefusedError("certificate", "The certificate is too large.")
    return bytes(content)


def _certificates(content: bytes) -> list[x509.Certificate]:
    try:
        if b"-----BEGIN" in content:
            found = x509.load_pem_x509_certificates(content)
        else:
            found = [x509.load_der_x509_certificate(content)]
    except ValueError:
        found = []
    if not found:
        raise EventRefusedError("certificate", "The certificate can't be read.")
    return found


def _event(body: bytes, now: datetime) -> WebhookEvent:
    try:
        given = orjson.loads(body)
        name, uri, stamp = given["EventName"], given["ResourceUri"], given["ResourceChangeUtcDate"]
        changed_at = parse_stamp(stamp)
    except (orjson.JSONDecodeError, KeyError, TypeError, ValueError):
        raise EventRefusedError("body", "The event's body can't be understood.") from None
    if name not in (*EVENTS, TEST_EVENT) or not isinstance(uri, str) or changed_at is None:
        raise EventRefusedError("body", "The event is none of those Hunter asked for.")
    if not now - _OLDEST <= changed_at <= now + _NEWEST:
        raise EventRefusedError("stale", "The event is too old or from the future.")
    if name == TEST_EVENT:
        return WebhookEvent(name, None, uri, changed_at)
    referral_id = urlsplit(uri).path.rstrip("/").rsplit("/", 1)[-1]
    if not _ID.fullmatch(referral_id):
        raise EventRefusedError("body", "The event names no referral.")
    return WebhookEvent(name, referral_id.lower(), uri, changed_at)
