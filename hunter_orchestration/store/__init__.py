"""The store: tables, migrations and queries. The only room that writes SQL.

``tables`` holds the schema by subject, ``engine`` opens it, ``migrate`` upgrades it; every other module is the
queries of one subject as plain functions on a connection. No business rule lives here.
"""

from sqlalchemy import Connection

from hunter_orchestration.store.engine import Store, StoreError

__all__ = ["Connection", "Store", "StoreError"]
