"""The subcommands of ``hunter``, a module a room. Each has ``register(app)`` and imports its room when it is called."""
