"""Events signed as Partner Center signs them: a root of our own, certificates of it, headers in both modes."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.x509.oid import NameOID

from hunter_orchestration_tests.partner_center.service import Service

NOW = datetime.now(UTC)
REFERRAL = "25bb3b10-cdd1-52d4-8f7e-79d9880f6728"


@dataclass(frozen=True)
class Signer:
    key: rsa.RSAPrivateKey
    certificate: x509.Certificate

    def sign(self, body: bytes) -> str:
        return base64.b64encode(self.key.sign(body, padding.PKCS1v15(), hashes.SHA256())).decode()


def named(organisation: str, name: str) -> x509.Name:
    return x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, organisation),
            x509.NameAttribute(NameOID.COMMON_NAME, name),
        ]
    )


def issue(
    subject: x509.Name, issuer: Signer | None, *, authority: bool, until: timedelta = timedelta(days=30)
) -> Signer:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    issuer_key = issuer.key if issuer else key
    issuer_name = issuer.certificate.subject if issuer else subject
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer_name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(NOW - timedelta(days=60))
        .not_valid_after(NOW + until)
        .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()), critical=False)
        .add_extension(
            x509.KeyUsage(
                digital_signature=not authority,
                key_cert_sign=authority,
                crl_sign=authority,
                content_commitment=False,
                key_encipherment=False,
                data_encipherment=False,
                key_agreement=False,
                encipher_only=False,
                decipher_only=False,
            ),
            critical=True,
        )
    )
    if not authority:
        builder = builder.add_extension(
            x509.SubjectAlternativeName([x509.DNSName("events.microsoft.example")]), critical=False
        )
    return Signer(key, builder.sign(issuer_key, hashes.SHA256()))


def publish(service: Service, signer: Signer) -> None:
    content = signer.certificate.public_bytes(serialization.Encoding.DER)
    service.faults[:] = [lambda request: (200, {}, content) if request.path == "/cert.cer" else None]


def event(**changes: Any) -> bytes:
    return json.dumps(
        {
            "EventName": "referral-updated",
            "ResourceUri": f"https://api.partnercenter.microsoft.com/engagements/v1/referrals/{REFERRAL}",
            "ResourceName": "referral",
            "AuditUri": None,
            "ResourceChangeUtcDate": (NOW - timedelta(minutes=1)).strftime("%Y-%m-%dT%H:%M:%S.%f") + "7+00:00",
        }
        | changes
    ).encode()


def headers(service: Service, signer: Signer, body: bytes, **changes: str) -> dict[str, str]:
    return {
        "X-MS-Signature": signer.sign(body),
        "X-MS-Certificate-Url": f"{service.url}/cert.cer",
        "X-MS-Signature-Algorithm": "rsa-sha256",
    } | changes
