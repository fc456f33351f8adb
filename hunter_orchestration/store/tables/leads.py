"""The page's read model: one narrow row a company, kept by ``store.leads.refresh`` in the transaction that changed it.

Every sort the page offers is a range read of one index that ends in the domain, and every filter value is a range of
an index that goes on in the default order, so that any page of any list costs what it shows. ``lead_counts`` holds
how many leads there are of each combination of filter values; triggers keep it (migration 0003).
"""

from sqlalchemy import Boolean, Column, Computed, Index, Integer, Table, Text
from sqlalchemy.dialects import postgresql

from hunter_orchestration.store.tables.base import metadata
from hunter_orchestration.store.types import Key, Money, UtcDateTime

# Bytewise order on both databases: ``name_key`` is made for it, and a keyset must compare as the index sorts.
_Ordered = Text().with_variant(postgresql.TEXT(collation="C"), "postgresql")

leads = Table(
    "leads",
    metadata,
    Column("id", Key, primary_key=True, comment="row number of the search index"),
    Column("domain", _Ordered, nullable=False),
    Column("domain_shown", Text, nullable=False, comment="Unicode form"),
    Column("name", Text, nullable=False),
    Column("name_key", _Ordered, nullable=False, comment="sorts as a Turkish reader expects"),
    Column("search_text", _Ordered, nullable=False, comment="name and domain, folded: ı, İ, I and i are one letter"),
    Column("country", _Ordered),
    Column("size", Text),
    Column(
        "source", _Ordered, nullable=False, comment="partnercenter, import, api or webhook: the first that named it"
    ),
    Column("priority", _Ordered, nullable=False, comment="P1 to P6; P9 while not scored"),
    Column("score", Integer, nullable=False, comment="0 to 100; -1 while not scored"),
    Column(
        "rank",
        Integer,
        Computed("CAST(substr(priority, 2, 1) AS INTEGER) * 1000 - score", persisted=True),
        nullable=False,
        comment="the default order as one number: priority, then the higher score",
    ),
    Column("complete", Boolean, nullable=False),
    Column("segment", _Ordered),
    Column("commercial_segment", _Ordered),
    Column("technical_heat", Text),
    Column("commercial_heat", Text),
    Column("provider", _Ordered, nullable=False, comment="Unknown while not scanned"),
    Column("gateway", _Ordered),
    Column("hoster", Text),
    Column("referral_id", Text, comment="the leading referral"),
    Column("referral_category", _Ordered),
    Column("referral_status", _Ordered),
    Column("referral_substatus", Text),
    Column("referral_count", Integer, nullable=False),
    Column("expires_at", UtcDateTime, comment="earliest expiry of a New referral"),
    Column("deal_value", Money, comment="of the leading referral"),
    Column("currency", Text),
    Column(
        "dynamics_state", _Ordered, nullable=False, comment="not_pushed or the worst state of the company's records"
    ),
    Column("dynamics_detail", Text, comment="what the state needs a reader to know"),
    Column("first_seen_at", UtcDateTime, nullable=False),
    Column("changed_at", UtcDateTime, nullable=False),
    Index("uq_leads_domain", "domain", unique=True),
    Index("ix_leads_rank", "rank", "domain"),
    Index("ix_leads_score", "score", "priority"),
    # With the searched text, so that a search in the order of names is walked in the index alone.
    Index("ix_leads_name_key", "name_key", "domain", "search_text"),
    Index("ix_leads_search_text", "search_text"),
    Index("ix_leads_expires_at", "expires_at", "domain"),
    Index("ix_leads_deal_value", "deal_value", "domain"),
    # With the rank, so that the new ones of a priority are counted in the index alone.
    Index("ix_leads_first_seen_at", "first_seen_at", "domain", "rank"),
    Index("ix_leads_changed_at", "changed_at", "domain"),
    *(
        Index(f"ix_leads_{name}", name, "rank", "domain")
        for name in (
            "commercial_segment",
            "segment",
            "provider",
            "gateway",
            "referral_category",
            "referral_status",
            "dynamics_state",
            "country",
            "source",
            "complete",
        )
    ),
)

COUNTED = (
    "priority",
    "commercial_segment",
    "segment",
    "provider",
    "gateway",
    "referral_category",
    "referral_status",
    "dynamics_state",
    "country",
    "source",
)
"""Columns of ``leads`` whose values are told with their counts; an empty value is counted as the empty text."""

KEPT_BY = (*COUNTED, "complete", "score")
"""Columns of ``leads`` whose combinations ``lead_counts`` holds."""

lead_counts = Table(
    "lead_counts",
    metadata,
    Column("id", Key, primary_key=True),
    *(Column(name, _Ordered, nullable=False) for name in COUNTED),
    Column("complete", Boolean, nullable=False),
    Column("score", Integer, nullable=False),
    Column("leads", Integer, nullable=False, comment="on PostgreSQL several rows of one combination add up"),
)
