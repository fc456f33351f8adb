"""How a domain writes its SPF, DMARC and DKIM, in all the ways seen in the wild, and the truth about each."""

from __future__ import annotations

import base64
import random
from dataclasses import dataclass, field

from hunter_orchestration.sandbox.dns_providers import Records
from hunter_orchestration.sandbox.zone_tables import LETTERS


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


def chunks(text: str) -> tuple[str, ...]:
    """A TXT record's strings: at most 250 octets each."""
    return tuple(text[i : i + 250] for i in range(0, len(text), 250)) or ("",)


class PolicyWriter:
    """Writes the policies of one zone; what carries the mail is decided by who derives from it."""

    def __init__(self, zone: Zone, rng: random.Random, index: int) -> None:
        self.zone, self.truth, self.rng, self.index = zone, zone.truth, rng, index
        self.domain = zone.truth.domain
        self.dashed = self.domain.replace(".", "-")
        self.mechanisms: list[str] = []
        self.selectors: dict[str, str] = {}
        self.mx: list[tuple[int, str]] = []

    def add(self, label: str, kind: str, data: object) -> None:
        self.zone.add(f"{label}.{self.domain}" if label else self.domain, kind, data)

    def txt(self, label: str, text: str) -> None:
        self.add(label, "TXT", chunks(text))

    def token(self, length: int = 43) -> str:
        return "".join(self.rng.choices(LETTERS, k=length))

    def case(self, host: str) -> str:
        return host.upper() if self.rng.random() < 0.05 else host

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
