"""What the engine carries: questions asked by tasks, tasks that run, lookups under way, and the end of a task."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any, Generic, NamedTuple, TypeVar

from hunter_orchestration.scanning.resolvers import Resolver
from hunter_orchestration.scanning.wire import Answer, encode_question

R = TypeVar("R")

TRIES = 4
_TASK_SECONDS = 30.0


class Question(NamedTuple):
    """A lookup asked by a task.

    ``shared`` answers are kept by their TTL for all tasks; ``tries`` is the most times it is sent.
    """

    name: str
    qtype: int
    shared: bool = False
    tries: int = TRIES


Task = Generator[list[Question], list[Answer], R]


class Running(Generic[R]):
    """A task under way. ``heard`` once any of its lookups was answered."""

    __slots__ = ("answers", "ends_at", "generator", "heard", "key", "lookups", "open", "parked", "started")

    def __init__(self, key: Any, generator: Task[R], now: float) -> None:
        self.key = key
        self.generator = generator
        self.started = now
        self.ends_at = now + _TASK_SECONDS
        self.answers: list[Any] = []
        self.open = 0
        self.lookups = 0
        self.heard = False
        self.parked = 0


class Lookup:
    """A lookup under way: where it was sent, how often, and who waits for it."""

    __slots__ = (
        "asked", "chases", "cnames", "done", "edns", "failure", "flying", "ids", "most", "name", "only", "over_tcp",
        "parked", "plain", "qtype", "question", "queued", "refusals", "resolver", "sent_at", "slot", "task",
        "tcp_tries", "timer", "tries", "ttl", "waiters",
    )  # fmt: skip

    def __init__(self, name: str, asked: Question, task: Running[Any], slot: int) -> None:
        self.name = name
        self.qtype = asked.qtype
        self.asked = asked
        self.question = encode_question(name, asked.qtype)
        self.task = task
        self.slot = slot
        self.most = asked.tries
        self.tries = 0
        self.refusals = 0
        self.chases = 0
        self.cnames: list[str] = []
        self.ttl = 0
        self.ids: list[int] = []
        self.only: Resolver | None = None
        self.resolver: Resolver | None = None
        self.flying: Resolver | None = None
        self.sent_at = 0.0
        self.timer = 0
        self.queued = False
        self.edns = True
        self.over_tcp = False
        self.tcp_tries = 0
        self.done = False
        self.parked = False
        self.plain = False
        self.failure = "timeout"
        self.waiters: list[tuple[Running[Any], int]] | None = None


class Finished(NamedTuple):
    """The end of a task: its key, its result, the lookups it needed beyond the shared cache, and its seconds."""

    key: Any
    result: Any
    lookups: int
    seconds: float
