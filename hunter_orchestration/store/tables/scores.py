"""Scores by company, the rules they come from, and what they were before."""

from sqlalchemy import Boolean, Column, Index, Integer, Table, Text

from hunter_orchestration.store.tables.base import metadata
from hunter_orchestration.store.types import Json, Key, UtcDateTime

scores = Table(
    "scores",
    metadata,
    Column("domain", Text, primary_key=True),
    Column("rules_version", Text, nullable=False),
    Column("input_hash", Text, nullable=False),
    Column("inputs", Json, nullable=False),
    Column("provider", Text, nullable=False, comment="as the rules see it: a known tenant makes it M365"),
    Column("score", Integer, nullable=False),
    Column("complete", Boolean, nullable=False, comment="false: a lookup failed and could change the score"),
    Column("segment", Text, nullable=False),
    Column("technical_heat", Text, nullable=False),
    Column("commercial_segment", Text, nullable=False),
    Column("commercial_heat", Text, nullable=False),
    Column("priority", Text, nullable=False, comment="P1 to P6"),
    Column("priority_label", Text, nullable=False),
    Column("breakdown", Json, nullable=False, comment="every point with its reason and evidence"),
    Column("scored_at", UtcDateTime, nullable=False),
    Column("changed_at", UtcDateTime, nullable=False, comment="last time score or priority became another"),
    Column("priority_since", UtcDateTime, nullable=False, comment="since when it has this priority"),
    Index("ix_scores_rules_version", "rules_version", "domain"),
)

score_history = Table(
    "score_history",
    metadata,
    Column("id", Key, primary_key=True),
    Column("domain", Text, nullable=False),
    Column("at", UtcDateTime, nullable=False),
    Column("score", Integer, nullable=False),
    Column("priority", Text, nullable=False),
    Column("rules_version", Text, nullable=False),
    Index("ix_score_history_domain_at", "domain", "at"),
    Index("ix_score_history_at", "at"),
)
