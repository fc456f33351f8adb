"""Partner Center's webhooks (contract, section 5): registration, and events signed with a certificate of a local root.

The address of the certificate is the sandbox's own; the root is at the control port. Whoever registers last gets the
events, each tried up to ten times, in order.
"""

from __future__ import annotations

import base64
import queue
import threading
import time
import uuid
from collections import deque
from datetime import timedelta
from typing import Any

import orjson
import requests
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from hunter_orchestration.sandbox.asgi import Request, Response, json_response
from hunter_orchestration.sandbox.clock import Clock, datetime_of
from hunter_orchestration.sandbox.tokens import TokenRefusedError, Tokens
from hunter_orchestration.sandbox.world import World

AUDIENCE = "https://api.partnercenter.microsoft.com"
PATH = "/webhooks"
REGISTRATION = PATH + "/v1/registration"
CERTIFICATE = PATH + "/certificates/signing.pem"
EVENTS = (
    "test-created",
    "referral-created",
    "referral-updated",
    "related-referral-created",
    "related-referral-updated",
)
ATTEMPTS = 10
_LONGEST_WAIT = 8
_TIMEOUT = 5


class _Signer:
    """A root, and a signing certificate of it; made when first needed, for keys take a moment."""

    def __init__(self, clock: Clock) -> None:
        root_key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        self._key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        root_name = _name("Sandbox Root")
        now = clock.now()
        self.root = (
            _builder(root_name, root_name, root_key, now)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(root_key.public_key()), critical=False)
            .add_extension(_usage(signs_certificates=True), critical=True)
            .sign(root_key, hashes.SHA256())
        )
        authority = x509.AuthorityKeyIdentifier.from_issuer_public_key(root_key.public_key())
        self.certificate = (
            _builder(_name("webhooks.sandbox.example"), root_name, self._key, now)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(authority, critical=False)
            .add_extension(_usage(signs_certificates=False), critical=True)
            .add_extension(x509.SubjectAlternativeName([x509.DNSName("webhooks.sandbox.example")]), critical=False)
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]), critical=False)
            .sign(root_key, hashes.SHA256())
        )

    def sign(self, body: bytes) -> str:
        return base64.b64encode(self._key.sign(body, padding.PKCS1v15(), hashes.SHA256())).decode()


