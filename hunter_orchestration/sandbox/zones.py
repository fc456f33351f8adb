"""What a company's domain publishes in DNS, and the truth about it that a scan should find.

Everything follows from the world's seed and the company's number. The shapes are those of real zones, traps included:
gateways in front of cloud mail, SPF that is doubled, broken or too deep, DMARC written in twelve ways, wildcard TXT.
"""

from __future__ import annotations

import base64
import random
from dataclasses import dataclass, field
from typing import Any

from hunter_orchestration.sandbox.dns_providers import HOSTS, Records
from hunter_orchestration.sandbox.names import domain_of, mix
from hunter_orchestration.sandbox.zone_tables import (
    CATEGORY_BOUNDS,
    CATEGORY_NAMES,
    CLUTTER,
    GATEWAYS,
    HOSTERS,
    LETTERS,
    NAME_SERVERS,
)


@dataclass(slots=True)
class Truth:
    """What a scan of this domain should say.

    ``provider`` is M365, Google, Yandex, Zoho, Amazon, Hosting, Local, Other, NoMX, NullMX, NXDOMAIN or SERVFAIL;
    ``spf`` none, valid, multiple, include_missing, too_many_lookups, syntax, nxdomain or unknown; ``dmarc`` none,
    valid, multiple, malformed, bad_policy_rua (RFC 7489, 6.6.3: taken as p=none) or unknown; ``dkim`` selectors with
    a key.
    ``tenant_id`` is what OpenID discovery tells, None where it says invalid_tenant.
    """

    domain: str
    category: str
    provider: str | None = None
    gateway: str | None = None
    hosting: str | None = None
    mx: list[tuple[int, str]] = field(default_factory=list)
    spf: str = "none"
    spf_all: str | None = None
    dmarc: str = "none"
    dmarc_policy: str | None = None
    dmarc_pct: int | None = None
    dkim: list[str] = field(default_factory=list)
    tenant_name: str | None = None
    tenant_id: str | None = None
    name_servers: list[str] = field(default_factory=list)


@dataclass(slots=True)
class Zone:
    """A domain's records by owner name, and the names it owns elsewhere (DKIM targets, Microsoft hosts)."""

    truth: Truth
    names: dict[str, Records] = field(default_factory=dict)
    wildcard_txt: str | None = None

    def add(self, owner: str, kind: str, data: object) -> None:
        self.names.setdefault(owner, {}).setdefault(kind, []).append(data)


def category_of(seed: int, index: int) -> str:
    """The category of company ``index``."""
    roll = mix(seed * 0x9E37 + index * 31 + 7) % CATEGORY_BOUNDS[-1]
    return next(name for name, bound in zip(CATEGORY_NAMES, CATEGORY_BOUNDS, strict=True) if roll < bound)


def tenant_of(seed: int, index: int) -> str | None:
    """The Entra tenant id of a company, if it has one: all Microsoft customers do, and a third of the others."""
    category = category_of(seed, index)
    if category in ("nxdomain", "servfail"):
        return None
    roll = mix(seed * 77 + index)
    if category not in ("m365", "gw_m365") and roll % 3:
        return None
    text = f"{mix(roll):016x}{mix(roll + 1):016x}"
    return f"{text[:8]}-{text[8:12]}-4{text[13:16]}-a{text[17:20]}-{text[20:32]}"


def chunks(text: str) -> tuple[str, ...]:
    """A TXT record's strings: at most 250 octets each."""
    return tuple(text[i : i + 250] for i in range(0, len(text), 250)) or ("",)


def address_of(index: int, place: int = 0) -> str:
    """An IPv4 address of a company's own machine: 198.18.0.0/15 for mail (place 0), 100.64.0.0/10 for the others."""
    if place == 0:
        number = index % 131_072
        return f"198.{18 + (number >> 16)}.{number >> 8 & 255}.{number & 255}"
    number = (index * 4 + place) % 4_194_304
    return f"100.{64 + (number >> 16)}.{number >> 8 & 255}.{number & 255}"


