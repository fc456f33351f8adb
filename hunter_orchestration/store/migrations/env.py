"""Runs migrations on the store that ``store.migrate`` hands over."""

from alembic import context

from hunter_orchestration.store.tables import metadata

store = context.config.attributes["store"]
with store.engine.connect() as connection:
    if store.dialect == "postgresql":
        # One upgrade at a time, whichever process asks; released with the session.
        connection.exec_driver_sql("SELECT pg_advisory_lock(748013)")
        connection.commit()
    context.configure(
        connection=connection,
        target_metadata=metadata,
        transaction_per_migration=True,
        transactional_ddl=True,
        render_as_batch=store.dialect == "sqlite",
    )
    if store.dialect == "sqlite":
        connection.exec_driver_sql("BEGIN IMMEDIATE")
    with context.begin_transaction():
        context.run_migrations()
    connection.commit()
    if store.dialect == "postgresql":
        connection.exec_driver_sql("SELECT pg_advisory_unlock(748013)")
        connection.commit()
