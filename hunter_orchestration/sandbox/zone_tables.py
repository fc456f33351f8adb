"""What the world's domains are drawn from: kinds of mail service with their shares, hosters, gateways, name servers."""

from __future__ import annotations

from collections.abc import Callable
from itertools import accumulate

CATEGORIES = {
    "m365": 22,
    "google": 14,
    "yandex": 6,
    "zoho": 4,
    "amazon": 2,
    "gw_m365": 4,
    "gw_google": 1,
    "gw_local": 1,
    "hosting": 13,
    "hosting_own": 3,
    "local": 14,
    "nomx": 6,
    "nullmx": 2,
    "nxdomain": 4,
    "servfail": 2,
    "other": 2,
}
CATEGORY_NAMES = tuple(CATEGORIES)
CATEGORY_BOUNDS = tuple(accumulate(CATEGORIES.values()))
HOSTERS: tuple[tuple[str, tuple[str, ...], str | None, tuple[str, ...] | None], ...] = (
    (
        "natro",
        ("mx1.natrohost.com", "mx2.natrohost.com"),
        "_spfcls.natrohost.com",
        ("ns1.natrohost.com", "ns2.natrohost.com"),
    ),
    ("turhost", ("mail.turhost.com",), "spf.turhost.com", ("ns1.turhost.com", "ns2.turhost.com")),
    ("isimtescil", ("mx1.isimtescil.net",), None, ("tr.dnsenable.com", "eu.dnsenable.com")),
    ("guzel", ("mx.guzelhosting.com",), "spf.guzelhosting.com", ("tr.guzelhosting.com", "eu.guzelhosting.com")),
    ("turkticaret", ("mx.turkticaret.net",), None, None),
    ("ihs", ("mx1.ihs.com.tr",), None, None),
    ("veridyen", ("mx.veridyen.com",), None, None),
    ("radore", ("mx.radore.com",), None, None),
    ("hostinger", ("mx1.hostinger.com", "mx2.hostinger.com"), "_spf.hostinger.com", None),
    ("godaddy", ("smtp.secureserver.net", "mailstore1.secureserver.net"), "secureserver.net", None),
    ("ovh", ("mx1.mail.ovh.net",), None, None),
    ("ionos", ("mx00.ionos.com", "mx01.ionos.com"), None, None),
)
GATEWAYS: tuple[tuple[str, Callable[[int], tuple[str, ...]], str], ...] = (
    (
        "proofpoint",
        lambda k: (f"mxa-{k:08x}.gslb.pphosted.com", f"mxb-{k:08x}.gslb.pphosted.com"),
        "include:spf-00000001.pphosted.com",
    ),
    (
        "mimecast",
        lambda _: ("eu-smtp-inbound-1.mimecast.com", "eu-smtp-inbound-2.mimecast.com"),
        "include:eu._netblocks.mimecast.com",
    ),
    ("barracuda", lambda k: (f"d{k}a.ess.barracudanetworks.com", f"d{k}b.ess.barracudanetworks.com"), "mx"),
    ("cisco", lambda k: (f"mx1.hc{k}-12.eu.iphmx.com", f"mx2.hc{k}-12.eu.iphmx.com"), "mx"),
    ("trendmicro", lambda k: (f"g{k}.in.tmes-emea.trendmicro.com",), "mx"),
    ("fortimail", lambda k: (f"gw{k}.fortimailcloud.com",), "mx"),
    ("messagelabs", lambda _: ("cluster1.eu.messagelabs.com", "cluster1a.eu.messagelabs.com"), "mx"),
)
NAME_SERVERS: tuple[tuple[str, ...] | None, ...] = (
    ("ada.ns.cloudflare.com", "bob.ns.cloudflare.com"),
    ("ada.ns.cloudflare.com", "bob.ns.cloudflare.com"),
    ("ns-1.awsdns-01.org", "ns-2.awsdns-02.net"),
    None,
)
CLUTTER = (
    "google-site-verification={}",
    "facebook-domain-verification={}",
    "apple-domain-verification={}",
    "atlassian-domain-verification={}",
    "adobe-idp-site-verification={}",
    "docusign={}",
    "globalsign-domain-verification={}",
    "_globalsign-domain-verification={}",
    "ZOOM_verify_{}",
    "cisco-ci-domain-verification={}",
)
LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_"
