"""The page's read model: one narrow row a company, kept by ``store.leads.refresh`` in the transaction that changed it.

Every sort the page offers is one composite index ending in the domain, so that any page of any sort is a range read.
"""

from sqlalchemy import Boolean, Column, Index, Integer, Table, Text

from hunter_orchestration.store.tables.base import metadata
from hunter_orchestration.store.types import Money, UtcDateTime

leads = Table(
    "leads",
    metadata,
    Column("domain", Text, primary_key=True),
    Column("domain_shown", Text, nullable=False, comment="Unicode form"),
    Column("name", Text, nullable=False),
    Column("name_key", Text, nullable=False, comment="sorts as a Turkish reader expects"),
    Column("search_text", Text, nullable=False, comment="name and domain, folded: ı, İ, I and i are one letter"),
    Column("country", Text),
    Column("size", Text),
    Column("source", Text, nullable=False, comment="partnercenter, import, api or webhook: the first that named it"),
    Column("priority", Text, nullable=False, comment="P1 to P6; P9 while not scored"),
    Column("score", Integer, nullable=False, comment="0 to 100; -1 while not scored"),
    Column("complete", Boolean, nullable=False),
    Column("segment", Text),
    Column("commercial_segment", Text),
    Column("technical_heat", Text),
    Column("commercial_heat", Text),
    Column("provider", Text, nullable=False, comment="Unknown while not scanned"),
    Column("gateway", Text),
    Column("hoster", Text),
    Column("referral_id", Text, comment="the leading referral"),
    Column("referral_category", Text),
    Column("referral_status", Text),
    Column("referral_substatus", Text),
    Column("referral_count", Integer, nullable=False),
    Column("expires_at", UtcDateTime, comment="earliest expiry of a New referral"),
    Column("deal_value", Money, comment="of the leading referral"),
    Column("currency", Text),
    Column("dynamics_state", Text, nullable=False, comment="not_pushed or the worst state of the company's records"),
    Column("dynamics_detail", Text, comment="what the state needs a reader to know"),
    Column("first_seen_at", UtcDateTime, nullable=False),
    Column("changed_at", UtcDateTime, nullable=False),
    Index("ix_leads_priority", "priority", "score", "domain"),
    Index("ix_leads_score", "score", "domain"),
    Index("ix_leads_name_key", "name_key", "domain"),
    Index("ix_leads_segment", "commercial_segment", "priority", "score", "domain"),
    Index("ix_leads_provider", "provider", "priority", "score", "domain"),
    Index("ix_leads_category", "referral_category", "priority", "score", "domain"),
    Index("ix_leads_referral_status", "referral_status", "priority", "score", "domain"),
    Index("ix_leads_dynamics_state", "dynamics_state", "priority", "score", "domain"),
    Index("ix_leads_country", "country", "priority", "score", "domain"),
    Index("ix_leads_source", "source", "priority", "score", "domain"),
    Index("ix_leads_expires_at", "expires_at", "domain"),
    Index("ix_leads_deal_value", "deal_value", "domain"),
    Index("ix_leads_first_seen_at", "first_seen_at", "domain"),
    Index("ix_leads_changed_at", "changed_at", "domain"),
)
