"""The rules file: its schema, and reading it with the file, the line and the reason of every mistake."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from string import Formatter
from typing import Annotated, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, model_validator

from hunter_orchestration.errors import PermanentError
from hunter_orchestration.scoring.documents import kept, lasting, read_document, stamp_of

Provider = Literal[
    "M365", "Google", "Yandex", "Zoho", "Amazon", "SendGrid", "Mailgun", "Hosting", "Local", "Other", "Unknown"
]
Segment = Literal["Existing", "Migration", "Cold", "Skip"]
CommercialSegment = Literal["GREENFIELD", "COMPETITIVE", "WEAK_PARTNER", "RENEWAL", "LOW_INTENT", "NO_GO"]
Points = Annotated[int, Field(ge=-100, le=100, strict=True)]
Whole = Annotated[int, Field(ge=0, le=100, strict=True)]
Text = Annotated[str, Field(min_length=1)]
PROVIDERS: tuple[str, ...] = get_args(Provider)

_SHIPPED = Path(__file__).with_name("rules.yaml")
_CALLED, _SETTING = "rules file", "HUNTER_RULES_FILE"


class RulesError(PermanentError):
    """The rules file can't be used. The message names the file, the line and the reason."""


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Answered(_Strict):
    """Points for a record that was found, and for one the DNS said is not there."""

    found: Points
    absent: Points


class DmarcPoints(_Strict):
    """Points by DMARC policy."""

    reject: Points
    quarantine: Points
    none: Points
    absent: Points


class ManyIncludes(_Strict):
    """Points for an SPF record with more includes than a number."""

    more_than: Whole
    points: Points


class KnownTenant(_Strict):
    """What a tenant stated by a business source makes of a company."""

    provider: Provider
    at_least: Whole


class PointTable(_Strict):
    """Everything that adds to or takes from the score."""

    provider: dict[Provider, Points]
    spf: Answered
    dkim: Answered
    dmarc: DmarcPoints
    unprotected_hosting: Points
    many_spf_includes: ManyIncludes
    known_tenant: KnownTenant
    open_co_sell: Points

    @model_validator(mode="after")
    def _every_provider(self) -> PointTable:
        missing = [name for name in PROVIDERS if name not in self.provider]
        if missing:
            raise ValueError(f"no points for {', '.join(missing)}")
        return self


Providers = Annotated[tuple[Provider, ...], Field(min_length=1)]
Segments = Annotated[tuple[Segment, ...], Field(min_length=1)]
CommercialSegments = Annotated[tuple[CommercialSegment, ...], Field(min_length=1)]


class _Conditions(_Strict):
    providers: Providers | None = None
    score_from: Whole | None = None

    def asks(self) -> bool:
        """Whether the row holds only for some leads."""
        return any(getattr(self, name, None) is not None for name in _CONDITIONS)


_CONDITIONS = ("providers", "score_from", "segments", "commercial_segments")


class SegmentRule(_Conditions):
    """A segment and when it holds."""

    segment: Segment


class HeatRule(_Conditions):
    """A technical heat and when it holds."""

    heat: Literal["Hot", "Warm", "Cold"]
    segments: Segments | None = None


class CommercialRule(_Conditions):
    """A commercial segment and when it holds."""

    commercial_segment: CommercialSegment
    segments: Segments | None = None


class CommercialHeatRule(_Conditions):
    """A commercial heat and when it holds."""

    heat: Literal["HIGH", "MEDIUM", "LOW"]
    commercial_segments: CommercialSegments | None = None


class Category(_Strict):
    """A priority category: what sales calls it and how soon to act."""

    category: Annotated[str, Field(pattern=r"^P[1-8]$")]
    commercial_segment: CommercialSegment
    label: Text
    label_tr: Text
    act_within_hours: Annotated[int, Field(ge=1, strict=True)] | None
    rhythm: Text | None = None
    rhythm_tr: Text | None = None


class Reason(_Strict):
    """The words beside a point, in both languages; ``{provider}``, ``{count}`` and ``{at_least}`` are filled in."""

    en: Text
    tr: Text

    @model_validator(mode="after")
    def _fillable(self) -> Reason:
        for text in (self.en, self.tr):
            for name in placeholders(text):
                if name not in _FILLED:
                    known = ", ".join(_FILLED)
                    raise ValueError(f"{text!r} has a placeholder that is not filled in: {name}; known: {known}")
        return self


_FILLED = ("provider", "count", "at_least")


