"""Referrals in: sign-in, client, resource model, ingestion, write-back and webhooks of Microsoft Partner Center.

Ends where a referral is a row of ours: which company it belongs to is decided by ``companies``.
"""
