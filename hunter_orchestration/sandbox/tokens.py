"""Signed access tokens: what Entra issues and what the other services of the sandbox accept."""

from __future__ import annotations

import base64
import hashlib
import hmac
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import jwt
import orjson
from cryptography.hazmat.primitives.asymmetric import rsa

from hunter_orchestration.sandbox.clock import Clock

LIFETIME = 3600
"""Seconds an access token lives (partner-center contract, section 9, item 2)."""

_KEY_ID = "sandbox-1"


class TokenRefusedError(Exception):
    """The token does not open this door; ``reason`` is one of missing, malformed, expired, audience."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class User:
    """A person who can sign in to the sandbox; ``role`` is Admin or User (contract, section 1, role scope)."""

    oid: str
    mail: str
    name: str
    role: str


class Tokens:
    """Issues and verifies the tokens of one tenant.

    Refresh tokens carry their own proof, made with a key that follows from ``secret``: they outlive a restart of the
    sandbox, as real ones outlive a restart of the client.
    """

    def __init__(self, clock: Clock, authority: str, tenant: str, secret: str) -> None:
        self.clock = clock
        self.tenant = tenant
        self.authority = authority
        self.issuer = f"{authority}/{tenant}/v2.0"
        self._secret = hashlib.sha256(secret.encode()).digest()
        self._key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        self._verified: dict[str, dict[str, Any]] = {}
        self.revoked: set[str] = set()
        self._generation = 0

    def issue(self, audience: str, claims: Mapping[str, Any], lifetime: int = LIFETIME) -> str:
        """A signed JWT for one API; ``claims`` are added to issuer, audience, tenant and times."""
        now = int(self.clock.timestamp())
        body = {
            "iss": self.issuer,
            "aud": audience,
            "tid": self.tenant,
            "iat": now,
            "nbf": now,
            "exp": now + lifetime,
            "ver": "2.0",
            "uti": uuid.uuid4().hex,
            "gen": self._generation,
            **claims,
        }
        return jwt.encode(body, self._key, algorithm="RS256", headers={"kid": _KEY_ID})

    def verify(self, authorization: str | None, audience: str) -> dict[str, Any]:
        """The claims of a bearer header.

        Raises:
            TokenRefusedError: no bearer token, a broken one, an expired one, or one for another API.
        """
        if not authorization or authorization[:7].lower() != "bearer ":
            raise TokenRefusedError("missing", "The request has no bearer token.")
        token = authorization[7:].strip()
        claims = self._verified.get(token)
        if claims is None:
            try:
                claims = jwt.decode(
                    token,
                    self._key.public_key(),
                    algorithms=["RS256"],
                    options={"verify_aud": False, "verify_exp": False, "verify_nbf": False, "verify_iat": False},
                )
            except jwt.PyJWTError as error:
                raise TokenRefusedError("malformed", f"The token can't be verified: {error}.") from None
            if len(self._verified) > 1000:
                self._verified.clear()
            self._verified[token] = claims
        if claims["exp"] <= self.clock.timestamp() or claims["gen"] != self._generation:
            raise TokenRefusedError("expired", "The token has expired.")
        if str(claims["aud"]).rstrip("/") != audience.rstrip("/"):
            raise TokenRefusedError("audience", f"The token is for {claims['aud']}, this API is {audience}.")
        return claims

    def expire_all(self) -> None:
        """Make every access token issued up to now unusable."""
        self._generation += 1
        self._verified.clear()

    def refresh_token(self, user: User, client_id: str, mfa: bool = True) -> str:
        """A refresh token of this user for this client."""
        body = orjson.dumps({"o": user.oid, "c": client_id, "m": mfa, "n": uuid.uuid4().hex[:12]})
        proof = hmac.new(self._secret, body, hashlib.sha256).digest()[:16]
        return "0." + base64.urlsafe_b64encode(proof + body).decode().rstrip("=")

    def read_refresh_token(self, token: str) -> dict[str, Any] | None:
        """What a refresh token says: ``o`` user, ``c`` client, ``m`` MFA done; None for a forged or revoked one."""
        try:
            raw = base64.urlsafe_b64decode(token[2:] + "=" * (-len(token[2:]) % 4))
        except ValueError:
            return None
        proof, body = raw[:16], raw[16:]
        good = hmac.compare_digest(proof, hmac.new(self._secret, body, hashlib.sha256).digest()[:16])
        if not good or token in self.revoked:
            return None
        claims: dict[str, Any] = orjson.loads(body)
        return claims

    def jwks(self) -> dict[str, Any]:
        """The public key as a JSON Web Key Set."""
        key = jwt.algorithms.RSAAlgorithm.to_jwk(self._key.public_key(), as_dict=True)
        return {"keys": [{**key, "kid": _KEY_ID, "use": "sig", "alg": "RS256", "issuer": self.issuer}]}