def build_zone(seed: int, index: int) -> Zone:
    """The zone of company ``index``."""
    domain = domain_of(seed, index)
    category = category_of(seed, index)
    truth = Truth(domain, category, tenant_id=tenant_of(seed, index))
    zone = Zone(truth)
    if category == "nxdomain":
        truth.provider, truth.spf = "NXDOMAIN", "nxdomain"
    elif category == "servfail":
        truth.provider, truth.spf, truth.dmarc = "SERVFAIL", "unknown", "unknown"
    else:
        _Builder(zone, random.Random(mix(seed * 131 + index)), index).build()
    return zone


class _Builder:
    def __init__(self, zone: Zone, rng: random.Random, index: int) -> None:
        self.zone, self.truth, self.rng, self.index = zone, zone.truth, rng, index
        self.domain = zone.truth.domain
        self.dashed = self.domain.replace(".", "-")
        self.mechanisms: list[str] = []
        self.selectors: dict[str, str] = {}
        self.mx: list[tuple[int, str]] = []
        self.name_servers = rng.choice(NAME_SERVERS)

    def add(self, label: str, kind: str, data: object) -> None:
        self.zone.add(f"{label}.{self.domain}" if label else self.domain, kind, data)

    def txt(self, label: str, text: str) -> None:
        self.add(label, "TXT", chunks(text))

    def token(self, length: int = 43) -> str:
        return "".join(self.rng.choices(LETTERS, k=length))

    def case(self, host: str) -> str:
        return host.upper() if self.rng.random() < 0.05 else host

    def build(self) -> None:
        category = self.truth.category
        if category.startswith("gw_"):
            gateway, hosts, mechanism = self.rng.choice(GATEWAYS)
            self.truth.gateway = gateway
            self.mx = [(10 * (n + 1), h) for n, h in enumerate(hosts(self.rng.randrange(1, 400)))]
            self.mechanisms.append(mechanism)
        mail = category.removeprefix("gw_")
        getattr(self, f"_{mail}")()
        for preference, host in self.mx:
            self.add("", "MX", (preference, host))
        self.truth.mx = sorted((p, h.lower()) for p, h in self.mx)
        if self.mechanisms and self.rng.random() < 0.25:
            sender = self.rng.choice(("sendgrid.net", "mailgun.org", "servers.mcsv.net", "spf.mandrillapp.com"))
            self.mechanisms.insert(0, f"include:{sender}")
        if self.mechanisms and self.rng.random() < 0.08:
            self.selectors["k1"] = "cname"
        self._spf()
        self._dmarc()
        self._dkim()
        self._rest()

    # ---- who carries the mail

    def _m365(self) -> None:
        self.truth.provider = "M365"
        self.truth.tenant_name = f"t{self.index:06d}"
        if self.truth.category == "m365":
            roll = self.rng.random()
            host = f"{self.dashed}.mail.protection.outlook.com" if roll < 0.88 else f"{self.dashed}.o-v1.mx.microsoft"
            self.zone.add(host, "A", address_of(self.index, 2))
            self.mx = [(0, self.case(host))]
            if roll > 0.97:
                self.mx.append((32767, f"ms{self.rng.randrange(10**8)}.msv1.invalid"))
        if self.rng.random() < 0.92:
            self.add("autodiscover", "CNAME", "autodiscover.outlook.com")
        self.mechanisms.append("include:spf.protection.outlook.com")
        self.txt("", f"MS=ms{self.rng.randrange(10**8):08d}")
        if self.rng.random() < 0.5:
            self.add("enterpriseregistration", "CNAME", "enterpriseregistration.windows.net")
            self.add("enterpriseenrollment", "CNAME", "enterpriseenrollment.manage.microsoft.com")
            self.add("lyncdiscover", "CNAME", "webdir.online.lync.com")
        if self.rng.random() < 0.6:
            self.selectors.update(selector1="m365", selector2="m365")

    def _google(self) -> None:
        self.truth.provider = "Google"
        if self.truth.category == "google":
            if self.rng.random() < 0.25:
                self.mx = [(1, "smtp.google.com")]
            else:
                alternatives = [(5 if n < 3 else 10, f"alt{n}.aspmx.l.google.com") for n in range(1, 5)]
                self.mx = [(1, self.case("aspmx.l.google.com")), *alternatives]
        self.mechanisms.append("include:_spf.google.com")
        self.txt("", f"google-site-verification={self.token()}")
        if self.rng.random() < 0.65 or self.truth.category == "gw_google":
            self.selectors["google"] = "txt"
        self.add("mail", "CNAME", "ghs.googlehosted.com")

    def _yandex(self) -> None:
        self.truth.provider = "Yandex"
        self.mx = [(10, "mx.yandex.net" if self.rng.random() < 0.8 else "mx.yandex.ru")]
        self.mechanisms.append("redirect=_spf.yandex.net" if self.rng.random() < 0.5 else "include:_spf.yandex.net")
        self.txt("", f"yandex-verification: {self.token(16)}")
        if self.rng.random() < 0.4:
            self.selectors["mail"] = "txt"

    def _zoho(self) -> None:
        self.truth.provider = "Zoho"
        if self.rng.random() < 0.6:
            self.mx = [(10, "mx.zoho.com"), (20, "mx2.zoho.com"), (50, "mx3.zoho.com")]
        else:
            self.mx = [(10, "mx.zoho.eu"), (20, "mx2.zoho.eu")]
        self.mechanisms.append("include:zohomail.com")
        self.txt("", f"zoho-verification=zb{self.rng.randrange(10**8)}.zmverify.zoho.com")

    def _amazon(self) -> None:
        self.truth.provider = "Amazon"
        self.mx = [(10, f"inbound-smtp.{self.rng.choice(('eu-west-1', 'us-east-1'))}.amazonaws.com")]
        self.mechanisms.append("include:amazonses.com")

    def _hosting(self) -> None:
        name, hosts, include, servers = self.rng.choice(HOSTERS)
        self.truth.provider, self.truth.hosting = "Hosting", name
        self.mx = [(10 * (n + 1), host) for n, host in enumerate(hosts)]
        self.mechanisms += [f"include:{include}"] if include else ["a", "mx"]
        self.name_servers = servers or self.name_servers
        if self.rng.random() < 0.35:
            self.selectors["default"] = "txt"

    def _hosting_own(self) -> None:
        # Turkish hosters mostly put the customer's own name into the MX: name servers and SPF tell who runs it.
        self.truth.provider, self.truth.hosting = "Hosting", "guzel"
        self.mx = [(10, f"mail.{self.domain}")]
        self.add("mail", "A", "203.0.113." + str(HOSTS.index("node1.guzel.net.tr") + 1))
        self.mechanisms += ["include:spf.guzelhosting.com", "mx"]
        self.name_servers = ("tr.guzelhosting.com", "eu.guzelhosting.com")

    def _local(self) -> None:
        self.truth.provider = "Local"
        address = address_of(self.index)
        self.add("mail", "A", address)
        if self.truth.category == "local":
            self.mx = [(10, f"mail.{self.domain}")]
        self.mechanisms += ["mx", "a", f"ip4:{address}"][: self.rng.randrange(1, 4)]
        if self.rng.random() < 0.4:
            self.selectors["default"] = "txt"
        if self.rng.random() < 0.2:
            self.add("autodiscover", "A", address_of(self.index, 1))

    def _nomx(self) -> None:
        self.truth.provider = "NoMX"

    def _nullmx(self) -> None:
        self.truth.provider = "NullMX"
        self.add("", "MX", (0, ""))

    def _other(self) -> None:
        self.truth.provider = "Other"
        hosts = self.rng.choice(
            (
                ("mxs.mail.ru",),
                ("in1-smtp.messagingengine.com", "in2-smtp.messagingengine.com"),
                ("mail.protonmail.ch", "mailsec.protonmail.ch"),
            )
        )
        self.mx = [(10 * (n + 1), host) for n, host in enumerate(hosts)]
        self.mechanisms.append("include:spf.messagingengine.com" if "messagingengine" in hosts[0] else "mx")

    # ---- SPF, DMARC, DKIM, the rest

    def _spf(self) -> None:
        final = self.rng.choices(("-all", "~all", "?all"), (45, 45, 10))[0]
        redirect = any(m.startswith("redirect=") for m in self.mechanisms)
        text = " ".join(["v=spf1", *self.mechanisms, *([] if redirect else [final])])
        category, roll, state = self.truth.category, self.rng.random(), "valid"
        if category == "hosting_own":
            # SPF is half of what tells the hoster here, so it is whole.
            roll = max(roll, 0.29)
        if category == "nullmx":
            text, final = "v=spf1 -all", "-all"
        if (category == "nomx" and roll < 0.6) or roll < 0.16:
            return
        if roll < 0.19:
            self.txt("", text)
            self.txt("", "v=spf1 a mx ip4:198.51.100.254 ~all")
            state = "multiple"
        elif roll < 0.205:
            self.txt("", text.replace("v=spf1", "v=spf1 include:missing.nowhere.invalid", 1))
            state = "include_missing"
        elif roll < 0.215:
            self.txt("", text.replace("v=spf1", "v=spf1 include:deep1.spfchain.test", 1))
            state = "too_many_lookups"
        elif roll < 0.23:
            self.txt("", text.replace("v=spf1", "v=spf1 ipv4:198.51.100.1", 1))
            state = "syntax"
        elif roll < 0.24:
            self.txt("", text.replace("v=spf1", "v=spf10", 1))
            state = "none"
        elif roll < 0.26:
            self.txt("", text.replace("v=spf1", "V=SPF1", 1))
        elif roll < 0.29:
            half = len(text) // 2
            self.add("", "TXT", (text[:half], text[half:]))
        else:
            self.txt("", text)
        self.truth.spf = state
        if state == "valid" and not redirect:
            self.truth.spf_all = final

    def _valid_dmarc(self, policy: str, pct: int = 100) -> None:
        self.truth.dmarc, self.truth.dmarc_policy, self.truth.dmarc_pct = "valid", policy, pct

    def _dmarc(self) -> None:
        rng, rua = self.rng, f"; rua=mailto:dmarc@{self.domain}"
        roll = rng.random()
        policy = rng.choices(("none", "quarantine", "reject"), (60, 22, 18))[0]
        strict = rng.choice(("quarantine", "reject"))
        if roll < 0.42:
            return
        if roll < 0.72:
            self.txt("_dmarc", f"v=DMARC1; p={policy}{rua}")
            self._valid_dmarc(policy)
        elif roll < 0.78:
            pct = rng.choice((0, 5, 10, 25, 50))
            self.txt("_dmarc", f"v=DMARC1; p={strict}; pct={pct}{rua}")
            self._valid_dmarc(strict, pct)
        elif roll < 0.82:
            self.txt("_dmarc", f"v=DMARC1; p={strict}; sp=none{rua}")
            self._valid_dmarc(strict)
        elif roll < 0.84:
            self.txt("_dmarc", f"v=DMARC1; p=none; sp=reject{rua}")
            self._valid_dmarc("none")
        elif roll < 0.86:
            self.txt("_dmarc", f"v=DMARC1;p={policy};rua=mailto:x@{self.domain}")
            self._valid_dmarc(policy)
        elif roll < 0.88:
            self.txt("_dmarc", f"v=DMARC1; p={strict.capitalize()}{rua}")
            self._valid_dmarc(strict)
        elif roll < 0.89:
            self.txt("_dmarc", f"v=DMARC1; p = {strict}{rua}")
            self._valid_dmarc(strict)
        elif roll < 0.905:
            self.txt("_dmarc", f"v=DMARC1; p={policy}")
            self.txt("_dmarc", "v=DMARC1; p=none; fo=1")
            self.truth.dmarc = "multiple"
        elif roll < 0.92:
            self.txt("_dmarc", f"p={policy}; v=DMARC1{rua}")
            self.truth.dmarc = "malformed"
        elif roll < 0.935:
            self.txt("_dmarc", f"v=DMARC1 p={policy}{rua}")
            self.truth.dmarc = "malformed"
        elif roll < 0.945:
            self.txt("_dmarc", "v=DMARC1; p=rejct")
            self.truth.dmarc = "malformed"
        elif roll < 0.955:
            self.txt("_dmarc", f"v=DMARC1; p=rejct{rua}")
            self.truth.dmarc, self.truth.dmarc_policy = "bad_policy_rua", "none"
        elif roll < 0.965:
            self.txt("_dmarc", "v=spf1 -all")
        elif roll < 0.985:
            target = f"{self.dashed}.dmarc-vendor.test"
            self.add("_dmarc", "CNAME", target)
            self.zone.add(target, "TXT", chunks(f"v=DMARC1; p={policy}{rua}"))
            self._valid_dmarc(policy)
        else:
            self.add("_dmarc", "CNAME", f"gone-{self.dashed}.dmarc-vendor.test")

    def _dkim(self) -> None:
        for selector, kind in self.selectors.items():
            roll = self.rng.random()
            key = base64.b64encode(self.rng.randbytes(294 if self.rng.random() < 0.7 else 162)).decode()
            label, found = f"{selector}._domainkey", True
            if kind == "m365":
                new = self.index % 3 == 0
                tail = (
                    f"{self.truth.tenant_name}.q-v1.dkim.mail.microsoft"
                    if new
                    else f"{self.truth.tenant_name}.onmicrosoft.com"
                )
                target = f"{selector}-{self.dashed}._domainkey.{tail}"
                self.add(label, "CNAME", target)
                found = not (selector == "selector2" and roll < 0.2)
                if found:
                    self.zone.add(target, "TXT", chunks(f"v=DKIM1; k=rsa; p={key};"))
            elif kind == "cname":
                target = f"dkim-{self.dashed}.mcsv.net"
                self.add(label, "CNAME", target)
                found = roll < 0.85
                if found:
                    self.zone.add(target, "TXT", chunks(f"v=DKIM1; k=rsa; p={key}"))
            elif roll < 0.75:
                self.txt(label, f"v=DKIM1; k=rsa; p={key}")
            elif roll < 0.88:
                self.txt(label, f"p={key}")
            elif roll < 0.93:
                self.txt(label, f"k=ed25519; p={key[:44]}")
            else:
                self.txt(label, "v=DKIM1; k=rsa; p=")
                found = False
            if found:
                self.truth.dkim.append(selector)

    def _rest(self) -> None:
        rng, roll = self.rng, self.rng.random()
        # Many TXT records: more than 512 octets, and sometimes more than 1232, so that answers are truncated.
        count = (
            0 if roll < 0.5 else rng.randrange(1, 4) if roll < 0.92 else rng.randrange(8, 12) if roll < 0.985 else 26
        )
        for _ in range(count):
            self.txt("", rng.choice(CLUTTER).format(self.token()))
        if rng.random() < 0.015:
            self.zone.wildcard_txt = "v=spf1 -all"
        if rng.random() < 0.9:
            self.add("", "A", address_of(self.index, 3))
            self.add("www", "CNAME", self.domain)
        servers = self.name_servers
        if servers is None:
            servers = (f"ns1.{self.domain}", f"ns2.{self.domain}")
            self.add("ns1", "A", address_of(self.index, 1))
            self.add("ns2", "A", address_of(self.index, 2))
        self.truth.name_servers = list(servers)
        for host in servers:
            self.add("", "NS", host)


def truth_of(seed: int, index: int) -> dict[str, Any]:
    """The truth about company ``index`` as plain data."""
    truth = build_zone(seed, index).truth
    return {name: getattr(truth, name) for name in Truth.__slots__}
