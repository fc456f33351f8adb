"""The schema of the briefing's template file and of the price list, and reading the two together."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal
from functools import cached_property
from pathlib import Path
from string import Formatter
from typing import Annotated, Any, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, model_validator

from hunter_orchestration.errors import PermanentError
from hunter_orchestration.scoring.documents import kept, read_document, stamp_of
from hunter_orchestration.scoring.rules import CommercialSegment, Points, Provider

Language = Literal["tr", "en"]
SpfState = Literal["found", "open", "faulty", "absent", "unknown"]
DkimState = Literal["found", "absent", "unknown"]
DmarcState = Literal["reject", "quarantine", "none", "faulty", "absent", "unknown"]
MailState = Literal["found", "absent", "unknown"]
ChangeKind = Literal["provider", "gateway", "mx", "spf", "dkim", "dmarc", "tenant", "registration"]

_TEMPLATES = Path(__file__).with_name("briefing.yaml")
_OFFERS = Path(__file__).with_name("offers.yaml")
_TEMPLATE_NAMES = {"called": "briefing file", "setting": "HUNTER_BRIEFING_FILE"}
_OFFER_NAMES = {"called": "offers file", "setting": "HUNTER_OFFERS_FILE"}

ALWAYS_FILLED = frozenset({"company", "domain", "provider", "on_provider", "score", "category", "label", "window"})
FILLED_WHEN = {
    "contact": "contact",
    "gateway": "gateway",
    "includes": "many_includes",
    "pct": "partial",
    "deal": "deal",
    "expires": "expiring",
    "due": "overdue",
    "by": "dated",
    "old": "changes",
    "new": "changes",
    "changed": "changes",
}
"""Placeholders that only some leads fill, and the condition a row must ask for to use one."""


class TemplatesError(PermanentError):
    """The briefing file or the offers file can't be used. The message names the file, the line and the reason."""


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Words(_Strict):
    """One text in both languages."""

    en: Annotated[str, Field(min_length=1)]
    tr: Annotated[str, Field(min_length=1)]

    def said(self, lang: Language) -> str:
        """The text in a language."""
        return self.tr if lang == "tr" else self.en


class Conditions(_Strict):
    """When a row holds. Each is a question about the lead's situation; what is left out is not asked.

    Lists hold when the situation is one of them, switches when it is so (or, with ``false``, not so).
    """

    commercial_segments: tuple[CommercialSegment, ...] | None = None
    providers: tuple[Provider, ...] | None = None
    mail: tuple[MailState, ...] | None = None
    spf: tuple[SpfState, ...] | None = None
    dkim: tuple[DkimState, ...] | None = None
    dmarc: tuple[DmarcState, ...] | None = None
    changes: tuple[ChangeKind, ...] | None = None
    employees_from: Annotated[int, Field(ge=1)] | None = None
    gateway: bool | None = None
    hoster: bool | None = None
    many_includes: bool | None = None
    partial: bool | None = None
    gaps: bool | None = None
    complete: bool | None = None
    tenant_known: bool | None = None
    mail_elsewhere: bool | None = None
    co_sell: bool | None = None
    open_referral: bool | None = None
    new_referral: bool | None = None
    expiring: bool | None = None
    deal: bool | None = None
    contact: bool | None = None
    refuses_contact: bool | None = None
    overdue: bool | None = None
    dated: bool | None = None

    @cached_property
    def asked(self) -> tuple[tuple[str, Any], ...]:
        """The questions the row asks, by name: most rows ask few, and every lead is asked by every row."""
        return tuple((name, value) for name in Conditions.model_fields if (value := getattr(self, name)) is not None)

    def asks(self) -> bool:
        """Whether the row holds only for some leads."""
        return bool(self.asked)


class Line(Conditions, Words):
    """A text and when it is said."""

    @model_validator(mode="after")
    def _fillable(self) -> Line:
        for text in (self.en, self.tr):
            for name in _placeholders(text):
                needed = FILLED_WHEN.get(name)
                if needed is None and name not in ALWAYS_FILLED:
                    known = ", ".join(sorted(ALWAYS_FILLED | set(FILLED_WHEN)))
                    raise ValueError(f"no such placeholder: {{{name}}}; known: {known}")
                if needed is not None and not getattr(self, needed):
                    raise ValueError(f"{{{name}}} is only filled in where the row asks for {needed}")
        return self


def _placeholders(text: str) -> Iterable[str]:
    try:
        parts = list(Formatter().parse(text))
    except ValueError as error:
        raise ValueError(f"{text!r}: {error}; write {{{{ and }}}} for braces") from None
    for _, name, form, conversion in parts:
        if name is None:
            continue
        if form or conversion or not name.isidentifier():
            raise ValueError(f"{text!r}: a placeholder is a plain name in braces")
        yield name


class NextStep(Line):
    """A next step. ``every_days`` dates it for a lead that has no day to act by: it comes around that often."""

    every_days: Annotated[int, Field(ge=1, le=366)] | None = None