class Webhooks:
    """Answers ``/webhooks/…`` and sends the events."""

    def __init__(self, world: World, tokens: Tokens, clock: Clock, base_url: str) -> None:
        self.world, self.tokens, self.clock, self.base_url = world, tokens, clock, base_url
        self.registration: dict[str, Any] | None = None
        self.deliveries: deque[dict[str, Any]] = deque(maxlen=1_000)
        """What became of the latest events: name, referral, attempts, status (None: no answer)."""
        self._signer: _Signer | None = None
        self._queue: queue.SimpleQueue[tuple[str, str, bytes, dict[str, str]]] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        world.watch(self.changed)

    def signer(self) -> _Signer:
        if self._signer is None:
            self._signer = _Signer(self.clock)
        return self._signer

    def forget(self) -> None:
        """No registration, no deliveries."""
        self.registration = None
        self.deliveries.clear()

    def handle(self, request: Request) -> Response:
        """Answer one request; never raises."""
        if request.path == CERTIFICATE:
            pem = self.signer().certificate.public_bytes(serialization.Encoding.PEM)
            return Response(200, pem, [], "application/x-pem-file")
        try:
            self.tokens.verify(request.headers.get("authorization"), AUDIENCE)
        except TokenRefusedError as error:
            return json_response({"code": 900420, "description": str(error)}, 401)
        match request.method, request.path.rstrip("/"):
            case "GET", path if path == REGISTRATION + "/events":
                return json_response(list(EVENTS))
            case "GET", path if path == REGISTRATION:
                if self.registration is None:
                    return json_response({"code": 404, "description": "There is no registration."}, 404)
                return json_response(self.registration)
            case ("POST" | "PUT") as method, path if path == REGISTRATION:
                return self._register(request, method)
            case "POST", path if path == REGISTRATION + "/validationEvents":
                self._send("test-created", "")
                return json_response({"correlationId": str(uuid.uuid4())})
        return json_response({"code": 404, "description": f"Nothing at {request.path}."}, 404)

    def _register(self, request: Request, method: str) -> Response:
        try:
            body = orjson.loads(request.body)
            address, events = str(body["WebhookUrl"]), list(body["WebhookEvents"])
        except (orjson.JSONDecodeError, KeyError, TypeError):
            return json_response({"code": 400, "description": "WebhookUrl and WebhookEvents are required."}, 400)
        if not address.startswith(("https://", "http://127.0.0.1", "http://localhost")) or not set(events) <= set(
            EVENTS
        ):
            return json_response({"code": 400, "description": "The address or an event is not valid."}, 400)
        if method == "POST" and self.registration is not None:
            return json_response({"code": 409, "description": "There is a registration already."}, 409)
        self.signer()
        subscriber = self.registration["SubscriberId"] if self.registration else str(uuid.uuid4())
        self.registration = {
            "SubscriberId": subscriber,
            "WebhookUrl": address,
            "WebhookEvents": events,
            "signatureTokenToMsSignatureHeader": bool(body.get("signatureTokenToMsSignatureHeader")),
        }
        return json_response(self.registration)

    def changed(self, row: int, created: bool) -> None:
        """A referral came or changed: send the event to whoever is registered for it."""
        if self.registration is None:
            return
        related = "related-" if self.world.document(row).get("organizationId") == "msft" else ""
        self._send(f"{related}referral-{'created' if created else 'updated'}", self.world.id_of(row))

    def _send(self, name: str, referral_id: str) -> None:
        registration = self.registration
        if registration is None or name not in (*registration["WebhookEvents"], "test-created"):
            return
        ticks = self.clock.ticks()
        path = f"engagements/v1/referrals/{referral_id}" if referral_id else "webhooks/v1/registration/test"
        body = orjson.dumps(
            {
                "EventName": name,
                "ResourceUri": f"{AUDIENCE}/{path}",
                "ResourceName": "referral" if referral_id else "test",
                "AuditUri": None,
                "ResourceChangeUtcDate": f"{datetime_of(ticks):%Y-%m-%dT%H:%M:%S}.{ticks % 10_000_000:07d}+00:00",
            }
        )
        signature = self.signer().sign(body)
        headers = {
            "Content-Type": "application/json",
            "X-MS-Certificate-Url": self.base_url + CERTIFICATE,
            "X-MS-Signature-Algorithm": "rsa-sha256",
        }
        if registration["signatureTokenToMsSignatureHeader"]:
            headers["x-ms-signature"] = signature
        else:
            headers["Authorization"] = f"Signature {signature}"
        self._queue.put((registration["WebhookUrl"], referral_id, body, headers))
        if self._thread is None:
            # A daemon thread: an address that does not answer must not hold the sandbox's end up.
            self._thread = threading.Thread(target=self._deliver, name="webhooks", daemon=True)
            self._thread.start()

    def _deliver(self) -> None:
        while True:
            address, referral_id, body, headers = self._queue.get()
            status = None
            attempt = 0
            while attempt < ATTEMPTS:
                attempt += 1
                try:
                    status = requests.post(address, data=body, headers=headers, timeout=_TIMEOUT).status_code
                except requests.RequestException:
                    status = None
                if status is not None and status < 300:
                    break
                if attempt < ATTEMPTS:
                    time.sleep(min(_LONGEST_WAIT, 2 ** (attempt - 1)))
            name = orjson.loads(body)["EventName"]
            self.deliveries.append({"event": name, "referral": referral_id, "attempts": attempt, "status": status})


def _name(common: str) -> x509.Name:
    return x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Microsoft Corporation"),
            x509.NameAttribute(NameOID.COMMON_NAME, common),
        ]
    )


def _builder(subject: x509.Name, issuer: x509.Name, key: rsa.RSAPrivateKey, now: Any) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=365))
    )


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        encipher_only=False,
        decipher_only=False,
    )
