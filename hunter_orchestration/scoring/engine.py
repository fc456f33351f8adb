"""From the inputs of a company to its score, segment and category, every point with its reason.

Pure: no store, no clock. The facts are the scoring contract's, the numbers the rules file's.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal

import orjson

from hunter_orchestration.scoring.rules import Rules

Dmarc = Literal["reject", "quarantine", "none", "absent"]


@dataclass(frozen=True, slots=True)
class Inputs:
    """What a score is computed from. ``None`` means the lookup failed, which is not the same as "not there"."""

    provider: str
    mx: bool | None
    spf: bool | None
    dkim: bool | None
    dmarc: Dmarc | None
    spf_includes: int = 0
    tenant_known: bool = False
    co_sell: bool = False

    def stored(self) -> dict[str, Any]:
        """As ``scores.inputs`` keeps them. Written out: ``dataclasses.asdict`` takes half the time of a re-scoring."""
        return {
            "provider": self.provider,
            "mx": self.mx,
            "spf": self.spf,
            "dkim": self.dkim,
            "dmarc": self.dmarc,
            "spf_includes": self.spf_includes,
            "tenant_known": self.tenant_known,
            "co_sell": self.co_sell,
        }

    def digest(self) -> str:
        """Hash that tells whether a score has to be computed again."""
        return hashlib.sha256(orjson.dumps(self.stored(), option=orjson.OPT_SORT_KEYS)).hexdigest()


@dataclass(frozen=True, slots=True)
class Point:
    """One line of the explanation.

    ``rule`` names the part of the rules file, ``state`` is found, absent, unknown or applied; ``could_be`` holds the
    least and the most an unknown could still add; ``text`` has ``en`` and ``tr``.
    """

    rule: str
    points: int
    state: str
    text: dict[str, str]
    could_be: tuple[int, int] | None = None

    def stored(self) -> dict[str, Any]:
        """As ``scores.breakdown`` keeps it."""
        return {
            "rule": self.rule,
            "points": self.points,
            "state": self.state,
            "text": self.text,
            "could_be": self.could_be,
        }


@dataclass(frozen=True, slots=True)
class Score:
    """The outcome. The points of ``breakdown`` add up to ``score``; it is complete when none of them is unknown."""

    provider: str
    score: int
    complete: bool
    segment: str
    technical_heat: str
    commercial_segment: str
    commercial_heat: str
    priority_category: str
    priority_label: str
    breakdown: tuple[Point, ...]


def score(inputs: Inputs, rules: Rules) -> Score:
    """Score one company."""
    table = rules.points
    provider = table.known_tenant.provider if inputs.tenant_known else inputs.provider
    if inputs.mx is False and not inputs.tenant_known:
        points = (_point(rules, "no_mail", 0, "absent"),)
        return _classified(provider, 0, "Skip", rules, points, complete=True)
    ledger = _Ledger(rules)
    _technical(ledger, inputs, provider)
    ledger.clamp()
    if inputs.tenant_known and ledger.total < table.known_tenant.at_least:
        ledger.add(
            "known_tenant", table.known_tenant.at_least - ledger.total, "applied", at_least=table.known_tenant.at_least
        )
    if inputs.co_sell:
        ledger.add("open_co_sell", table.open_co_sell, "applied")
        ledger.clamp()
    if inputs.mx is None:
        # No mail at all would take the whole score, unless a tenant is known.
        lost = 0 if inputs.tenant_known else -ledger.total
        ledger.points.insert(0, _point(rules, "mx", 0, "unknown", (lost, 0), reason="mx_unknown"))
    segment = next(row.segment for row in rules.segments if _holds(row, provider, ledger.total))
    complete = all(point.state != "unknown" for point in ledger.points)
    return _classified(provider, ledger.total, segment, rules, tuple(ledger.points), complete=complete)


def remembered(rules: Rules) -> Callable[[Inputs], tuple[str, Score]]:
    """``score`` under these rules with the digest of the inputs, remembering the outcomes: many leads share few."""

    @lru_cache(maxsize=8192)
    def scored(inputs: Inputs) -> tuple[str, Score]:
        return inputs.digest(), score(inputs, rules)

    return scored


def _technical(ledger: _Ledger, inputs: Inputs, provider: str) -> None:
    table = ledger.rules.points
    provider_points = table.provider.get(provider, table.provider["Unknown"])  # type: ignore[call-overload]
    if inputs.tenant_known and inputs.provider != provider:
        ledger.add("provider", provider_points, "found", reason="provider_by_tenant")
    elif provider == "Unknown":
        worth = table.provider.values()
        ledger.add("provider", provider_points, "unknown", (min(worth), max(worth)), reason="provider_unknown")
    elif provider in _KINDS:
        ledger.add("provider", provider_points, "found", reason=f"provider_{provider.lower()}")
    else:
        ledger.add("provider", provider_points, "found", provider=_SHOWN.get(provider, provider))
    for name, answer, row in (("spf", inputs.spf, table.spf), ("dkim", inputs.dkim, table.dkim)):
        if answer is None:
            ledger.add(name, 0, "unknown", (min(row.absent, row.found), max(row.absent, row.found)))
        else:
            ledger.add(name, row.found if answer else row.absent, "found" if answer else "absent")
    policies = table.dmarc
    if inputs.dmarc is None:
        spread = (policies.reject, policies.quarantine, policies.none, policies.absent)
        ledger.add("dmarc", 0, "unknown", (min(spread), max(spread)))
    else:
        state = "absent" if inputs.dmarc == "absent" else "found"
        ledger.add("dmarc", getattr(policies, inputs.dmarc), state, reason=f"dmarc_{inputs.dmarc}")
    if provider == "Hosting" and inputs.spf is False and inputs.dkim is False:
        ledger.add("unprotected_hosting", table.unprotected_hosting, "applied")
    if inputs.spf and inputs.spf_includes > table.many_spf_includes.more_than:
        ledger.add("many_spf_includes", table.many_spf_includes.points, "applied", count=inputs.spf_includes)


_SHOWN = {"M365": "Microsoft 365", "Google": "Google Workspace", "Yandex": "Yandex 360", "Zoho": "Zoho Mail"}
_KINDS = frozenset({"Hosting", "Local", "Other"})
"""Providers that are no company's name: each language has its own words for them."""