class RiskRow(Conditions):
    """A risk level and when it holds."""

    risk: Literal["low", "medium", "high"]


class OfferRow(Conditions):
    """Which offer of the price list to make, and when."""

    offer: str


class PotentialRow(Line):
    """Points of the opportunity's potential, why, and when."""

    points: Points


class ProviderName(_Strict):
    """How a provider is called: ``name``, and ``at`` as in "your mail runs …"; Turkish suffixes differ by name."""

    name: Words
    at: Words


class Security(_Strict):
    """What the mail set-up tells: the first ``risk``, ``angle`` and ``action`` that hold, every ``summary``."""

    risk: tuple[RiskRow, ...]
    summary: tuple[Line, ...]
    angle: tuple[Line, ...]
    action: tuple[Line, ...]


HEADINGS = (
    "briefing", "opening", "why", "security", "risk_low", "risk_medium", "risk_high", "script", "questions", "offer",
    "on_request", "per", "potential", "urgency", "next_step", "by", "score", "incomplete", "as_of",
)  # fmt: skip


class Templates(_Strict):
    """Everything a briefing says. A section takes the first row that holds, or every one, as the file tells."""

    providers: dict[Provider, ProviderName]
    named_on: Words
    headings: dict[str, Words]
    change_kinds: dict[ChangeKind, Words]
    change_values: dict[ChangeKind | Literal["any"], dict[str, Words]] = Field(default_factory=dict)
    opening: tuple[Line, ...]
    why_segment: tuple[Line, ...]
    why_provider: tuple[Line, ...]
    security: Security
    script: tuple[Line, ...]
    questions: tuple[Line, ...]
    most_questions: Annotated[int, Field(ge=1, le=20)]
    offers: tuple[OfferRow, ...]
    potential: tuple[PotentialRow, ...]
    potential_floor: Words
    potential_ceiling: Words
    urgency: tuple[Line, ...]
    next_step: tuple[NextStep, ...]

    @model_validator(mode="after")
    def _complete(self) -> Templates:
        firsts: Mapping[str, tuple[Conditions, ...]] = {
            "opening": self.opening,
            "why_segment": self.why_segment,
            "why_provider": self.why_provider,
            "security.risk": self.security.risk,
            "security.angle": self.security.angle,
            "security.action": self.security.action,
            "offers": self.offers,
            "urgency": self.urgency,
            "next_step": self.next_step,
        }
        for name, rows in firsts.items():
            if not rows or rows[-1].asks():
                raise ValueError(f"{name}: the last row must hold without a condition, so that every lead gets one")
        for name, wanted, given in (
            ("providers", get_args(Provider), self.providers),
            ("headings", HEADINGS, self.headings),
            ("change_kinds", get_args(ChangeKind), self.change_kinds),
        ):
            missing = [key for key in wanted if key not in given]
            if missing:
                raise ValueError(f"{name}: nothing for {', '.join(missing)}")
        return self


class Offer(_Strict):
    """A row of the price list. ``price`` in ``currency`` per ``unit``; empty where it is told on request."""

    name: Words
    description: Words
    price: Annotated[Decimal, Field(ge=0, max_digits=12, decimal_places=2)] | None
    currency: Annotated[str, Field(pattern=r"^[A-Z]{3}$")]
    unit: Words


class Offers(_Strict):
    """The price list by key."""

    offers: dict[str, Offer]


class Sources(_Strict):
    """The two files, checked against each other."""

    templates: Templates
    offers: dict[str, Offer]


def read_sources(templates_file: Path | None = None, offers_file: Path | None = None) -> Sources:
    """Read and check both files; ``None`` means those that come with Hunter.

    Raises:
        TemplatesError: one can't be read, is not YAML, breaks its schema, or the briefing names an offer that the
            price list doesn't have.
    """
    told, sold = templates_file or _TEMPLATES, offers_file or _OFFERS
    templates, _ = read_document(told, Templates, TemplatesError, **_TEMPLATE_NAMES)
    offers, _ = read_document(sold, Offers, TemplatesError, **_OFFER_NAMES)
    missing = sorted({row.offer for row in templates.offers} - set(offers.offers))
    if missing:
        raise TemplatesError(
            f"{told} offers what the price list {sold} does not have: {', '.join(missing)}.", "Add it there."
        )
    return Sources(templates=templates, offers=offers.offers)


_kept = kept(read_sources)


def sources_in_force(templates_file: Path | None = None, offers_file: Path | None = None) -> Sources:
    """Both files, read again only when one of them changed.

    Raises:
        TemplatesError: as for ``read_sources``.
    """
    told, sold = templates_file or _TEMPLATES, offers_file or _OFFERS
    stamps: tuple[Any, ...] = (
        stamp_of(told, TemplatesError, **_TEMPLATE_NAMES),
        stamp_of(sold, TemplatesError, **_OFFER_NAMES),
    )
    return _kept(stamps, (told, sold))
