"""The core set of one domain: which lookups, in which order, and when to stop.

``plan`` is a task of the engine: a generator of questions, free of sockets and clocks. It asks as little as the truth
allows. The MX goes first, alone: a domain that doesn't exist or doesn't answer ends there. An NXDOMAIN at
``_domainkey`` spares the selectors (RFC 8020).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Generator

from hunter_orchestration.scanning import dkim, dmarc, spf
from hunter_orchestration.scanning.gathered import Gathered, Plan, Steps, ask, tell
from hunter_orchestration.scanning.holders import who
from hunter_orchestration.scanning.mailbox import is_own
from hunter_orchestration.scanning.providers import ProviderTable
from hunter_orchestration.scanning.tasks import Question
from hunter_orchestration.scanning.wire import MX, NS, TXT, A, Answer

LEAST_SELECTORS, MOST_SELECTORS = 20, 28
_SPF_ROUNDS = 11
_SENDING = ("SendGrid", "Mailgun", "Amazon")


def plan(domain: str, table: ProviderTable) -> Plan:
    """Ask for the core set of a domain.

    A company's domain is registrable, hence its own organisational domain: DMARC's fallback (RFC 7489 section 6.6.3)
    ends where it begins, and what the tree walk of RFC 9989 may find above it is a registry's word, not the company's.

    Args:
        domain: lower-case ASCII, without a final dot.
        table: the provider table.
    """
    found = Gathered(domain, Answer("unknown", "gave_up"))
    found.mx = (yield from ask(found, [Question(domain, MX, tries=3)]))[0]
    if found.mx.reason == "nxdomain" and not found.mx.cnames:
        _never_existed(found)
        return found
    if found.mx.state == "unknown":
        # Some servers fail on one type only. After silence one more question shows whether anybody is there.
        if found.mx.reason not in ("resolver_dead", "gave_up"):
            tries = 1 if found.mx.reason == "timeout" else 2
            found.txt = (yield from ask(found, [Question(domain, TXT, tries=tries)]))[0]
        if found.txt is None or found.txt.state == "unknown":
            _give_up(found, found.mx.reason)
            return found
    questions = [Question(domain, NS), Question(domain, A), Question(f"_dmarc.{domain}", TXT)]
    questions.append(Question(f"_domainkey.{domain}", TXT))
    if found.txt is None:
        questions.append(Question(domain, TXT))
    answers = yield from ask(found, questions)
    found.ns, found.a, dmarc_answer, keys_answer = answers[:4]
    txt = found.txt if found.txt is not None else answers[4]
    found.txt = txt
    _read_ns(found, table)
    for service in table.verified(txt.records):
        found.tells.add(service, "txt")
    yield from _policies(found, txt, dmarc_answer, keys_answer, table)
    yield from who(found, table)
    return found


def _never_existed(found: Gathered) -> None:
    found.dkim_absent = True
    for name in ("txt", "a", "ns"):
        setattr(found, name, Answer("absent", "nxdomain"))


def _give_up(found: Gathered, reason: str) -> None:
    found.spf = spf.Finding("unknown", reason)
    found.dmarc = dmarc.Finding("unknown", reason=reason)


def _read_ns(found: Gathered, table: ProviderTable) -> None:
    for host in found.ns.records if found.ns is not None else ():
        service = table.match("ns", host)
        if service is not None:
            found.dns_host = service.name
            found.tells.add(service, "ns")
            return


# -- SPF, DMARC, DKIM, side by side -----------------------------------------------------------------------------


def _policies(
    found: Gathered,
    txt: Answer,
    dmarc_answer: Answer,
    keys_answer: Answer,
    table: ProviderTable,
) -> Steps:
    """Whatever of SPF's includes and DKIM's selectors may be asked together, is."""
    found.dmarc = dmarc.read(dmarc_answer)
    found.dmarc.at = f"_dmarc.{found.domain}" if found.dmarc.record else None
    included: dict[str, Answer] = {}
    hosts = {(found.domain, MX): found.mx, (found.domain, A): found.a or Answer("unknown")}
    finding, needed = spf.evaluate(found.domain, txt, included, hosts)
    _spf_tells(found, txt, table)
    selectors = _first_selectors(found, keys_answer, table)
    rounds = 0
    while needed or selectors:
        asked = sorted(needed)[: spf.LOOKUP_LIMIT]
        questions = [Question(name, qtype, shared=True) for name, qtype in asked]
        questions += [Question(f"{selector}._domainkey.{found.domain}", TXT) for selector in selectors]
        answers = yield from ask(found, questions)
        for (name, qtype), answer in zip(asked, answers, strict=False):
            if qtype == TXT:
                included[name] = answer
            else:
                hosts[name, qtype] = answer
        _read_keys(found, selectors, answers[len(asked) :], table)
        rounds += 1
        if selectors and rounds == 1:
            yield from _wildcard(found)
            selectors = _more_selectors(found, keys_answer, table)
        else:
            selectors = []
        if needed:
            finding, needed = spf.evaluate(found.domain, txt, included, hosts)
        if rounds > _SPF_ROUNDS and needed:
            finding.state, finding.reason = "unknown", "gave_up"
            break
    found.spf = finding
    for name, answer in included.items():
        if is_own(name, found.domain):
            _spf_tells(found, answer, table)
    if found.wildcard:
        _leave_aside(found)
    for selector, answer in found.selected:
        if selector == "google" and not answer.cnames and found.keys[selector].state in ("usable", "revoked"):
            tell(found, table, "Google", "dkim")


def _spf_tells(found: Gathered, txt: Answer, table: ProviderTable) -> None:
    """The services that the domain's SPF records name, those below the domain among them. What a service includes in
    its turn tells of nobody but itself."""
    for text in spf.records_of(txt.records)[:4]:
        for target in spf.named(spf.parse(text)):
            service = table.match("spf", target)
            if service is not None:
                found.tells.add(service, "spf")


def _first_selectors(found: Gathered, keys_answer: Answer, table: ProviderTable) -> list[str]:
    """Which selectors are likely: the common ones and those of the services the domain shows. None under a
    ``_domainkey`` that doesn't exist."""
    if keys_answer.state == "absent" and keys_answer.reason == "nxdomain" and not keys_answer.cnames:
        found.dkim_absent = True
        return []
    likely = dict.fromkeys(table.first_selectors) | _selectors_of(found, table, ("mailbox", "hoster"))
    return list(likely)[:MOST_SELECTORS]


