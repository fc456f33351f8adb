"""The HTTP API that also serves the mini UI; starts Dagster runs and follows them."""
