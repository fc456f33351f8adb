"""Referrals in: sign-in, client, resource models, ingestion, write-back and webhooks of Partner Center."""
