"""Turkish letters right in case, search and sort.

Python's own ``lower`` turns İ into two characters and I into i; both are wrong for a Turkish reader.
"""

from __future__ import annotations

import unicodedata
from functools import lru_cache

_LOWER = str.maketrans({"İ": "i", "I": "ı"})
_UPPER = str.maketrans({"i": "İ", "ı": "I"})
_FOLD = str.maketrans({"İ": "i", "I": "i", "ı": "i"})
_ALPHABET = "abcçdefgğhıijklmnoöpqrsştuüvwxyz"
_ORDER = {letter: f"{position:02d}" for position, letter in enumerate(_ALPHABET, start=30)}
_COMBINING_KEPT = {"ç", "ğ", "ö", "ş", "ü"}


def lower(text: str) -> str:
    """Lower case as written in Turkish: ``IĞDIR`` becomes ``ığdır``."""
    return text.translate(_LOWER).lower()


def upper(text: str) -> str:
    """Upper case as written in Turkish: ``inşaat`` becomes ``İNŞAAT``."""
    return text.translate(_UPPER).upper()


def fold(text: str) -> str:
    """The form search compares: case, dots and accents dropped, so ``insaat`` finds ``İnşaat``."""
    if text.isascii():
        return text.lower()
    decomposed = unicodedata.normalize("NFKD", text.translate(_FOLD).casefold())
    return "".join(char for char in decomposed if not unicodedata.combining(char))


def sort_key(text: str) -> str:
    """ASCII text that sorts bytewise as the Turkish alphabet does: c before ç, ı before i; digits before letters."""
    return "".join(map(_key_of, unicodedata.normalize("NFC", lower(text))))[:400]


@lru_cache(maxsize=4096)
def _key_of(char: str) -> str:
    if char not in _ORDER and char not in _COMBINING_KEPT:
        char = fold(char)[:1]
    if char in _ORDER:
        return _ORDER[char]
    if char.isdigit():
        return f"1{unicodedata.digit(char, 0)}"
    if char.isspace() or not char:
        return "0"
    return "01" if ord(char) < 128 else "9" + f"{ord(char):x}"
