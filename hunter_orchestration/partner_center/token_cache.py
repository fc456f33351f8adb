"""The token cache on disk: encrypted, for its owner's eyes only, replaced whole, shared by processes under a lock."""

from __future__ import annotations

import base64
import os
import stat
from pathlib import Path
from typing import Any

import msal
import msal_extensions
import orjson
from cryptography.fernet import Fernet, InvalidToken
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from msal_extensions.persistence import BasePersistence, PersistenceNotFound

from hunter_orchestration.partner_center.refusals import TokenCacheError
from hunter_orchestration.settings import Settings

_CACHE, _LOCK, _STATE = "tokens.bin", "tokens.lock", "sign-in.json"


def open_cache(settings: Settings) -> msal.SerializableTokenCache:
    """The cache in HUNTER_HOME, behind HUNTER_TOKEN_CACHE_KEY or the platform's own key store.

    Raises:
        TokenCacheError: others can read the file, the key is another one, or there is neither key nor key store.
    """
    settings.home.mkdir(parents=True, exist_ok=True)
    location = settings.home / _CACHE
    key = settings.token_cache_key.get_secret_value()
    persistence = _Encrypted(location, key) if key else _of_platform(location)
    refuse_readable(location)
    return msal_extensions.PersistedTokenCache(persistence, str(settings.home / _LOCK))


def _of_platform(location: Path) -> Any:
    try:
        return msal_extensions.build_encrypted_persistence(str(location))
    except Exception as error:  # noqa: BLE001  each platform's key store fails in its own way, all mean "none here"
        raise TokenCacheError(
            f"This machine offers no key store for the token cache ({type(error).__name__}).",
            "Set HUNTER_TOKEN_CACHE_KEY to a long random text and keep it secret.",
        ) from None


def refuse_readable(location: Path) -> None:
    """Refuse a file that anyone but its owner can read or write.

    An empty one is what a platform's key store leaves beside the tokens it holds, with the permissions of any file.

    Raises:
        TokenCacheError: it is.
    """
    try:
        found = location.stat()
    except FileNotFoundError:
        return
    if os.name == "posix" and found.st_size > 0 and stat.S_IMODE(found.st_mode) & 0o077:
        raise TokenCacheError(
            f"The token cache {location} can be read by others.",
            f"Delete it and run hunter login, or run chmod 600 {location} if nobody else had access.",
        )


def replace_file(location: Path, content: bytes) -> None:
    """Write a file whole or not at all, readable by its owner alone."""
    temporary = location.with_name(f"{location.name}.{os.getpid()}.{os.urandom(4).hex()}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(location)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def read_state(settings: Settings) -> dict[str, Any]:
    """What is known of the sign-in besides its tokens: who, since when, last used. No secret."""
    try:
        state = orjson.loads((settings.home / _STATE).read_bytes())
    except (FileNotFoundError, orjson.JSONDecodeError):
        return {}
    return state if isinstance(state, dict) else {}


def write_state(settings: Settings, **changes: Any) -> None:
    """Change some of it."""
    settings.home.mkdir(parents=True, exist_ok=True)
    replace_file(settings.home / _STATE, orjson.dumps(read_state(settings) | changes))


class _Encrypted(BasePersistence):  # type: ignore[misc]
    """A file under a key of ours, for servers without a key store."""

    def __init__(self, location: Path, key: str) -> None:
        self._location = location
        derived = HKDF(algorithm=hashes.SHA256(), length=32, salt=None, info=b"hunter token cache").derive(key.encode())
        self._cipher = Fernet(base64.urlsafe_b64encode(derived))
        self.is_encrypted = True

    def save(self, content: str) -> None:
        replace_file(self._location, self._cipher.encrypt(content.encode()))

    def load(self) -> str:
        refuse_readable(self._location)
        try:
            return self._cipher.decrypt(self._location.read_bytes()).decode()
        except FileNotFoundError:
            raise PersistenceNotFound(location=str(self._location)) from None
        except InvalidToken:
            raise TokenCacheError(
                f"The token cache {self._location} was not made with this HUNTER_TOKEN_CACHE_KEY.",
                "Set the key it was made with, or delete it and run hunter login.",
            ) from None

    def time_last_modified(self) -> float:
        try:
            return self._location.stat().st_mtime_ns / 1e9
        except FileNotFoundError:
            raise PersistenceNotFound(location=str(self._location)) from None

    def get_location(self) -> str:
        return str(self._location)
