"""What a check of ``hunter doctor`` found."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

from hunter_orchestration.settings import Settings

State = Literal["ok", "warning", "problem"]


@dataclass(frozen=True, slots=True)
class Finding:
    """What a check found. ``fix`` is empty when there is nothing to do."""

    name: str
    state: State
    sentence: str
    fix: str = ""


Check = Callable[[Settings], Iterator[Finding]]
