"""The query string of the leads list, and the filter it means."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from hunter_orchestration.store.lead_filters import LeadFilter
from hunter_orchestration.store.lead_queries import Order
from hunter_orchestration.web.models import Asked, Line

LeadSort = Literal[
    "priority",
    "score",
    "name",
    "domain",
    "segment",
    "technical_segment",
    "provider",
    "gateway",
    "category",
    "referral_status",
    "dynamics_state",
    "country",
    "source",
    "expires_at",
    "deal_value",
    "first_seen_at",
    "changed_at",
]
_COLUMNS = {
    "priority": "priority",
    "segment": "commercial_segment",
    "commercial_segment": "commercial_segment",
    "technical_segment": "segment",
    "provider": "provider",
    "gateway": "gateway",
    "referral_category": "referral_category",
    "referral_status": "referral_status",
    "dynamics_state": "dynamics_state",
    "country": "country",
    "source": "source",
}
_PRIORITIES = frozenset({"P1", "P2", "P3", "P4", "P5", "P6", "none"})
_MOST_VALUES = 60
Values = Line | None


class LeadFilterQuery(Asked):
    """Filters of the list. Several values are separated by commas; ``none`` stands for an empty value."""

    q: Line = Field(
        default="", description="Looked for in name and domain; Turkish letters and their ASCII forms are one."
    )
    priority: Values = Field(default=None, description="P1 to P6, none while not scored.", examples=["P1,P2"])
    segment: Values = Field(default=None, description="The same as commercial_segment.")
    commercial_segment: Values = Field(default=None, description="GREENFIELD, COMPETITIVE, WEAK_PARTNER, RENEWAL…")
    technical_segment: Values = Field(default=None, description="Existing, Migration, Cold or Skip.")
    provider: Values = None
    gateway: Values = None
    referral_category: Values = None
    referral_status: Values = None
    dynamics_state: Values = None
    country: Values = None
    source: Values = None
    complete: bool | None = Field(default=None, description="False: leads with a failed lookup.")
    score_min: int | None = Field(default=None, ge=0, le=100)
    score_max: int | None = Field(default=None, ge=0, le=100)
    age_days: int | None = Field(default=None, ge=0, le=36500, description="First seen within so many days.")
    new_since: datetime | None = Field(default=None, description="First seen since.")
    changed_since: datetime | None = Field(default=None, description="Changed since.")
    expiring_days: int | None = Field(
        default=None, ge=0, le=3650, description="A New referral expires within so many days."
    )

    @field_validator("priority")
    @classmethod
    def _known_priority(cls, value: str | None) -> str | None:
        if value is not None and (not _split(value) or not set(_split(value)) <= _PRIORITIES):
            raise ValueError("P1 to P6 or none, separated by commas")
        return value

    @field_validator(*(name for name in _COLUMNS if name != "priority"))
    @classmethod
    def _few(cls, value: str | None) -> str | None:
        if value is not None and not 1 <= len(_split(value)) <= _MOST_VALUES:
            raise ValueError(f"1 to {_MOST_VALUES} values, separated by commas")
        return value

    @model_validator(mode="after")
    def _one_segment(self) -> LeadFilterQuery:
        if self.segment is not None and self.commercial_segment is not None:
            raise ValueError("segment and commercial_segment are one filter")
        return self

    def filter(self, now: datetime) -> LeadFilter:
        """The filter at a time: "within n days" counts from the start of the minute."""
        now = now.astimezone(UTC).replace(second=0, microsecond=0)
        values: dict[str, tuple[str | None, ...]] = {}
        for name, column in _COLUMNS.items():
            asked = getattr(self, name)
            if asked is not None:
                values[column] = tuple(dict.fromkeys(None if one == "none" else one for one in _split(asked)))
        since = _aware(self.new_since)
        if self.age_days is not None:
            by_age = now - timedelta(days=self.age_days)
            since = by_age if since is None else max(since, by_age)
        return LeadFilter(
            q=self.q.strip(),
            values=values,
            complete=self.complete,
            score_min=self.score_min,
            score_max=self.score_max,
            first_seen_since=since,
            changed_since=_aware(self.changed_since),
            expires_before=None if self.expiring_days is None else now + timedelta(days=self.expiring_days),
        )

    def asked(self) -> dict[str, Any]:
        """What was asked for, without what was left out: the list's identity."""
        return self.model_dump(mode="json", exclude_defaults=True, include=set(LeadFilterQuery.model_fields))

    @property
    def moves(self) -> bool:
        """Whether the answer changes with the clock alone."""
        return self.age_days is not None or self.expiring_days is not None


class LeadOrderQuery(LeadFilterQuery):
    """Filters and order of the list."""

    sort: LeadSort = "priority"
    order: Literal["asc", "desc"] = "asc"

    def in_order(self) -> Order:
        """The order asked for."""
        return Order(self.sort, self.order == "desc")


class LeadListQuery(LeadOrderQuery):
    """Filters, order and page of the list."""

    limit: int = Field(default=50, ge=1, le=200)
    cursor: str | None = Field(default=None, max_length=4000)


def _split(value: str) -> list[str]:
    return [part.strip() for part in value.split(",") if part.strip()]


def _aware(moment: datetime | None) -> datetime | None:
    if moment is None:
        return None
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
