"""From what is seen to what is said: one alert when a subject's state changes, one when it is well again."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from hunter_orchestration.logging import mask

Level = Literal["problem", "warning", "recovered"]
State = Literal["ok", "warning", "problem"]
FINE = "ok"

_WORDS = {
    "en": {"problem": "problem", "warning": "warning", "recovered": "well again"},
    "tr": {"problem": "sorun", "warning": "uyarı", "recovered": "düzeldi"},
}


@dataclass(frozen=True, slots=True)
class Seen:
    """How a subject is right now: ``run:<job>``, ``check:<asset>.<check>`` or ``freshness:<asset>``.

    ``turkish`` is the sentence in Turkish; empty where there is none, as for a text of an error.
    """

    subject: str
    state: State
    sentence: str
    link: str
    turkish: str = ""


@dataclass(frozen=True, slots=True)
class Alert:
    """One thing to say. The sentence carries no personal data."""

    subject: str
    level: Level
    sentence: str
    link: str
    turkish: str = ""

    def said(self, language: str) -> str:
        """What happened, in words."""
        return self.turkish if language == "tr" and self.turkish else self.sentence

    def title(self, language: str) -> str:
        """The first line."""
        return f"{self.subject.partition(':')[2]}: {_WORDS[language][self.level]}"

    def as_dict(self, language: str) -> dict[str, Any]:
        """For a webhook."""
        return {"product": "hunter", "subject": self.subject, "level": self.level, "title": self.title(language),
                "sentence": self.said(language), "link": self.link}  # fmt: skip


def changes(target: str, seen: Iterable[Seen], told: Mapping[str, str], *, warnings: bool) -> list[tuple[Alert, str]]:
    """What a target is to be told now, each with the state to remember once it took it.

    A subject that was never told and is well is not worth a word.
    """
    out: list[tuple[Alert, str]] = []
    for item in seen:
        muted = item.state == "warning" and not warnings
        level: Level = "recovered" if muted or item.state == "ok" else item.state
        state = FINE if level == "recovered" else level
        if state == told.get(scope_of(target, item.subject), FINE):
            continue
        out.append((Alert(item.subject, level, mask(item.sentence), item.link, mask(item.turkish)), state))
    return out


def scope_of(target: str, subject: str) -> str:
    """Under what a target's state of a subject is remembered."""
    return f"{target}/{subject}"
