"""GUIDs that hide a number, so that it can be found again without a table."""

from __future__ import annotations

import struct
from hashlib import blake2b

_FACTOR = 0x9E3779B1
_INVERSE = pow(_FACTOR, -1, 1 << 32)
_MASK = 0xFFFFFFFF


class Guids:
    """The GUIDs of one world.

    Args:
        salt: what makes them this world's.
    """

    def __init__(self, salt: int) -> None:
        self._salt = salt

    def of(self, space: str, number: int) -> str:
        """The GUID of a number below 2 ** 32, other in each space."""
        salt = self._salt_of(space)
        head = (number * _FACTOR + int.from_bytes(salt[:4], "big")) & _MASK
        rest = blake2b(struct.pack(">I", number), digest_size=12, key=salt).hexdigest()
        return f"{head:08x}-{rest[:4]}-4{rest[5:8]}-{'89ab'[int(rest[8], 16) & 3]}{rest[9:12]}-{rest[12:24]}"

    def number(self, space: str, guid: str) -> int | None:
        """The number that a GUID hides; None when it is not of this world and space."""
        try:
            head = int(guid[:8], 16)
        except ValueError:
            return None
        number = ((head - int.from_bytes(self._salt_of(space)[:4], "big")) * _INVERSE) & _MASK
        return number if self.of(space, number) == guid.lower() else None

    def _salt_of(self, space: str) -> bytes:
        return blake2b(f"{self._salt}:{space}".encode(), digest_size=8).digest()
