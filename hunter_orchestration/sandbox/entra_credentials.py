"""How an app registration proves itself to Entra ID: a secret, or an assertion signed with its certificate.

Without a registered certificate (setting ``certificate`` of the service ``entra``) any assertion of the application is
taken; with one, signature, algorithm, thumbprint, audience and times are checked as Entra ID does
(https://learn.microsoft.com/entra/identity-platform/certificate-credentials).
"""

from __future__ import annotations

import base64
import secrets
from collections.abc import Mapping
from typing import Any

import jwt
from cryptography import x509
from cryptography.hazmat.primitives import hashes

_ALGORITHMS = ["RS256", "PS256"]


class CredentialError(Exception):
    """The credential is refused: number of the AADSTS error and its words."""

    def __init__(self, number: int, text: str) -> None:
        super().__init__(text)
        self.number, self.text = number, text


def check_credential(
    form: Mapping[str, str], client_id: str, client_secret: str, certificate: str | None, audiences: list[str]
) -> None:
    """Check what a token request proves itself with, if it brings anything.

    Args:
        certificate: PEM of the registered certificate.
        audiences: addresses of the token endpoint, one of which an assertion must be for.

    Raises:
        CredentialError: the secret or the assertion is wrong.
    """
    if "client_assertion" in form:
        _check_assertion(form["client_assertion"], client_id, certificate, audiences)
    elif "client_secret" in form and not secrets.compare_digest(form["client_secret"].encode(), client_secret.encode()):
        raise CredentialError(7000215, "Invalid client secret provided.")


def _check_assertion(assertion: str, client_id: str, certificate: str | None, audiences: list[str]) -> None:
    try:
        header = jwt.get_unverified_header(assertion)
        claims = jwt.decode(assertion, options={"verify_signature": False})
    except jwt.PyJWTError:
        raise CredentialError(50027, "JWT token is invalid or malformed.") from None
    if claims.get("iss") != client_id or claims.get("sub") != client_id:
        raise CredentialError(700021, "Client assertion application identifier doesn't match.")
    if certificate:
        _check_signature(assertion, header, x509.load_pem_x509_certificate(certificate.encode()), audiences)


def _check_signature(
    assertion: str, header: Mapping[str, Any], certificate: x509.Certificate, audiences: list[str]
) -> None:
    # MSAL leaves the padding in, which RFC 7515 leaves out.
    if str(header.get("x5t#S256", header.get("x5t"))).rstrip("=") not in _thumbprints(certificate):
        raise CredentialError(
            700027,
            "The certificate with identifier used to sign the client assertion is not registered on application.",
        )
    try:
        jwt.decode(
            assertion,
            certificate.public_key(),  # type: ignore[arg-type]
            algorithms=_ALGORITHMS,
            audience=audiences,
            options={"require": ["aud", "exp", "iss", "jti", "sub"]},
        )
    except jwt.ExpiredSignatureError:
        raise CredentialError(700024, "Client assertion is not within its valid time range.") from None
    except jwt.InvalidAudienceError:
        raise CredentialError(700023, "Client assertion audience claim does not match Realm issuer.") from None
    except jwt.PyJWTError:
        raise CredentialError(700027, "Client assertion failed signature validation.") from None


def _thumbprints(certificate: x509.Certificate) -> set[str]:
    algorithms: tuple[hashes.HashAlgorithm, ...] = (hashes.SHA1(), hashes.SHA256())  # noqa: S303 - names the certificate
    return {base64.urlsafe_b64encode(certificate.fingerprint(a)).decode().rstrip("=") for a in algorithms}
