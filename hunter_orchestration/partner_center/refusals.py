"""How Partner Center and its sign-in say no: each its own sentence, and what to do about it."""

from __future__ import annotations

from typing import Any

from hunter_orchestration.errors import PermanentError
from hunter_orchestration.logging import mask

_SIGN_IN = "Sign in again: hunter login."


class _FixedError(PermanentError):
    sentence = ""
    remedy = _SIGN_IN

    def __init__(self) -> None:
        super().__init__(self.sentence, self.remedy)

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), ()


class SignInNeededError(_FixedError):
    """Nobody has signed in yet."""

    sentence = "Nobody is signed in to Partner Center."
    remedy = "Run hunter login once, or set HUNTER_REFRESH_TOKEN for an unattended server."


class SignInExpiredError(_FixedError):
    """The sign-in was revoked or has lapsed."""

    sentence = "The Partner Center sign-in has expired or was revoked."


class MfaRequiredError(_FixedError):
    """Code 900421: the token carries no proof of multi-factor authentication."""

    sentence = "Partner Center demands multi-factor authentication and the sign-in carries none (900421)."
    remedy = "Run hunter login and complete the second factor; a refresh token must come from such a sign-in."


class WrongAudienceError(_FixedError):
    """Code 900420: the token was made for another service."""

    sentence = "Partner Center refused the token: it was made for another service (900420)."
    remedy = "Check HUNTER_PARTNER_CENTER_AUDIENCE and the app registration's API permissions."


class MissingRoleError(_FixedError):
    """403: the account holds neither Referrals Admin nor Referrals User."""

    sentence = "The signed-in account may not read referrals (403)."
    remedy = "Give it the role Referrals Admin in Partner Center, then run hunter login."


class ConsentMissingError(_FixedError):
    """The app registration lacks consent or permission."""

    sentence = "The app registration may not sign people in to Partner Center."
    remedy = "Grant admin consent to the Microsoft Partner Center permission of HUNTER_CLIENT_ID."


class SignInRefusedError(PermanentError):
    """Entra ID refused the sign-in for a reason of its own."""


class TokenCacheError(PermanentError):
    """The token cache can't be used safely."""


class PagingError(PermanentError):
    """The list of referrals can't be followed safely."""


class RefusedError(PermanentError):
    """Partner Center refused a request that will not pass by itself.

    Args:
        status: HTTP status.
        code: the service's own error code, may be empty.
        said: the service's words, may be empty.
        request_id: what Microsoft's support asks for.
    """

    def __init__(self, status: int, code: str, said: str, request_id: str) -> None:
        # The service may repeat what it was sent, and this sentence reaches logs.
        words = f": {mask(said)}" if said else ""
        super().__init__(
            f"Partner Center refused the request ({status}{' ' + code if code else ''}){words}.".replace("..", "."),
            f"Microsoft's support asks for request-id {request_id}." if request_id else "",
        )
        self.status, self.code, self.said, self.request_id = status, code, said, request_id

    def __reduce__(self) -> tuple[Any, ...]:
        return RefusedError, (self.status, self.code, self.said, self.request_id)


class ChangedSinceReadError(PermanentError):
    """412: somebody changed the referral since we read it."""

    def __init__(self, referral_id: str) -> None:
        super().__init__(
            f"Referral {referral_id} changed in Partner Center meanwhile.", "Look at it again, then repeat the action."
        )
        self.referral_id = referral_id

    def __reduce__(self) -> tuple[Any, ...]:
        return ChangedSinceReadError, (self.referral_id,)
