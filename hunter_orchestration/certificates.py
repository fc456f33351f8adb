"""The certificate that an application signs in to Entra ID with."""

from __future__ import annotations

from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from cryptography.x509 import load_pem_x509_certificate

from hunter_orchestration.errors import PermanentError


def credential(path: Path, refused: type[PermanentError]) -> dict[str, str]:
    """Key and certificate as MSAL takes them. It looks at the key only when a token is wanted, and at whether the two
    belong together never, so both are done here.

    Args:
        path: PEM, both in one file.
        refused: what the caller's room calls a sign-in that can't work.

    Raises:
        refused: the file can't be read, is not PEM with an unlocked key, or its two parts don't match.
    """
    try:
        pem = path.read_bytes()
        key, certificate = load_pem_private_key(pem, password=None), load_pem_x509_certificate(pem)
    except OSError as error:
        raise refused(
            f"The certificate file can't be read ({error.strerror}).", "Check HUNTER_CLIENT_CERTIFICATE."
        ) from None
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise refused(
            "The certificate file does not hold a certificate with its private key, unlocked, as PEM.",
            "Check HUNTER_CLIENT_CERTIFICATE: openssl pkcs12 -in app.pfx -out app.pem -nodes makes such a file.",
        ) from None
    if key.public_key() != certificate.public_key():
        raise refused(
            "The private key in the certificate file is not that of its certificate.",
            "Check HUNTER_CLIENT_CERTIFICATE.",
        )
    text = pem.decode("ascii", "replace")
    return {"private_key": text, "public_certificate": text}
