"""What a source's words for a company are worth: empty cells, placeholders, names that say nothing."""

from __future__ import annotations

import re

from hunter_orchestration import turkish

MAX_CELL = 2000
"""Characters of a text a source gives for one field; the rest is cut off."""

_NOTHING = frozenset(
    """- -- --- . .. ... / ? x xx xxx n/a na nan none null nil undefined unknown tbd test yok bilinmiyor belirtilmemis
    belirtilmedi bos #n/a #value! #ref! #yok""".split()  # noqa: SIM905
)
_LONGEST = max(map(len, _NOTHING))
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ud800-\udfff]+")
_SPACE = re.compile(r"\s+")
_LEGAL_FORMS = re.compile(
    r"\b(?:"
    r"anonim sirketi|limited sirketi|kollektif sirketi|komandit sirketi|sanayi ve ticaret|san ve tic|dis ticaret|"
    r"ithalat ihracat|ticaret|sanayi|pazarlama|sirketi|sti|ltd|tic|san|paz|dis|ith|ihr|ve|and|the|group|grubu|holding|"
    r"holdings|limited|inc|incorporated|corp|corporation|co|company|llc|llp|plc|gmbh|ag|kg|se|sa|sas|sarl|srl|spa|bv|"
    r"nv|oy|ab|as|aps|a s|s a|b v|n v"
    r")\b"
)


def clean(value: object) -> str | None:
    """A cell's text on one line without control characters; ``None`` for an empty cell or a word for "nothing"."""
    if value is None:
        return None
    text = _SPACE.sub(" ", _CONTROL.sub(" ", str(value)[:MAX_CELL])).strip()
    return None if not text or (len(text) <= _LONGEST and turkish.fold(text) in _NOTHING) else text


def is_a_name(text: str | None) -> bool:
    """Whether a text can be shown as a company's name: it has two letters, and is no address or placeholder."""
    cleaned = clean(text)
    return cleaned is not None and sum(char.isalnum() for char in cleaned) >= 2 and "@" not in cleaned


def matching_key(name: str) -> str:
    """The form names are compared in: folded, without legal forms and punctuation."""
    words = re.sub(r"[^\w]+", " ", turkish.fold(name).replace("&", " ve ")).strip()
    core = _SPACE.sub(" ", _LEGAL_FORMS.sub(" ", words)).strip()
    return core or words
