"""DKIM key records (RFC 6376 section 3.6.1, RFC 8301) and what a selector's answer says. Pure functions."""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from hunter_orchestration.scanning.wire import Answer

KeyState = Literal["usable", "revoked", "broken", "absent", "unknown"]

LEAST_BITS = 1024
"""No receiver takes a signature by a shorter RSA key (RFC 8301 section 3.2)."""
_MOST_BYTES = 16_384
_TAGS = frozenset("vkptshng")
_KINDS = ("rsa", "ed25519")
_TAG = re.compile(r"[A-Za-z][A-Za-z0-9_]*")


@dataclass(frozen=True, slots=True)
class Key:
    """A selector's key. ``bits`` is None when the key's form doesn't tell its size."""

    state: KeyState
    kind: str | None = None
    bits: int | None = None
    testing: bool = False
    reason: str = ""


ABSENT = Key("absent")
_PREFERRED: tuple[KeyState, ...] = ("usable", "revoked", "broken", "absent")


def parse(text: str) -> Key:
    """A key record; ``absent`` when the text is something else."""
    tags: dict[str, str] = {}
    first = ""
    for part in text.split(";"):
        tag, separator, value = part.partition("=")
        tag = tag.strip()
        if not separator or (tag not in _TAGS and not _TAG.fullmatch(tag)):
            if part.strip():
                return ABSENT if not tags else Key("broken", reason="a tag without a value")
            continue
        # Section 3.2: names of tags are read case by case.
        first = first or tag
        if tag in tags:
            return Key("broken", reason=f"{tag} is given twice")
        tags[tag] = value.strip()
    if "v" in tags and tags["v"] != "DKIM1":
        return Key("broken", reason="an unknown version") if tags["v"].upper().startswith("DKIM") else ABSENT
    if "p" not in tags:
        return Key("broken", reason="p is missing") if tags.get("v") == "DKIM1" or "P" in tags else ABSENT
    if tags["p"].lower() in ("none", "quarantine", "reject"):
        return ABSENT
    if "v" in tags and first != "v":
        return Key("broken", reason="v does not come first")
    kind = (tags.get("k") or "rsa").lower()
    if kind not in _KINDS:
        return Key("broken", kind, reason="an unknown kind of key")
    services = tags.get("s", "*").lower().replace(" ", "").split(":")
    if not {"*", "email"} & set(services):
        return Key("broken", kind, reason="not for mail")
    hashes = tags.get("h", "sha256").lower().replace(" ", "").split(":")
    if "sha256" not in hashes:
        return Key("broken", kind, reason="not for SHA-256")
    testing = "y" in tags.get("t", "").lower().replace(" ", "").split(":")
    encoded = "".join(tags["p"].split())
    if not encoded:
        return Key("revoked", kind, testing=testing)
    try:
        raw = base64.b64decode(encoded + "=" * (-len(encoded) % 4), validate=True)
    except (binascii.Error, ValueError):
        return Key("broken", kind, reason="p is not base64")
    if not raw:
        return Key("broken", kind, reason="p is not base64")
    bits = 256 if kind == "ed25519" else rsa_bits(raw)
    if kind == "rsa" and bits is not None and bits < LEAST_BITS:
        return Key("broken", kind, bits, testing, f"shorter than {LEAST_BITS} bits")
    return Key("usable", kind, bits, testing)


def rsa_bits(der: bytes) -> int | None:
    """Bits of the modulus of a DER public key, SubjectPublicKeyInfo or bare RSAPublicKey; None when it is neither."""
    try:
        body = _inside(der, 0x30, 0)[0]
        if body[:1] == b"\x30":
            _, behind = _inside(body, 0x30, 0)
            bits, _ = _inside(body, 0x03, behind)
            body = _inside(bits[1:], 0x30, 0)[0]
        modulus, _ = _inside(body, 0x02, 0)
    except (IndexError, ValueError):
        return None
    bits_found = int.from_bytes(modulus, "big").bit_length()
    return bits_found or None


def _inside(data: bytes, tag: int, offset: int) -> tuple[bytes, int]:
    if data[offset] != tag:
        raise ValueError("another tag")
    length = data[offset + 1]
    offset += 2
    if length & 0x80:
        count = length & 0x7F
        if not 0 < count < 4:
            raise ValueError("a length out of bounds")
        length = int.from_bytes(data[offset : offset + count], "big")
        offset += count
    if offset + length > len(data):
        raise ValueError("runs over the end")
    return data[offset : offset + length], offset + length


def read(answer: Answer) -> Key:
    """The key a selector's TXT answer holds. An alias that leads nowhere is ``broken``."""
    if answer.state == "unknown":
        return Key("unknown", reason=answer.reason)
    if answer.state == "absent":
        return Key("broken", reason="the alias leads nowhere") if answer.cnames else ABSENT
    keys = [parse(raw[:_MOST_BYTES].decode("latin-1")) for raw in answer.records[:8]]
    return min(keys, key=lambda key: _PREFERRED.index(key.state), default=ABSENT)


def unset_label(domain: str) -> str:
    """A label that nobody has set below a domain: what answers there is a wildcard."""
    return "hunter-" + hashlib.sha256(domain.encode()).hexdigest()[:12]


def tenant_of(targets: Sequence[str]) -> str | None:
    """The Microsoft tenant's name in the alias of a selector, in both of Microsoft's styles.

    ``selector1-contoso-com._domainkey.contoso.onmicrosoft.com`` and
    ``selector1-contoso-com._domainkey.contoso.n-v1.dkim.mail.microsoft`` name ``contoso``
    (source: public zone files, see providers.yaml).
    """
    for target in targets:
        labels = target.split(".")
        if len(labels) < 5 or labels[1] != "_domainkey":
            continue
        if len(labels) == 5 and labels[3:] == ["onmicrosoft", "com"]:
            return labels[2]
        if len(labels) == 7 and labels[4:] == ["dkim", "mail", "microsoft"] and labels[3].endswith("-v1"):
            return labels[2]
    return None
