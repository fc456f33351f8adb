"""What the lookups of one domain gave, and the step that asks and remembers. What answers mean is told elsewhere."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass, field

from hunter_orchestration.scanning import dkim, dmarc, spf
from hunter_orchestration.scanning.mailbox import Holder, Tells
from hunter_orchestration.scanning.providers import ProviderTable
from hunter_orchestration.scanning.tasks import Question
from hunter_orchestration.scanning.wire import TXT, Answer


@dataclass(slots=True)
class Gathered:
    """Everything the lookups of one domain gave, ready to be told.

    ``asked`` holds every question with its answer, in order; ``failed`` the core ones that stayed unknown;
    ``selected`` the DKIM selectors under which there is a text or an alias; ``made_up`` what a wildcard gives them all,
    None without a wildcard and when it gives each another.
    """

    domain: str
    mx: Answer
    txt: Answer | None = None
    a: Answer | None = None
    ns: Answer | None = None
    spf: spf.Finding = field(default_factory=lambda: spf.Finding("none"))
    dmarc: dmarc.Finding = field(default_factory=lambda: dmarc.Finding("none"))
    keys: dict[str, dkim.Key] = field(default_factory=dict)
    selected: list[tuple[str, Answer]] = field(default_factory=list)
    dkim_absent: bool = False
    wildcard: bool = False
    made_up: bytes | None = None
    tenant_name: str | None = None
    tells: Tells = field(default_factory=Tells)
    holder: Holder = field(default_factory=lambda: Holder("Unknown", certain=False))
    dns_host: str | None = None
    asked: list[tuple[Question, Answer]] = field(default_factory=list)
    failed: list[tuple[str, str]] = field(default_factory=list)


Plan = Generator[list[Question], list[Answer], Gathered]
Steps = Generator[list[Question], list[Answer], None]


def ask(
    found: Gathered, questions: list[Question], core: bool = True
) -> Generator[list[Question], list[Answer], list[Answer]]:
    """Ask, and note questions with answers; those that fail count as failed when the question is a ``core`` one."""
    answers = yield questions
    found.asked += zip(questions, answers, strict=True)
    if core:
        for question, answer in zip(questions, answers, strict=True):
            # A host that an SPF record names is asked for its void lookups alone.
            if answer.state == "unknown" and (question.qtype == TXT or not question.shared):
                found.failed.append((question.name, answer.reason))
    return answers


def tell(found: Gathered, table: ProviderTable, provider: str, kind: str) -> None:
    """Note a tell of every service of a provider; ``provider`` is a category of scoring."""
    for service in table.services:
        if service.provider == provider:
            found.tells.add(service, kind)
