"""Shapes of the figures above the list of leads: what needs somebody today, and the small plots."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from hunter_orchestration.web.models import FacetValue, Money


class Expiring(BaseModel):
    """New referrals about to be lost to silence: within so many days, and within one."""

    soon: int
    today: int
    days: int


class NewTop(BaseModel):
    """Leads of P1 and P2 first seen in the last days."""

    count: int
    days: int


class CurrencySum(BaseModel):
    """Open deals in one currency."""

    currency: str
    value: Money
    count: int


class Decisions(BaseModel):
    """CRM records that wait for a person."""

    rejected: int
    conflict: int
    deleted_in_crm: int
    total: int


class FunnelStage(BaseModel):
    """How many got this far."""

    stage: str
    count: int


class ScoreBand(BaseModel):
    """Leads whose score lies in a band, both ends included."""

    from_: int = Field(alias="from", serialization_alias="from")
    to: int
    count: int

    model_config = ConfigDict(populate_by_name=True)


class SyncDay(BaseModel):
    """Referral syncs of a day (UTC)."""

    day: str
    succeeded: int
    failed: int


class Summary(BaseModel):
    """The figures above the list."""

    total: int
    expiring: Expiring
    new_top: NewTop
    open_co_sell: list[CurrencySum]
    crm_decisions: Decisions
    by_priority: list[FacetValue]
    by_segment: list[FacetValue]
    funnel: list[FunnelStage]
    score_histogram: list[ScoreBand]
    syncs: list[SyncDay]
    counts: dict[str, int]