def placeholders(text: str) -> Sequence[str]:
    """Names in braces, in their order.

    Raises:
        ValueError: a brace is left open, or holds more than a plain name.
    """
    try:
        parts = list(Formatter().parse(text))
    except ValueError as error:
        raise ValueError(f"{text!r}: {error}; write {{{{ and }}}} for braces") from None
    names = [(name, form or conversion) for _, name, form, conversion in parts if name is not None]
    if any(extra or not name.isidentifier() for name, extra in names):
        raise ValueError(f"{text!r}: a placeholder is a plain name in braces")
    return [name for name, _ in names]


def check_order(place: str, asks: Sequence[bool]) -> None:
    """Check rows of which the first that holds is taken.

    Args:
        place: where they stand in the file, its parts parted by dots.
        asks: whether each row has a condition.

    Raises:
        ValueError: a lead could be left without a row, or a row is never reached.
    """
    if not asks or asks[-1]:
        raise ValueError(f"{place}: the last row must hold without a condition, so that every lead gets one")
    always = asks.index(False)
    if always < len(asks) - 1:
        raise ValueError(f"{place}.{always}: a row without a condition always holds; those below it are never reached")


def _check_once(place: str, called: str, names: Sequence[str]) -> None:
    for number, name in enumerate(names):
        if name in names[:number]:
            raise ValueError(f"{place}.{number}: the {called} {name} is there twice")


REASONS = (
    "provider", "provider_hosting", "provider_local", "provider_other", "provider_unknown", "provider_by_tenant",
    "no_mail", "mx_unknown", "spf_found", "spf_absent", "spf_unknown", "dkim_found", "dkim_absent", "dkim_unknown",
    "dmarc_reject", "dmarc_quarantine", "dmarc_none", "dmarc_absent", "dmarc_unknown", "unprotected_hosting",
    "many_spf_includes", "known_tenant", "open_co_sell", "floor", "ceiling",
)  # fmt: skip


class Rules(_Strict):
    """One version of the rules. ``digest`` tells two texts with one version apart."""

    version: Annotated[str, Field(min_length=1, max_length=40)]
    points: PointTable
    segments: tuple[SegmentRule, ...]
    technical_heat: tuple[HeatRule, ...]
    commercial_segments: tuple[CommercialRule, ...]
    commercial_heat: tuple[CommercialHeatRule, ...]
    categories: tuple[Category, ...]
    reasons: dict[str, Reason]
    digest: str = ""

    @model_validator(mode="after")
    def _complete(self) -> Rules:
        for name in ("segments", "technical_heat", "commercial_segments", "commercial_heat"):
            check_order(name, [row.asks() for row in getattr(self, name)])
        _check_once("categories", "commercial segment", [row.commercial_segment for row in self.categories])
        _check_once("categories", "category", [row.category for row in self.categories])
        named = {category.commercial_segment for category in self.categories}
        missing = [name for name in get_args(CommercialSegment) if name not in named]
        if missing:
            raise ValueError(f"categories: one row for each commercial segment; missing {', '.join(missing)}")
        unnamed = [name for name in REASONS if name not in self.reasons]
        if unnamed:
            raise ValueError(f"reasons: no words for {', '.join(unnamed)}")
        for name in self.reasons:
            if name not in REASONS:
                raise ValueError(f"reasons.{name}: there is no such point; known: {', '.join(REASONS)}")
        return self

    @property
    def stamp(self) -> str:
        """What a score remembers of its rules: the version and the start of the digest."""
        return f"{self.version}+{self.digest[:8]}"

    def category_of(self, commercial_segment: str) -> Category:
        """The category of a commercial segment."""
        return next(row for row in self.categories if row.commercial_segment == commercial_segment)


def read_rules(path: Path | None = None) -> Rules:
    """Read and check a rules file; ``None`` means the one that comes with Hunter.

    Raises:
        RulesError: it can't be read, is not YAML, or breaks the schema.
    """
    rules, digest = read_document(path or _SHIPPED, Rules, RulesError, called=_CALLED, setting=_SETTING)
    return rules.model_copy(update={"digest": digest})


_kept = kept(read_rules)


def rules_in_force(path: Path | None = None) -> Rules:
    """The rules, read again only when the file changed.

    Raises:
        RulesError: as for ``read_rules``.
    """
    path = path or _SHIPPED
    return _kept(stamp_of(path, RulesError, called=_CALLED, setting=_SETTING), (path,))


rules_to_show = lasting(rules_in_force, RulesError)
"""``rules_in_force`` for explaining, never for scoring: while the file is broken, the rules that it held before."""
