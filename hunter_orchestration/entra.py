"""What every sign-in at Entra ID shares: how MSAL reaches it, an application's certificate, the token as it is sent."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import requests
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from cryptography.x509 import load_pem_x509_certificate
from requests.adapters import HTTPAdapter

from hunter_orchestration.errors import PermanentError
from hunter_orchestration.loopback import is_loopback


class Bearer(requests.auth.AuthBase):
    """The token of a request. An auth object, not a header: requests would let a .netrc entry replace that."""

    def __init__(self, token: str) -> None:
        self._token = token

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = f"Bearer {self._token}"
        return request


class _Loopback(HTTPAdapter):
    def send(self, request: requests.PreparedRequest, *args: Any, **kwargs: Any) -> requests.Response:
        request.url = (request.url or "").replace("https://", "http://", 1)
        return super().send(request, *args, **kwargs)


class _Session(requests.Session):
    def __init__(self, timeout: float) -> None:
        super().__init__()
        self._timeout = timeout

    def request(self, *args: Any, **kwargs: Any) -> requests.Response:
        kwargs.setdefault("timeout", self._timeout)
        return super().request(*args, **kwargs)


def reach(authority: str, *, timeout: float = 30) -> tuple[str, dict[str, Any]]:
    """The address of an authority and the options that MSAL takes with it.

    MSAL insists on https; an authority on this machine, as the sandbox's, is asked in plain http behind that address.
    """
    parts = urlsplit(authority)
    session = _Session(timeout)
    options: dict[str, Any] = {"http_client": session}
    if parts.scheme == "http" and is_loopback(parts.hostname):
        session.mount(f"https://{parts.netloc}", _Loopback())
        options |= {"instance_discovery": False, "validate_authority": False}
    return f"https://{parts.netloc}{parts.path}", options


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
