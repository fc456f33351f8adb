"""Which company a text names: from what people paste to a registrable domain, or the kind of reason why not.

Registrable by the Public Suffix List, private section included, from the copy that comes with tldextract; the network
is never asked. Names are kept in ASCII, by IDNA 2008 after the UTS 46 mapping.
"""

from __future__ import annotations

import hashlib
import ipaddress
import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import idna
import tldextract

from hunter_orchestration.companies.mail_lists import is_disposable, is_free_mail, is_platform

Rejected = Literal["empty", "ip", "syntax", "special-use", "public-suffix", "free-mail", "disposable", "platform"]

MAX_TEXT = 4096
"""Longer texts are no name of anything; cutting them off keeps the work bounded."""

_SPECIAL_USE = frozenset({"local", "internal", "localhost", "invalid", "onion", "arpa", "home", "lan", "corp", "alt"})
_DEMO = frozenset({"test", "example"})
_TENANT_ROOTS = ("onmicrosoft.com", "onmicrosoft.us", "onmicrosoft.de", "partner.onmschina.cn")

_INVISIBLE = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u180b-\u180e\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufe00-\ufe0f\ufeff]"
)
_SPACES = (
    "".join(map(chr, [*range(0x21), 0x7F, 0x85, 0xA0, 0x1680, *range(0x2000, 0x200B)]))
    + "\u2028\u2029\u202f\u205f\u3000"
)
_EDGE = "\"'`´‘’‚‛“”„‟«»‹›<>()[]{},;" + _SPACES
_FULL_WIDTH = {chr(code): chr(code - 0xFEE0) for code in range(0xFF01, 0xFF5F)}
_MAPPED = str.maketrans({**_FULL_WIDTH, "\u3002": ".", "\uff61": ".", "\u3000": " ", "İ": "i", "\\": "/"})
_SCHEME = re.compile(r"[a-z][a-z0-9+.\-]{0,31}://|mailto:(?://)?|//", re.IGNORECASE)
_ANGLE_ADDRESS = re.compile(r"<([^<>]*@[^<>]*)>")
_HOST_END = re.compile(r"[/?#]")
_LOCAL_PART = re.compile(r"[^\s@<>(),;:\"\[\]\\\x00-\x1f\ud800-\udfff]+")
_ASCII_LABEL = re.compile(r"(?!-)(?!..--)[a-z0-9-]{1,63}(?<!-)\Z")

_extract = tldextract.TLDExtract(
    suffix_list_urls=(), cache_dir=None, fallback_to_snapshot=True, include_psl_private_domains=True
)


@dataclass(frozen=True, slots=True)
class DomainAnswer:
    """A registrable domain, or the kind of reason why the text names none.

    ``tenant`` is the initial domain of a Microsoft 365 tenant (``contoso.onmicrosoft.com``) when the text named one:
    evidence, never a company's domain.
    """

    domain: str | None
    rejected: Rejected | None
    tenant: str | None = None


@dataclass(frozen=True, slots=True)
class ReferralDomain:
    """The domain a referral names and where it stood; without one, ``rejected`` tells why the best candidate failed."""

    domain: str | None
    source: str | None
    rejected: Rejected | None
    tenant: str | None = None


def company_domain(text: object) -> DomainAnswer:
    """The registrable domain that a name, URL or e-mail address names (contract "domains").

    Whether the domain belongs to a mail provider or a platform is not asked here: see ``domain_of_email`` and
    ``domain_of_website``.
    """
    host, rejected = host_of(text)
    if host is None:
        return DomainAnswer(None, rejected)
    return _registrable(host)


def domain_of_email(text: object) -> DomainAnswer:
    """The company an e-mail address belongs to: nobody's when a free or throw-away mail provider hosts it."""
    if "@" not in str(text or "").translate(_MAPPED):
        return DomainAnswer(None, "syntax" if _stripped(text) else "empty")
    return _company_only(text, website=False)


def domain_of_website(text: object) -> DomainAnswer:
    """The company a website cell names: nobody's when it points into a platform that hosts other people's pages.

    People write mail providers and addresses into website cells too, so those are judged as well.
    """
    return _company_only(text, website="@" not in _authority(_stripped(text)))


def referral_domain(candidates: Iterable[tuple[str, object]]) -> ReferralDomain:
    """The first usable candidate of a referral, in the contract's order.

    Args:
        candidates: pairs of source and text, best first. Sources ending in ``email`` are read as addresses, all
            others as websites that may also hold an address.
    """
    rejected: Rejected | None = None
    tenant: str | None = None
    for source, text in candidates:
        answer = domain_of_email(text) if source.endswith("email") else domain_of_website(text)
        tenant = tenant or answer.tenant
        if answer.domain is not None:
            return ReferralDomain(answer.domain, source, None, tenant)
        # A mailbox at a free provider says more about the referral than an id that is no name at all.
        if rejected in (None, "empty", "syntax"):
            rejected = answer.rejected if answer.rejected != "empty" or rejected is None else rejected
    return ReferralDomain(None, None, rejected or "empty", tenant)