class _Ledger:
    """Points in the order they were given, and their sum."""

    def __init__(self, rules: Rules) -> None:
        self.rules = rules
        self.points: list[Point] = []
        self.total = 0

    def add(
        self,
        rule: str,
        points: int,
        state: str,
        could_be: tuple[int, int] | None = None,
        *,
        reason: str | None = None,
        **values: Any,
    ) -> None:
        reason = reason or (rule if rule in self.rules.reasons else f"{rule}_{state}")
        self.points.append(_point(self.rules, rule, points, state, could_be, reason=reason, **values))
        self.total += points

    def clamp(self) -> None:
        if self.total < 0:
            self.add("floor", -self.total, "applied")
        elif self.total > 100:
            self.add("ceiling", 100 - self.total, "applied")


def _point(
    rules: Rules,
    rule: str,
    points: int,
    state: str,
    could_be: tuple[int, int] | None = None,
    *,
    reason: str | None = None,
    **values: Any,
) -> Point:
    words = rules.reasons[reason or rule]
    filled = {"provider": "", "count": 0, "at_least": 0, **values}
    return Point(rule, points, state, {"en": words.en.format(**filled), "tr": words.tr.format(**filled)}, could_be)


def _holds(row: Any, provider: str, total: int) -> bool:
    return (row.providers is None or provider in row.providers) and (row.score_from is None or total >= row.score_from)


def _first(rows: Iterable[Any], provider: str, total: int, **named: str) -> Any:
    for row in rows:
        if _holds(row, provider, total) and all(
            getattr(row, field) is None or value in getattr(row, field) for field, value in named.items()
        ):
            return row
    raise AssertionError("the rules' schema guarantees a last row without conditions")


def _classified(
    provider: str, total: int, segment: str, rules: Rules, points: tuple[Point, ...], *, complete: bool
) -> Score:
    commercial = _first(rules.commercial_segments, provider, total, segments=segment).commercial_segment
    category = rules.category_of(commercial)
    return Score(
        provider=provider,
        score=total,
        complete=complete,
        segment=segment,
        technical_heat=_first(rules.technical_heat, provider, total, segments=segment).heat,
        commercial_segment=commercial,
        commercial_heat=_first(rules.commercial_heat, provider, total, commercial_segments=commercial).heat,
        priority_category=category.category,
        priority_label=category.label,
        breakdown=points,
    )
