"""What a company's domain publishes in DNS, and the truth about it that a scan should find.

Everything follows from the world's seed and the company's number. The shapes are those of real zones, traps included:
gateways in front of cloud mail, SPF that is doubled, broken or too deep, DMARC written in twelve ways, wildcard TXT.
"""

from __future__ import annotations

import random
from typing import Any

from hunter_orchestration.sandbox.dns_providers import HOSTS
from hunter_orchestration.sandbox.names import domain_of, mix
from hunter_orchestration.sandbox.zone_policies import PolicyWriter, Truth, Zone
from hunter_orchestration.sandbox.zone_tables import (
    CATEGORY_BOUNDS,
    CATEGORY_NAMES,
    CLUTTER,
    GATEWAYS,
    HOSTERS,
    NAME_SERVERS,
)


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


class _Builder(PolicyWriter):
    def __init__(self, zone: Zone, rng: random.Random, index: int) -> None:
        super().__init__(zone, rng, index)
        self.name_servers = rng.choice(NAME_SERVERS)

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
