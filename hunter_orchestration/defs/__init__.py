"""All that imports dagster, and nothing else: assets, checks, jobs, schedules, sensors, resources, partitions."""

import warnings

import dagster as dg

# Backfill policies and code references are marked beta; a line for each asset in every log would bury what matters.
warnings.filterwarnings("ignore", category=dg.BetaWarning)
