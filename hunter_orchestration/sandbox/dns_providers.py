"""Names of mail providers and hosters as the sandbox's resolver knows them. Addresses are of documentation ranges."""

from __future__ import annotations

import re

from hunter_orchestration.sandbox.names import words

Records = dict[str, list[object]]
"""Record type to record data: A text, MX (preference, host), TXT tuple of strings, CNAME, NS and PTR a host name."""

SPF = {
    "spf.protection.outlook.com": "v=spf1 ip4:40.92.0.0/15 ip4:40.107.0.0/16 ip6:2a01:111:f400::/48 -all",
    "_spf.google.com": "v=spf1 include:_netblocks.google.com include:_netblocks2.google.com ~all",
    "_netblocks.google.com": "v=spf1 ip4:35.190.247.0/24 ip4:64.233.160.0/19 ip4:66.102.0.0/20 ip4:74.125.0.0/16 ~all",
    "_netblocks2.google.com": "v=spf1 ip6:2001:4860:4000::/36 ip6:2404:6800:4000::/36 ~all",
    "_spf.yandex.net": "v=spf1 include:_spf-ipv4.yandex.ru include:_spf-ipv6.yandex.ru ~all",
    "_spf-ipv4.yandex.ru": "v=spf1 ip4:77.88.0.0/18 ip4:5.255.192.0/18 ~all",
    "_spf-ipv6.yandex.ru": "v=spf1 ip6:2a02:6b8::/32 ~all",
    "zohomail.com": "v=spf1 include:_spf.zoho.com -all",
    "zoho.eu": "v=spf1 ip4:31.186.226.0/24 ~all",
    "_spf.zoho.com": "v=spf1 ip4:136.143.160.0/24 ip4:136.143.161.0/24 -all",
    "amazonses.com": "v=spf1 ip4:199.255.192.0/22 ip4:54.240.0.0/18 -all",
    "sendgrid.net": "v=spf1 ip4:167.89.0.0/17 ~all",
    "mailgun.org": "v=spf1 include:_spf1.mailgun.org include:_spf2.mailgun.org ~all",
    "_spf1.mailgun.org": "v=spf1 ip4:209.61.151.0/24 ~all",
    "_spf2.mailgun.org": "v=spf1 ip4:69.72.32.0/20 ~all",
    "spf.mandrillapp.com": "v=spf1 ip4:198.2.128.0/24 ?all",
    "servers.mcsv.net": "v=spf1 ip4:205.201.128.0/20 ?all",
    "_spfcls.natrohost.com": "v=spf1 include:_netblockshalon.natrohost.com ~all",
    "_netblockshalon.natrohost.com": "v=spf1 ip4:198.51.100.0/24 ~all",
    "spf.guzelhosting.com": "v=spf1 ip4:198.51.100.0/24 ~all",
    "spf.turhost.com": "v=spf1 ip4:198.51.100.0/24 ~all",
    "_spf.hostinger.com": "v=spf1 ip4:198.51.100.0/24 ~all",
    "secureserver.net": "v=spf1 ip4:198.51.100.0/24 -all",
    "spf-00000001.pphosted.com": "v=spf1 ip4:198.51.100.0/24 ~all",
    "eu._netblocks.mimecast.com": "v=spf1 ip4:198.51.100.0/24 ~all",
    "spf.messagingengine.com": "v=spf1 ip4:198.51.100.0/24 ~all",
    **{f"deep{i}.spfchain.test": f"v=spf1 include:deep{i + 1}.spfchain.test ~all" for i in range(1, 12)},
    "deep12.spfchain.test": "v=spf1 ip4:198.51.100.0/24 ~all",
}
"""SPF records by name. ``deep1.spfchain.test`` costs twelve lookups, more than RFC 7208 allows."""

HOSTS = words("""
aspmx.l.google.com alt1.aspmx.l.google.com alt2.aspmx.l.google.com alt3.aspmx.l.google.com
alt4.aspmx.l.google.com smtp.google.com aspmx2.googlemail.com aspmx3.googlemail.com mx.yandex.net mx.yandex.ru
mx.zoho.com mx2.zoho.com mx3.zoho.com mx.zoho.eu mx2.zoho.eu inbound-smtp.eu-west-1.amazonaws.com inbound-
smtp.us-east-1.amazonaws.com mxs.mail.ru in1-smtp.messagingengine.com in2-smtp.messagingengine.com
mail.protonmail.ch mailsec.protonmail.ch autodiscover.outlook.com ghs.googlehosted.com mx1.hostinger.com
mx2.hostinger.com smtp.secureserver.net mailstore1.secureserver.net mx1.mail.ovh.net mx00.ionos.com
mx01.ionos.com mx1.natrohost.com mx2.natrohost.com mx-in01.natrohost.com mx.turkticaret.net mail.turhost.com
mx1.isimtescil.net mx.guzelhosting.com mx1.ihs.com.tr mx.veridyen.com mx.radore.com ns1.natrohost.com
ns2.natrohost.com ns1.turhost.com ns2.turhost.com tr.guzelhosting.com eu.guzelhosting.com tr.dnsenable.com
eu.dnsenable.com ada.ns.cloudflare.com bob.ns.cloudflare.com ns-1.awsdns-01.org ns-2.awsdns-02.net
enterpriseregistration.windows.net enterpriseenrollment.manage.microsoft.com webdir.online.lync.com eu-smtp-
inbound-1.mimecast.com eu-smtp-inbound-2.mimecast.com cluster1.eu.messagelabs.com cluster1a.eu.messagelabs.com
node1.guzel.net.tr
""")

GATEWAY_HOST = re.compile(
    r"(mx[ab]-[0-9a-f]{8}\.gslb\.pphosted\.com|d\d+[ab]\.ess\.barracudanetworks\.com|mx[12]\.hc\d+-12\.eu\.iphmx\.com"
    r"|g\d+\.in\.tmes-emea\.trendmicro\.com|gw\d+\.fortimailcloud\.com)$"
)
"""Hosts of gateways, one per customer: each has an address."""


def provider_records() -> dict[str, Records]:
    """All fixed names, with reverse names for their addresses."""
    names: dict[str, Records] = {name: {"TXT": [(text,)]} for name, text in SPF.items()}
    for place, host in enumerate(HOSTS):
        address = f"203.0.113.{place + 1}"
        names.setdefault(host, {})["A"] = [address]
        names[reverse_name(address)] = {"PTR": [host]}
    return names


def reverse_name(address: str) -> str:
    """The in-addr.arpa name of an IPv4 address."""
    return ".".join(reversed(address.split("."))) + ".in-addr.arpa"