def email_address(text: object) -> str | None:
    """The bare address inside what people paste, lower-cased; ``None`` when there is none or its host is no name."""
    return _email_address(text) if isinstance(text, str) and len(text) <= MAX_TEXT else None


@lru_cache(maxsize=16384)
def _email_address(text: str) -> str | None:
    stripped = _stripped(text)
    if "@" in (inner := stripped.rpartition("<")[2]):
        stripped = inner.partition(">")[0]
    if stripped[:7].lower() == "mailto:":
        stripped = stripped[7:].partition("?")[0]
    local, at, host = stripped.strip(_EDGE).rpartition("@")
    if not at or not local or len(local) > 64 or not _LOCAL_PART.fullmatch(local):
        return None
    ascii_host, _ = host_of(host)
    return f"{local.lower()}@{ascii_host}" if ascii_host else None


def email_hash(address: str) -> str:
    """Identity of a person everywhere: SHA-256 of the lower-cased address, hex."""
    return hashlib.sha256(address.strip().lower().encode(errors="replace")).hexdigest()


def host_of(text: object) -> tuple[str | None, Rejected | None]:
    """The host name inside a text, lower-case ASCII, or the kind of reason why there is none."""
    authority = _authority(_stripped(text)).rpartition("@")[2].strip(_EDGE + "/")
    if not authority.strip("."):
        return None, "empty"
    if _is_ip(authority):
        return None, "ip"
    name, colon, port = authority.partition(":")
    if colon and port and not (port.isascii() and port.isdigit() and int(port[:6]) < 65536):
        return None, "syntax"
    if not name.strip("."):
        return None, "empty"
    return _ascii_host(name)


def _stripped(text: object) -> str:
    if text is None:
        return ""
    return _INVISIBLE.sub("", str(text)[:MAX_TEXT]).translate(_MAPPED).strip(_EDGE)


def _authority(text: str) -> str:
    if "<" in text and (angle := _ANGLE_ADDRESS.search(text)):
        text = angle[1].strip(_EDGE)
    elif "<" in text and "@" in text.rpartition("<")[2]:
        text = text.rpartition("<")[2]
    while scheme := _SCHEME.match(text):
        text = text[scheme.end() :].lstrip(_EDGE.replace("[", ""))
    return _HOST_END.split(text, maxsplit=1)[0]


def _is_ip(authority: str) -> bool:
    if ":" in authority:
        inner = authority.lstrip("[").partition("]")[0]
        candidates = [authority, inner, authority.partition(":")[0]]
    else:
        candidates = [authority.strip("[]").strip(".")]
    for candidate in candidates:
        if candidate[-1:].isalpha() and ":" not in candidate:
            continue
        try:
            ipaddress.ip_address(candidate.strip("[]"))
        except ValueError:
            continue
        return True
    return False


@lru_cache(maxsize=16384)
def _ascii_host(name: str) -> tuple[str | None, Rejected | None]:
    name = name.strip(".")
    if name.isascii() and "xn--" not in (lowered := name.lower()):
        labels = lowered.split(".")
        if not all(_ASCII_LABEL.match(label) for label in labels):
            return None, "syntax"
        host = lowered
    else:
        try:
            host = idna.encode(
                name.replace("I\u0307", "i").replace("i\u0307", "i"), uts46=True, std3_rules=True
            ).decode("ascii")
        except (idna.IDNAError, UnicodeError, ValueError, IndexError):
            return None, "syntax"
        if _is_ip(host):
            return None, "ip"
    host = host.strip(".")
    if "." not in host or len(host) > 253:
        return None, "syntax"
    return host, None


@lru_cache(maxsize=16384)
def _registrable(host: str) -> DomainAnswer:
    top = host.rpartition(".")[2]
    if top in _SPECIAL_USE:
        return DomainAnswer(None, "special-use")
    if top in _DEMO:
        return DomainAnswer(".".join(host.split(".")[-2:]), None)
    for root in _TENANT_ROOTS:
        if host == root or host.endswith(f".{root}"):
            label = host.removesuffix(root).rstrip(".").removesuffix(".mail").rpartition(".")[2]
            return DomainAnswer(None, "platform", f"{label}.{root}" if label else None)
    found = _extract(host)
    if not found.suffix or top.isdigit():
        return DomainAnswer(None, "syntax")
    if not found.domain:
        return DomainAnswer(None, "public-suffix")
    return DomainAnswer(f"{found.domain}.{found.suffix}", None)


def _company_only(text: object, *, website: bool) -> DomainAnswer:
    host, rejected = host_of(text)
    if host is None:
        return DomainAnswer(None, rejected)
    answer = _registrable(host)
    if answer.domain is None:
        return answer
    if is_disposable(host):
        return DomainAnswer(None, "disposable")
    if is_free_mail(host):
        return DomainAnswer(None, "free-mail")
    if website and is_platform(host):
        return DomainAnswer(None, "platform")
    return answer
