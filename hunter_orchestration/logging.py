"""Logs: one JSON object a line on standard error, personal data masked, control characters escaped.

E-mail addresses and telephone numbers are masked wherever they appear, values of keys that hold names, tokens or
secrets always.
"""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import Mapping
from typing import Any

import structlog

_EMAIL = re.compile(r"([A-Za-z0-9._%+\-]{1,64})@([A-Za-z0-9.\-]{1,253}\.[A-Za-z]{2,63})")
_PHONE = re.compile(r"(?<![\w.:/-])\+?\d[\d ()/.-]{7,18}\d(?![\w.:-])")
_BEARER = re.compile(r"(?i)\b(bearer\s+)[A-Za-z0-9._~+/=-]{8,}")
_SECRET_KEYS = re.compile(r"(?i)(token|secret|password|authorization|cookie|assertion|api_key)")
_PERSON_KEYS = frozenset({"first_name", "last_name", "full_name", "contact_name", "email", "phone"})
_PLAIN_KEYS = frozenset({"timestamp", "level", "logger", "run_id", "request_id", "referral_id", "scanned_at", "url"})


def mask(text: str) -> str:
    """Replace the personal parts of a text: ``ayse@firma.example`` becomes ``a…@firma.example``."""
    text = _BEARER.sub(r"\1…", text)
    text = _EMAIL.sub(lambda m: f"{m[1][0]}…@{m[2]}", text)
    return _PHONE.sub("…", text)


def _masked(key: str, value: Any) -> Any:
    if _SECRET_KEYS.search(key) and isinstance(value, str | bytes):
        return "…"
    if key in _PERSON_KEYS and value:
        return mask(str(value)) if "@" in str(value) else "…"
    if key in _PLAIN_KEYS:
        return value
    if isinstance(value, str):
        return mask(value)
    if isinstance(value, Mapping):
        return {str(k): _masked(str(k), v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_masked(key, v) for v in value]
    return value


def _mask_event(_logger: Any, _method: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    return {key: _masked(key, value) for key, value in event.items()}


_SHARED: list[structlog.typing.Processor] = [
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_log_level,
    structlog.stdlib.add_logger_name,
    structlog.stdlib.PositionalArgumentsFormatter(),
    structlog.processors.TimeStamper(fmt="iso", utc=True),
    structlog.processors.format_exc_info,
    _mask_event,
]


def configure_logging(level: str = "INFO") -> None:
    """Send every log line of this process, other libraries' included, through one masked JSON formatter."""
    structlog.configure(
        processors=[*_SHARED, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=_SHARED,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.JSONRenderer(ensure_ascii=False),
            ],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)


def get_logger(name: str) -> structlog.stdlib.BoundLogger:
    """A logger whose events are short sentences and whose facts are keyword arguments."""
    return structlog.stdlib.get_logger(name)
