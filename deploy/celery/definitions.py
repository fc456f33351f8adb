"""Hunter's definitions with the spread scan on Celery. The queue's address comes from the environment."""

from __future__ import annotations

from dagster_celery import celery_executor

from hunter_orchestration.definitions import build_defs
from hunter_orchestration.settings import load_settings

_QUEUE = {
    "broker": {"env": "DAGSTER_CELERY_BROKER"},
    "backend": {"env": "DAGSTER_CELERY_BACKEND"},
    "config_source": {
        # A dead worker's step goes to another after visibility_timeout: longer than a chunk takes. Workers look every
        # ten seconds; without the last option it is every hundred.
        "task_acks_late": True,
        "task_reject_on_worker_lost": True,
        "worker_prefetch_multiplier": 1,
        "broker_transport_options": {"visibility_timeout": 300, "unacked_restore_throttle": 1},
    },
}

defs = build_defs(load_settings(), spread_over=celery_executor.configured(_QUEUE))
