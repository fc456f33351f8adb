"""Shapes of the API: what may be asked and what is answered. Unknown fields are refused."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any, Generic, Literal, TypeVar

from fastapi import Path
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, PlainSerializer, computed_field

from hunter_orchestration.store import leads

T = TypeVar("T")


def _clean(text: str) -> str:
    if "\x00" in text:
        raise ValueError("holds a NUL character")
    return text


Money = Annotated[Decimal, PlainSerializer(float, return_type=float, when_used="json")]
Line = Annotated[str, Field(max_length=300), AfterValidator(_clean)]
LongText = Annotated[str, Field(max_length=5000), AfterValidator(_clean)]
Number = Annotated[int, Path(ge=1, le=2**53 - 1)]
"""An id in an address: no larger than JavaScript counts."""
Domain = Annotated[str, Field(min_length=1, max_length=253), AfterValidator(_clean)]


class Asked(BaseModel):
    """Base of bodies and queries: unknown fields are refused."""

    model_config = ConfigDict(extra="forbid")


class Listed(Asked):
    """A page of a list."""

    limit: int = Field(default=50, ge=1, le=200)
    cursor: str | None = Field(default=None, max_length=4000)


class Nothing(Asked):
    """An empty body."""


class Answered(BaseModel):
    """Base of answers."""

    model_config = ConfigDict(from_attributes=True)


class OfCompany(Answered):
    """Something that belongs to a company."""

    domain: str

    @computed_field(description="The domain as people read it, not as the DNS does.")  # type: ignore[prop-decorator]
    @property
    def domain_shown(self) -> str:
        """The domain as people read it."""
        return leads.shown(self.domain)


class Page(BaseModel, Generic[T]):
    """A page of a list. ``total`` is the least number when ``total_exact`` is false."""

    items: list[T]
    total: int = Field(examples=[86])
    total_exact: bool = True
    next: str | None = Field(default=None, description="Cursor of the next page, empty at the end.")
    previous: str | None = Field(default=None, description="Cursor of the page before, empty at the start.")


class Lead(Answered):
    """A row of the list: one company."""

    domain: str = Field(examples=["egeinsaat.example"])
    domain_shown: str
    name: str = Field(examples=["Ege İnşaat ve Proje A.Ş."])
    country: str | None = Field(examples=["TR"])
    size: str | None
    source: str = Field(examples=["partnercenter"])
    priority: str | None = Field(description="P1 to P6, empty while not scored.", examples=["P2"])
    score: int | None = Field(description="0 to 100, empty while not scored.", examples=[75])
    complete: bool = Field(description="False: a lookup failed and could change the score.")
    segment: str | None = Field(examples=["Migration"])
    commercial_segment: str | None = Field(examples=["COMPETITIVE"])
    technical_heat: str | None
    commercial_heat: str | None
    provider: str = Field(examples=["Google"])
    gateway: str | None
    hoster: str | None
    referral_id: str | None
    referral_category: str | None = Field(examples=["co_sell"])
    referral_status: str | None
    referral_substatus: str | None
    referral_count: int
    expires_at: datetime | None
    deal_value: Money | None
    currency: str | None
    dynamics_state: str = Field(examples=["synced"])
    dynamics_detail: str | None
    first_seen_at: datetime
    changed_at: datetime


class FacetValue(BaseModel):
    """A value and how many leads have it; an empty value is null."""

    value: str | None
    count: int


class Facets(BaseModel):
    """Counts by filter value under the rest of the filter."""

    total: int
    total_exact: bool = True
    facets: dict[str, list[FacetValue]]


class Company(Answered):
    """The company as its sources and people tell it."""

    domain: str
    name: str
    name_source: str
    country: str | None
    city: str | None
    address: Any | None
    size: str | None
    size_source: str | None
    phone: str | None
    website: str | None
    tenant_id: str | None
    tenant_source: str | None
    sources: Any
    edited: Any | None
    referral_count: int
    open_referral_count: int
    has_open_co_sell: bool
    open_deal_value: Any | None
    first_seen_at: datetime
    changed_at: datetime


class Contact(Answered):
    """Somebody at the company."""

    id: int
    first_name: str | None
    last_name: str | None
    email: str
    phone: str | None
    title: str | None
    locale: str | None
    source: str
    refuses_contact: bool = Field(description="The customer said no to being contacted.")


class Score(Answered):
    """A score and every point of it."""

    domain: str
    score: int
    complete: bool
    provider: str
    segment: str
    commercial_segment: str
    technical_heat: str
    commercial_heat: str
    priority: str
    priority_label: str
    rules_version: str
    scored_at: datetime
    inputs: Any
    breakdown: list[dict[str, Any]] = Field(description="Points with text in both languages and evidence; they add up.")
    reach: dict[str, Any] | None = Field(
        description="What the unknown could still make of it: score, categories, unknown. "
        "Null while the rules file is broken."
    )


class SlowFinding(Answered):
    """A finding of the extended scan."""

    state: str
    facts: Any
    fetched_at: datetime


class Scan(Answered):
    """What the domain tells, with its evidence."""

    scanned_at: datetime
    expires_at: datetime
    complete: bool
    provider: str
    gateway: str | None
    hoster: str | None
    mx_state: str
    spf_state: str
    spf_all: str | None
    spf_includes: int | None
    dkim_found: bool | None
    dmarc_state: str
    dmarc_policy: str | None
    tenant_id: str | None
    tenant_name: str | None
    lookups: int
    seconds: float
    findings: Any
    details: dict[str, SlowFinding] = Field(default_factory=dict)


class ScanChange(Answered):
    """What changed between two scans."""

    at: datetime
    kind: str
    old: str | None
    new: str | None


class ScoreBefore(Answered):
    """An earlier score."""

    at: datetime
    score: int
    priority: str


class Person(BaseModel):
    """The first contact of a referral."""

    name: str | None
    email: str | None
    phone: str | None


class Referral(Answered):
    """A referral in the inbox."""

    id: str
    engagement_id: str | None
    name: str
    company_name: str
    company_domain: str | None
    domain_shown: str | None = Field(description="The company's domain as people read it.")
    domain_rejected: str | None
    linked_by: str | None
    type: str
    category: str
    status: str
    substatus: str
    direction: str | None
    country: str | None
    city: str | None
    company_size: str | None
    is_open: bool
    deal_value: Money | None
    currency: str | None
    closing_at: datetime | None
    created_at: datetime
    updated_at: datetime
    expires_at: datetime | None
    days_left: int | None = Field(description="Whole days left to answer a New referral; negative when overdue.")
    contact: Person | None


class ReferralChange(Answered):
    """A change of a referral."""

    at: datetime
    status: str
    substatus: str
    deal_value: Money | None
    currency: str | None


class ReferralActed(Answered):
    """What somebody did to it from here."""

    at: datetime
    action: str
    requested_by: str
    state: str
    detail: str | None


class ReferralDetail(Referral):
    """A referral whole."""

    notes: str | None
    needs: Any | None
    contacts: list[Any]
    category_rule: str
    qualification: str | None
    status_reason: str | None
    tenant_id: str | None
    external_reference_id: str | None
    accepted_at: datetime | None
    closed_at: datetime | None
    synced_at: datetime
    unknown_values: Any | None
    history: list[ReferralChange]
    actions: list[ReferralActed] = Field(default_factory=list)
    allowed_actions: list[str] = Field(default_factory=list)


class CrmRecord(OfCompany):
    """What the ledger says of one CRM record."""

    table: str
    external_id: str
    domain: str
    name: str | None = None
    priority: str | None = None
    referral_id: str | None
    crm_id: str | None
    link: str | None = Field(description="The record in Dynamics.")
    state: str
    crm_state: str | None
    crm_owner: str | None
    attempts: int
    next_attempt_at: datetime | None
    error_code: str | None
    error: str | None
    fix: str | None
    candidates: Any | None
    synced_at: datetime | None
    changed_at: datetime


class CrmAttempt(Answered):
    """One attempt on a record."""

    at: datetime
    actor: str
    table: str
    external_id: str
    operation: str
    fields: Any | None
    outcome: str
    status: int | None
    code: str | None
    detail: str | None


class DynamicsStatus(BaseModel):
    """Everything about a company in Dynamics."""

    domain: str
    state: str
    enabled: bool
    records: list[CrmRecord]
    merged_accounts: list[CrmRecord] = Field(
        default=[], description="Accounts of companies merged into this one that still stand apart in Dynamics."
    )
    history: list[CrmAttempt]


class Merge(BaseModel):
    """A company that was merged into this one and can be parted from it again."""

    id: int = Field(description="What POST /merges/{merge_id}/undo takes.")
    loser: str = Field(examples=["egeinsaat.test"])
    at: datetime
    by: str


class LeadDetail(BaseModel):
    """A lead whole."""

    lead: Lead
    merged_from: str | None = None
    merges: list[Merge] = Field(default_factory=list, description="Merges into this company that stand, oldest first.")
    company: Company | None
    contacts: list[Contact]
    score: Score | None
    scan: Scan | None
    scan_changes: list[ScanChange]
    score_history: list[ScoreBefore]
    referrals: list[ReferralDetail]
    dynamics: DynamicsStatus


class Step(BaseModel):
    """A step of a run."""

    name: str
    state: str
    seconds: float | None


class Sync(Answered):
    """A recorded stage."""

    id: int
    kind: str
    run_id: str | None
    requested_by: str | None
    state: str
    started_at: datetime
    finished_at: datetime | None
    counts: dict[str, Any] | None
    error: str | None


class Run(BaseModel):
    """A run of the engine."""

    id: str
    job: str
    state: Literal["queued", "starting", "running", "succeeded", "failed", "cancelled"]
    started_at: datetime | None
    finished_at: datetime | None
    requested_by: str | None
    steps: list[Step] = Field(default_factory=list)
    stages: list[Sync] = Field(default_factory=list)
    error: str | None = None
    url: str


class RunAnswer(BaseModel):
    """The run an action started."""

    run: Run
    joined: bool = Field(default=False, description="True: it was running already.")


class Bulk(BaseModel):
    """An action over many leads."""

    id: int
    action: str
    state: Literal["queued", "running", "done", "cancelled", "failed"]
    counts: dict[str, int] = Field(examples=[{"total": 86, "done": 40, "failed": 1, "left": 45}])
    run_id: str | None
    requested_by: str
    created_at: datetime
    finished_at: datetime | None


class View(Answered):
    """A saved view."""

    id: int
    name: str
    query: str
    created_at: datetime
