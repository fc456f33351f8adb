"""JSON of other services, half characters included: a text cut amid an emoji must not cost its neighbours."""

from __future__ import annotations

import json
import re
from typing import Any

import orjson

_LONE_SURROGATE = re.compile("[\ud800-\udfff]")


def loads(content: bytes) -> Any:
    """The value; a half of a surrogate pair, which is no text, is read as the replacement character.

    Raises:
        orjson.JSONDecodeError: it is no JSON.
    """
    try:
        return orjson.loads(content)
    except orjson.JSONDecodeError as error:
        try:
            whole = _LONE_SURROGATE.sub("\ufffd", json.dumps(json.loads(content), ensure_ascii=False))
            return json.loads(whole)
        except (ValueError, RecursionError):
            raise error from None
