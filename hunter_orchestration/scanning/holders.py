"""Who holds the mailboxes: what must be asked besides the MX, and what follows. The rules on what is known are in
``mailbox``. Tells of the mailbox behind a gateway are asked for only there.
"""

from __future__ import annotations

from collections.abc import Generator

from hunter_orchestration.scanning import dkim
from hunter_orchestration.scanning.gathered import Gathered, Steps, ask, tell
from hunter_orchestration.scanning.mailbox import Holder, by_mx, by_tells, is_own, useful_hosts
from hunter_orchestration.scanning.providers import ProviderTable
from hunter_orchestration.scanning.tasks import Question
from hunter_orchestration.scanning.wire import PTR, A, Answer

_M365 = "Microsoft 365"
_WEB_MAIL = {"ghs.googlehosted.com": "Google", "domain.mail.yandex.net": "Yandex"}


def who(found: Gathered, table: ProviderTable) -> Steps:
    """Find the holder of the mailboxes; it stays unknown without a useful MX."""
    if found.mx.state != "found":
        return
    hosts = useful_hosts(found.domain, found.mx.records)
    if not hosts:
        return
    _tenant_from_mx(found, hosts)
    holder = by_mx(table, found.domain, hosts)
    # A host of nobody we know may stand before Microsoft 365, as the company's own may.
    stranger = holder if holder is not None and holder.provider == "Other" and holder.service is None else None
    if holder is not None and holder.provider != "Unknown" and stranger is None:
        found.holder = holder
        if holder.service == _M365:
            tell(found, table, "M365", "mx")
        return
    gateway = holder.gateway if holder is not None else None
    if gateway is not None or found.tells.by.keys() & {_M365}:
        yield from _microsoft_tells(found, table)
    mailbox = (by_tells(table, found.tells) if gateway is not None else _hybrid(found, table)) or stranger
    if mailbox is None and gateway is not None and not any(is_own(host, found.domain) for host in hosts):
        mailbox = yield from _mail_host(found, table)
    elif mailbox is None:
        mailbox = yield from _own_servers(found, table, hosts)
    if mailbox is not None:
        mailbox.gateway = gateway
        found.holder = mailbox
    else:
        found.holder = Holder("Unknown", None, gateway, None, [], certain=False)


def _tenant_from_mx(found: Gathered, hosts: list[str]) -> None:
    """``contoso-onmicrosoft-com.mail.protection.outlook.com`` names the tenant; a dashed own domain does not."""
    for host in hosts:
        label, _, rest = host.partition(".")
        if rest == "mail.protection.outlook.com" and label.endswith("-onmicrosoft-com"):
            found.tenant_name = found.tenant_name or label.removesuffix("-onmicrosoft-com")


def _microsoft_tells(found: Gathered, table: ProviderTable) -> Steps:
    """Autodiscover, and the registration names while two tells don't agree yet."""
    name = f"autodiscover.{found.domain}"
    answer = (yield from ask(found, [Question(name, A)], core=False))[0]
    for target in answer.cnames:
        service = table.match("autodiscover", target)
        if service is not None:
            found.tells.add(service, "autodiscover")
    if len(found.tells.by.get(_M365, ())) >= 2 or (_M365 not in found.tells.by and found.tells.by):
        return
    # Others have aliases of windows.net, too: whole sites are served from there.
    names = (("enterpriseregistration", "enterpriseregistration.windows.net"), ("lyncdiscover", "online.lync.com"))
    questions = [Question(f"{label}.{found.domain}", A) for label, _ in names]
    answers = yield from ask(found, questions, core=False)
    for (label, suffix), aliased in zip(names, answers, strict=True):
        if any(is_own(target, suffix) for target in aliased.cnames):
            tell(found, table, "M365", label)


def _hybrid(found: Gathered, table: ProviderTable) -> Holder | None:
    """Microsoft 365 behind the relay of the company or of a stranger: autodiscover must say so, another tell agree."""
    kinds = found.tells.by.get(_M365, set())
    return by_tells(table, found.tells) if "autodiscover" in kinds and len(kinds) >= 2 else None


def _mail_host(found: Gathered, table: ProviderTable) -> Generator[list[Question], list[Answer], Holder | None]:
    """Behind a gateway without tells: a mail host of its own, or an alias to a service's web mail. What a wildcard
    makes of any name says nothing."""
    host = f"mail.{found.domain}"
    answer = (yield from ask(found, [Question(host, A)], core=False))[0]
    if answer.state != "found":
        return None
    if not _knows_a_missing_name(found):
        name = f"{dkim.unset_label(found.domain)}.{found.domain}"
        wild = (yield from ask(found, [Question(name, A)], core=False))[0]
        if wild.state == "unknown" or (answer.cnames, sorted(answer.records)) == (wild.cnames, sorted(wild.records)):
            return None
    for target in answer.cnames:
        if target in _WEB_MAIL:
            tell(found, table, _WEB_MAIL[target], "mail")
    holder = by_tells(table, found.tells) or _aliased(found, table, host, answer)
    return holder or _beside_the_site(found, host, answer) or Holder("Local", evidence=[f"a {host}"])


def _knows_a_missing_name(found: Gathered) -> bool:
    """Whether a name right below the domain was said not to exist: a wildcard would have made it up (RFC 4592)."""
    return any(
        answer.reason == "nxdomain" and not answer.cnames and question.name.partition(".")[2] == found.domain
        for question, answer in found.asked
    )


def _aliased(found: Gathered, table: ProviderTable, host: str, answer: Answer) -> Holder | None:
    """A mail host that is an alias says whose server it is. An MX must be none (RFC 2181), but many are."""
    named = by_mx(table, found.domain, answer.cnames)
    if named is None or named.provider in ("Unknown", "Other"):
        return None
    named.evidence = [f"{host} is an alias of {answer.cnames[-1]}"]
    return named


def _beside_the_site(found: Gathered, host: str, address: Answer) -> Holder | None:
    """A mail host on the web server of a domain whose names a hoster serves is that hoster's."""
    if found.dns_host is None or found.a is None or not set(found.a.records) & set(address.records):
        return None
    evidence = [f"ns {found.dns_host}", f"{host} is the web server"]
    return Holder("Hosting", found.dns_host, None, found.dns_host, evidence)


def _own_servers(
    found: Gathered, table: ProviderTable, hosts: list[str]
) -> Generator[list[Question], list[Answer], Holder | None]:
    """MX hosts in the company's own domain: a hoster's server when SPF, the reverse name, or name server and shared
    address say so; else its own."""
    for service in table.services:
        if service.kind == "hoster" and "spf" in found.tells.by.get(service.name, ()):
            return Holder("Hosting", service.name, None, service.name, sorted(found.tells.by[service.name]))
    host = next((name for name in hosts if is_own(name, found.domain)), hosts[0])
    if host == found.domain and found.a is not None:
        address = found.a
    else:
        address = (yield from ask(found, [Question(host, A)], core=False))[0]
    aliased = _aliased(found, table, host, address)
    if aliased is not None:
        return aliased
    own = Holder("Local", evidence=[f"mx {host}"])
    if address.state != "found":
        own.certain = False
        return own
    hosted = _beside_the_site(found, f"mx {host}", address)
    if hosted is not None:
        return hosted
    reverse = ".".join(reversed(address.records[0].split("."))) + ".in-addr.arpa"
    answer = (yield from ask(found, [Question(reverse, PTR, shared=True, tries=2)], core=False))[0]
    for name in answer.records:
        hoster = table.match("ptr", name)
        if hoster is not None:
            return Holder("Hosting", hoster.name, None, hoster.name, [f"ptr {name}"])
    return own
