"""The schema, a module a subject. ``metadata`` is what migrations are compared with."""

from hunter_orchestration.store.tables import companies, crm, ingestion, leads, operations, referrals, scans, scores
from hunter_orchestration.store.tables.base import metadata

__all__ = ["companies", "crm", "ingestion", "leads", "metadata", "operations", "referrals", "scans", "scores"]
