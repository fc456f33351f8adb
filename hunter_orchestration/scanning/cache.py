"""Answers that many domains need, kept by their TTL: a provider's SPF records, the address of a hoster's server."""

from __future__ import annotations

from collections import OrderedDict

from hunter_orchestration.scanning.wire import Answer

_LEAST_SECONDS = 30.0
_MOST_SECONDS = 3600.0
_UNKNOWN_SECONDS = 20.0


class AnswerCache:
    """A bounded cache, oldest out first. A failed lookup is kept for seconds only, so that it is tried again.

    Args:
        most: entries kept.
    """

    def __init__(self, most: int = 4096) -> None:
        self.most = most
        self._kept: OrderedDict[tuple[str, int], tuple[float, Answer]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._kept)

    def get(self, key: tuple[str, int], now: float) -> Answer | None:
        """The answer to a name and type, unless its time is over."""
        kept = self._kept.get(key)
        if kept is None:
            return None
        if kept[0] < now:
            del self._kept[key]
            return None
        self._kept.move_to_end(key)
        return kept[1]

    def put(self, key: tuple[str, int], answer: Answer, now: float) -> None:
        """Keep an answer for its TTL, within bounds. Very large record sets are not kept."""
        if sum(len(record) for record in answer.records if isinstance(record, bytes)) > 8192:
            return
        seconds = min(max(answer.ttl, _LEAST_SECONDS), _MOST_SECONDS) if answer.state != "unknown" else _UNKNOWN_SECONDS
        self._kept[key] = now + seconds, answer
        if len(self._kept) > self.most:
            self._kept.popitem(last=False)
