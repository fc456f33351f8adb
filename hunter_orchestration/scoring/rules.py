"""The rules file: its schema, and reading it with the file, the line and the reason of every mistake."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, model_validator

from hunter_orchestration.errors import PermanentError
from hunter_orchestration.scoring.documents import kept, read_document, stamp_of

Provider = Literal[
    "M365", "Google", "Yandex", "Zoho", "Amazon", "SendGrid", "Mailgun", "Hosting", "Local", "Other", "Unknown"
]
Segment = Literal["Existing", "Migration", "Cold", "Skip"]
CommercialSegment = Literal["GREENFIELD", "COMPETITIVE", "WEAK_PARTNER", "RENEWAL", "LOW_INTENT", "NO_GO"]
Points = Annotated[int, Field(ge=-100, le=100)]
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

    more_than: Annotated[int, Field(ge=0, le=100)]
    points: Points


class KnownTenant(_Strict):
    """What a tenant stated by a business source makes of a company."""

    provider: Provider
    at_least: Annotated[int, Field(ge=0, le=100)]


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


class _Conditions(_Strict):
    providers: tuple[Provider, ...] | None = None
    score_from: Annotated[int, Field(ge=0, le=100)] | None = None


class SegmentRule(_Conditions):
    """A segment and when it holds."""

    segment: Segment


class HeatRule(_Conditions):
    """A technical heat and when it holds."""

    heat: Literal["Hot", "Warm", "Cold"]
    segments: tuple[Segment, ...] | None = None


class CommercialRule(_Conditions):
    """A commercial segment and when it holds."""

    commercial_segment: CommercialSegment
    segments: tuple[Segment, ...] | None = None


class CommercialHeatRule(_Conditions):
    """A commercial heat and when it holds."""

    heat: Literal["HIGH", "MEDIUM", "LOW"]
    commercial_segments: tuple[CommercialSegment, ...] | None = None


class Category(_Strict):
    """A priority category: what sales calls it and how soon to act."""

    category: Annotated[str, Field(pattern=r"^P[1-8]$")]
    commercial_segment: CommercialSegment
    label: str
    label_tr: str
    act_within_hours: Annotated[int, Field(ge=1)] | None
    rhythm: str | None = None
    rhythm_tr: str | None = None


class Reason(_Strict):
    """The words beside a point, in both languages; ``{provider}``, ``{count}`` and ``{at_least}`` are filled in."""

    en: str
    tr: str

    @model_validator(mode="after")
    def _fillable(self) -> Reason:
        for text in (self.en, self.tr):
            try:
                text.format(provider="", count=0, at_least=0)
            except (KeyError, IndexError, ValueError) as error:
                raise ValueError(f"{text!r} has a placeholder that is not filled in: {error}") from None
        return self


REASONS = (
    "provider", "provider_unknown", "provider_by_tenant", "no_mail", "spf_found", "spf_absent", "spf_unknown",
    "dkim_found", "dkim_absent", "dkim_unknown", "dmarc_reject", "dmarc_quarantine", "dmarc_none", "dmarc_absent",
    "dmarc_unknown", "unprotected_hosting", "many_spf_includes", "known_tenant", "open_co_sell", "floor", "ceiling",
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
            table: tuple[_Conditions, ...] = getattr(self, name)
            if not table or any(
                value is not None
                for field, value in table[-1]
                if field in ("providers", "score_from", "segments", "commercial_segments")
            ):
                raise ValueError(f"{name}: the last row must hold without a condition, so that every lead gets one")
        named = {category.commercial_segment for category in self.categories}
        missing = [name for name in get_args(CommercialSegment) if name not in named]
        if missing or len(named) != len(self.categories):
            raise ValueError(f"categories: one row for each commercial segment; missing {', '.join(missing) or 'none'}")
        unnamed = [name for name in REASONS if name not in self.reasons]
        if unnamed:
            raise ValueError(f"reasons: no words for {', '.join(unnamed)}")
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