def _selectors_of(found: Gathered, table: ProviderTable, kinds: tuple[str, ...]) -> dict[str, None]:
    """Selectors of the services the domain shows, senders among them only when the mailbox's own gave nothing."""
    chosen: dict[str, None] = {}
    of_mx = {table.match("mx", host) for _, host in found.mx.records}
    for service in table.with_selectors:
        if service.kind not in kinds or service.provider in _SENDING:
            continue
        if service.name in found.tells.by or service in of_mx:
            chosen.update(dict.fromkeys(service.selectors))
    return chosen


def _more_selectors(found: Gathered, keys_answer: Answer, table: ProviderTable) -> list[str]:
    """The rest of the list, while no record explains why ``_domainkey`` exists. One that is of no use explains it,
    but its successor may have another name: the likeliest is tried.

    A wildcard explains it when it made up ``_domainkey`` too: had that children, it would not apply to it (RFC 4592
    section 2.2.1). Some servers don't keep to that, so it only shortens the list.
    """
    anew = found.wildcard and found.made_up is None
    states = {key.state for key in found.keys.values()}
    if anew or "usable" in states:
        return []
    if states & {"revoked", "broken"}:
        return [name for name in table.more_selectors[:1] if name not in found.keys]
    most = LEAST_SELECTORS if found.wildcard and found.made_up == _content(keys_answer) else MOST_SELECTORS
    shown: dict[str, None] = {}
    for service in table.services:
        if service.name in found.tells.by:
            shown.update(dict.fromkeys(service.selectors))
    more = dict.fromkeys(table.more_selectors[:6]) | shown | dict.fromkeys(table.more_selectors)
    return [name for name in more if name not in found.keys][: most - len(found.keys)]


def _read_keys(found: Gathered, selectors: list[str], answers: list[Answer], table: ProviderTable) -> None:
    for selector, answer in zip(selectors, answers, strict=True):
        found.keys[selector] = dkim.read(answer)
        if answer.state != "unknown" and (answer.records or answer.cnames):
            found.selected.append((selector, answer))
        if answer.cnames:
            found.tenant_name = found.tenant_name or dkim.tenant_of(answer.cnames)
            service = table.match("dkim", answer.cnames[0])
            if service is not None:
                found.tells.add(service, "dkim")


def _wildcard(found: Gathered) -> Steps:
    """Selectors with one and the same content smell of a wildcard, and so does content under every selector: try a name
    that can't exist, and another when the first answers something new. What they answer alike is no key; if each time
    it is another, none is."""
    counts = Counter(_content(answer) for _, answer in found.selected)
    everywhere = bool(counts) and all(key.state != "absent" for key in found.keys.values())
    if not everywhere and max(counts.values(), default=0) < 2:
        return
    answer = yield from _made_up(found, "")
    content = _content(answer)
    if not content or answer.state == "unknown" or (content not in counts and not everywhere):
        return
    if content not in counts:
        other = yield from _made_up(found, "-2")
    if content in counts or other.state == "unknown" or _content(other) == content:
        found.made_up = content
    found.wildcard = True
    _leave_aside(found)


def _made_up(found: Gathered, suffix: str) -> Generator[list[Question], list[Answer], Answer]:
    name = f"{dkim.unset_label(found.domain)}{suffix}._domainkey.{found.domain}"
    return (yield from ask(found, [Question(name, TXT)], core=False))[0]


def _leave_aside(found: Gathered) -> None:
    """What the wildcard made up is no key."""
    for selector, answer in found.selected:
        if found.made_up is None or _content(answer) == found.made_up:
            found.keys[selector] = dkim.ABSENT


def _content(answer: Answer) -> bytes:
    """What tells answers apart: the texts, or else where an alias leads to nothing."""
    return b"\n".join(sorted(answer.records)) or "\n".join(answer.cnames).encode()
