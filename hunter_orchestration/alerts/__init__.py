"""Alerts: what went wrong or is well again, told once to whoever the alerts file names. No Dagster in here."""
