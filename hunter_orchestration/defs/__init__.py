"""All that imports dagster, and nothing else: assets, checks, jobs, schedules, sensors, resources, partitions."""
