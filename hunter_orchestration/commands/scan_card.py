"""A scan as a person reads it in a terminal: what is there, how good it is, and by what it is known."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from hunter_orchestration.store.leads import shown

GOOD, WEAK, BAD, UNKNOWN, PLAIN = ("✓", "green"), ("!", "yellow"), ("✗", "red"), ("?", "magenta"), (" ", "")
_MOST_HOSTS = 6
_MOST_FAILURES = 10
_MOST_RECORD = 300
_ENDS = {
    "-all": (GOOD, "others are refused (-all)"),
    "~all": (GOOD, "others are marked (~all)"),
    "?all": (WEAK, "nothing is said of others (?all)"),
    "+all": (BAD, "anyone may send (+all)"),
}
_SPF_FAULTS = {
    "multiple": "void: more than one record",
    "syntax": "void: a mistake in the record",
    "too_many_lookups": "void: too many lookups",
    "include_missing": "void: an include leads nowhere",
}
_POLICIES = {
    "reject": (GOOD, "what fails is refused (p=reject)"),
    "quarantine": (GOOD, "what fails goes to junk (p=quarantine)"),
    "none": (WEAK, "only reports, nothing is refused (p=none)"),
}
_DMARC_FAULTS = {"malformed": "void: the record is malformed", "multiple": "void: more than one record"}
_KINDS = {
    "registration": "Registration",
    "tenant": "Microsoft",
    "mail_transport": "Transport",
    "dnssec": "DNSSEC",
    "network": "Network",
}
_FACTS = {"mta_sts": "MTA-STS", "tls_rpt": "TLS-RPT", "bimi": "BIMI", "ds": "DS", "dnskey": "DNSKEY"}
_MOMENT = re.compile(r"\d{4}-\d{2}-\d{2}T")
_NO_MAIL = {
    "absent": (WEAK, "no MX record"),
    "null": (PLAIN, "takes no mail, and says so (null MX)"),
    "nxdomain": (BAD, "this domain does not exist"),
    "unknown": (UNKNOWN, "the lookup failed"),
}

Mark = tuple[str, str]
Line = tuple[str, Mark, str, Sequence[str]]
"""Label, mark, what is found, and the lines of evidence below it."""


def print_card(findings: Mapping[str, Any]) -> None:
    """Print the card of a scan (``findings.told``), with the extended set when it is there."""
    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 1, 0, 0))
    table.add_column(style="bold", no_wrap=True)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for label, (sign, style), text, evidence in _lines(findings):
        cell = Text(text, style=style if style != "green" else "")
        for line in evidence:
            cell.append("\n" + _fit(line), style="dim")
        table.add_row(label, Text(sign, style=style), cell)
    console = Console(highlight=False)
    domain = findings["domain"]
    readable = shown(domain)
    console.print(Text.assemble((readable, "bold underline"), f"  {domain}" if readable != domain else ""))
    console.print(table)
    asked = ", ".join(dict.fromkeys(item["resolver"] for item in findings["evidence"] if item["resolver"]))
    lookups = findings["lookups"]
    footer = f"{lookups} lookup{'' if lookups == 1 else 's'} in {findings['seconds']:.2f} s"
    footer += (f" by {asked}" if asked else "") + f", {findings['scanned_at']:%Y-%m-%d %H:%M} UTC"
    console.print(Text(footer, style="dim"), "\n", sep="")


def _lines(findings: Mapping[str, Any]) -> Iterator[Line]:
    yield _mailboxes(findings)
    if findings["gateway"]:
        yield "Gateway", PLAIN, f"{findings['gateway']} takes the mail first", ()
    if findings["tenant_name"] or findings["tenant_id"]:
        names = "  ".join(filter(None, [findings["tenant_name"], findings["tenant_id"]]))
        elsewhere = findings["tenant_id"] and findings["provider"] != "M365"
        yield "Tenant", PLAIN, names, ("has Microsoft identities, which places no mailboxes",) if elsewhere else ()
    yield _mx(findings)
    yield _spf(findings["spf"])
    yield _dmarc(findings["dmarc"])
    yield _dkim(findings)
    if findings["ns"]:
        servers = sorted(findings["ns"])[:_MOST_HOSTS]
        host = findings["dns_host"]
        yield "Name servers", PLAIN, host or "\n".join(servers), servers if host else ()
    if findings["wildcard"]:
        yield "Wildcard", WEAK, "every name below _domainkey answers alike; such answers are left aside", ()
    for kind, detail in findings.get("extended", {}).items():
        yield _detail(kind, detail)
    failed = [f"{item['name']}: {item['reason']}" for item in findings["unknown"][:_MOST_FAILURES]]
    if failed:
        yield "Unknown", UNKNOWN, "these lookups failed, which says nothing of the domain:", failed


def _mailboxes(findings: Mapping[str, Any]) -> Line:
    state = findings["mx_state"]
    if state != "found":
        mark, text = _NO_MAIL[state]
        if state == "absent" and findings["implicit_mx"]:
            text += ", mail goes to the domain's own address"
        return "Mailboxes", mark, text, ()
    by = ["known by " + ", ".join(findings["provider_evidence"])] if findings["provider_evidence"] else []
    names = {"Local": "a server of its own", "Other": "a service Hunter does not know", "Unknown": "not known"}
    provider = findings["provider"]
    text = findings["service"] or findings["hoster"] or names.get(provider, provider)
    if provider == "Unknown":
        return "Mailboxes", UNKNOWN, text, by
    return "Mailboxes", PLAIN, text + ("" if findings["provider_certain"] else ", not certain"), by


def _mx(findings: Mapping[str, Any]) -> Line:
    hosts = [f"{preference} {host or '.'}" for preference, host in findings["mx"][:_MOST_HOSTS]]
    more = len(findings["mx"]) - len(hosts)
    text = "\n".join([*hosts, *([f"and {more} more"] if more > 0 else [])])
    if findings["mx_state"] == "unknown":
        return "MX", UNKNOWN, "unknown", ()
    return "MX", PLAIN, text or "none", ()


def _spf(spf: Mapping[str, Any]) -> Line:
    record = [spf["record"]] if spf["record"] else []
    state = spf["state"]
    if state == "unknown":
        return "SPF", UNKNOWN, _with("unknown", spf["reason"]), record
    if state == "none":
        return "SPF", BAD, "no record: anyone may send in its name", ()
    if state != "valid":
        return "SPF", BAD, _with(_SPF_FAULTS[state], spf["reason"]), record
    mark, ending = _ENDS.get(spf["all"], (GOOD, "the rest is left to " + spf["redirect"] if spf["redirect"] else ""))
    text = ", ".join(filter(None, ["valid", ending, f"{spf['lookups']} of 10 lookups"]))
    if not ending:
        mark = WEAK
    return "SPF", mark, text, record


def _dmarc(dmarc: Mapping[str, Any]) -> Line:
    evidence = [dmarc["record"]] if dmarc["record"] else []
    evidence += dmarc["problems"]
    state = dmarc["state"]
    if state == "unknown":
        return "DMARC", UNKNOWN, _with("unknown", dmarc["reason"]), evidence
    if state == "none":
        return "DMARC", BAD, "no record", evidence
    if state in _DMARC_FAULTS:
        return "DMARC", BAD, _with(_DMARC_FAULTS[state], dmarc["reason"]), evidence
    mark, text = _POLICIES[dmarc["policy"]]
    if state == "bad_policy":
        return "DMARC", WEAK, _with("counts as p=none", dmarc["reason"]), evidence
    if dmarc["pct"] not in (None, 100):
        mark, text = WEAK, f"{text}, for {dmarc['pct']} % of it"
    if dmarc.get("testing"):
        mark, text = WEAK, f"{text}, only as a test (t=y)"
    return "DMARC", mark, text, evidence


def _dkim(findings: Mapping[str, Any]) -> Line:
    keys = []
    for name, state in findings["dkim"].items():
        key = findings["dkim_keys"].get(name, {})
        kind = " ".join(str(part) for part in (key.get("kind"), key.get("bits")) if part)
        keys.append(f"{name}: {_with(state, key.get('reason') or kind)}")
    state = findings["dkim_state"]
    if state == "found":
        usable = sum(key == "usable" for key in findings["dkim"].values())
        return "DKIM", GOOD, f"{usable} usable key{'' if usable == 1 else 's'}", keys
    if state == "unknown":
        return "DKIM", UNKNOWN, "unknown", keys
    return "DKIM", BAD, "no usable key" if keys else "no key found", keys


def _detail(kind: str, detail: Mapping[str, Any]) -> Line:
    label = _KINDS.get(kind, kind)
    state, facts = detail["state"], detail["facts"]
    if state == "unknown":
        return label, UNKNOWN, _with("unknown", facts.get("reason")), ()
    if state != "found":
        return label, PLAIN, {"absent": "none", "not_configured": "not configured"}[state], ()
    lines = [f"{_FACTS.get(name, name.replace('_', ' '))}: {_fact(value)}" for name, value in facts.items() if value]
    return label, PLAIN, lines[0] if lines else "found", lines[1:]


def _fact(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(map(str, value))
    text = str(value)
    return text[:10] if _MOMENT.match(text) else text


def _with(text: str, reason: str | None) -> str:
    return f"{text} ({reason})" if reason else text


def _fit(line: str) -> str:
    return line if len(line) <= _MOST_RECORD else line[: _MOST_RECORD - 1] + "…"
