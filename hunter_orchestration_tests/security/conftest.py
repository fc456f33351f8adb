"""The server as an attacker meets it."""

from hunter_orchestration_tests.web.conftest import client, client_for, engine, page, quiet_log

__all__ = ["client", "client_for", "engine", "page", "quiet_log"]
