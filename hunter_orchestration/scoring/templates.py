"""The schema of the briefing's template file and of the price list, and reading the two together."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, model_validator

from hunter_orchestration.errors import PermanentError
from hunter_orchestration.scoring.documents import kept, lasting, line_in, read_document, stamp_of
from hunter_orchestration.scoring.rules import (
    CommercialSegments,
    Points,
    Provider,
    Providers,
    Text,
    check_order,
    placeholders,
)

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

    en: Text
    tr: Text

    @model_validator(mode="after")
    def _fillable(self) -> Words:
        for text in (self.en, self.tr):
            for name in placeholders(text):
                raise ValueError(f"{{{name}}} is not filled in here")
        return self

    def said(self, lang: Language) -> str:
        """The text in a language."""
        return self.tr if lang == "tr" else self.en


_SOME = Field(min_length=1)


class Conditions(_Strict):
    """When a row holds. Each is a question about the lead's situation; what is left out is not asked.

    Lists hold when the situation is one of them, switches when it is so (or, with ``false``, not so).
    """

    commercial_segments: CommercialSegments | None = None
    providers: Providers | None = None
    mail: Annotated[tuple[MailState, ...], _SOME] | None = None
    spf: Annotated[tuple[SpfState, ...], _SOME] | None = None
    dkim: Annotated[tuple[DkimState, ...], _SOME] | None = None
    dmarc: Annotated[tuple[DmarcState, ...], _SOME] | None = None
    changes: Annotated[tuple[ChangeKind, ...], _SOME] | None = None
    employees_from: Annotated[int, Field(ge=1, strict=True)] | None = None
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
    customer_request: bool | None = None
    expiring: bool | None = None
    deal: bool | None = None
    contact: bool | None = None
    refuses_contact: bool | None = None
    overdue: bool | None = None
    dated: bool | None = None
    timed: bool | None = None

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
            for name in placeholders(text):
                needed = FILLED_WHEN.get(name)
                if needed is None and name not in ALWAYS_FILLED:
                    known = ", ".join(sorted(ALWAYS_FILLED | set(FILLED_WHEN)))
                    raise ValueError(f"no such placeholder: {{{name}}}; known: {known}")
                if needed is not None and not getattr(self, needed):
                    raise ValueError(f"{{{name}}} is only filled in where the row asks for {needed}")
        return self


class NextStep(Line):
    """A next step. ``every_days`` dates it for a lead that has no day to act by: it comes around that often."""

    every_days: Annotated[int, Field(ge=1, le=366, strict=True)] | None = None


class RiskRow(Conditions):
    """A risk level and when it holds."""

    risk: Literal["low", "medium", "high"]


class OfferRow(Conditions):
    """Which offer of the price list to make, and when."""

    offer: str


class PotentialRow(Line):
    """Points of the opportunity's potential, why, and when."""

    points: Points


class NamedOn(Words):
    """Where mail is when its provider goes by a name of its own: ``{name}`` stands for it."""

    @model_validator(mode="after")
    def _fillable(self) -> NamedOn:
        for text in (self.en, self.tr):
            if list(placeholders(text)) != ["name"]:
                raise ValueError(f"{text!r}: {{name}} is to be there once, and no other placeholder")
        return self


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
    named_on: NamedOn
    headings: dict[str, Words]
    change_kinds: dict[ChangeKind, Words]
    change_values: dict[ChangeKind | Literal["any"], dict[str, Words]] = Field(default_factory=dict)
    opening: tuple[Line, ...]
    why_segment: tuple[Line, ...]
    why_provider: tuple[Line, ...]
    security: Security
    script: tuple[Line, ...]
    questions: tuple[Line, ...]
    most_questions: Annotated[int, Field(ge=1, le=20, strict=True)]
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
            check_order(name, [row.asks() for row in rows])
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
    for place, row in enumerate(templates.offers):
        if row.offer not in offers.offers:
            line = line_in(told, ("offers", place, "offer"))
            raise TemplatesError(
                f"{told}:{line}: offers.{place}.offer: the price list {sold} does not have {row.offer}; "
                f"it has {', '.join(offers.offers)}."
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


sources_to_show = lasting(sources_in_force, TemplatesError)
"""``sources_in_force``; while one of the files is broken, what they held before."""
