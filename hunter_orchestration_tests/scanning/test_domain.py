"""One domain at a time, over real packets: who holds its mail, and how much may be said."""

from __future__ import annotations

from typing import Any

import dns.message
import dns.rdatatype
import dns.rrset
import pytest

from hunter_orchestration.scanning.dkim import unset_label
from hunter_orchestration.scanning.engine import Engine
from hunter_orchestration.scanning.providers import ProviderTable, provider_table
from hunter_orchestration.scanning.resolvers import parse_address
from hunter_orchestration.scanning.scanner import scan_domains
from hunter_orchestration_tests.scanning.dns_server import LoopbackDns, Special, rcode, serving, silence

KEY = 'TXT "v=DKIM1; k=rsa; p=MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQC"'
OUTLOOK = "MX 0 firma-example.mail.protection.outlook.com."
GATEWAY = "MX 10 mxa-0001.gslb.pphosted.com."
SPF_M365 = 'TXT "v=spf1 include:spf.protection.outlook.com -all"'
PROVIDERS = {
    "spf.protection.outlook.com": ['TXT "v=spf1 ip4:192.0.2.0/24 -all"'],
    "_spf.google.com": ['TXT "v=spf1 ip4:192.0.2.0/24 ~all"'],
    "autodiscover.outlook.com": ["A 192.0.2.10"],
    "ghs.googlehosted.com": ["A 192.0.2.11"],
}


def scan(records: dict[str, list[str]], special: dict[str, Special] | None = None, **options: Any) -> dict[str, Any]:
    with serving(records=PROVIDERS | records, special=special or {}, **options) as server:
        return scanned(server)


def scanned(server: LoopbackDns, domain: str = "firma.example") -> dict[str, Any]:
    with Engine([parse_address(server.address)], patience=0.1, first_timeout=0.1) as engine:
        (findings,) = scan_domains(engine, [domain])
    return findings


@pytest.mark.parametrize(
    ("mx", "provider"),
    [
        ([OUTLOOK], "M365"),
        (["MX 0 firma-example.o-v1.mx.microsoft."], "M365"),
        (["MX 1 ASPMX.L.GOOGLE.COM."], "Google"),
        (["MX 1 smtp.google.com."], "Google"),
        (["MX 10 mx.yandex.net."], "Yandex"),
        (["MX 10 mx.zoho.eu."], "Zoho"),
        (["MX 10 inbound-smtp.eu-west-1.amazonaws.com."], "Amazon"),
        (["MX 10 ec2-192-0-2-1.eu-west-1.compute.amazonaws.com."], "Other"),
        (["MX 10 inbound-smtp.eu-west-1.amazonaws.com.spoof.example."], "Other"),
        (["MX 10 mx.sendgrid.net."], "SendGrid"),
        (["MX 10 mxa.mailgun.org."], "Mailgun"),
        (["MX 10 mxs.mail.ru."], "Other"),
        (["MX 10 mail.outlook.com.spoof.example."], "Other"),
        (["MX 10 mx1.natrohost.com."], "Hosting"),
        (["MX 10 mail.firma.example."], "Local"),
        (["MX 5 firma-example.mail.protection.outlook.com.", "MX 10 d1a.ess.barracudanetworks.com."], "M365"),
        ([OUTLOOK, "MX 32767 ms12345678.msv1.invalid."], "M365"),
    ],
)
def test_the_provider_is_told_by_all_mx_hosts_label_by_label(mx: list[str], provider: str) -> None:
    found = scan({"firma.example": mx, "mail.firma.example": ["A 192.0.2.5"]})
    assert (found["provider"], found["mx_state"]) == (provider, "found")


def test_a_gateway_beside_the_mailbox_provider_is_told() -> None:
    found = scan({"firma.example": [OUTLOOK, "MX 10 d1a.ess.barracudanetworks.com."]})
    assert (found["provider"], found["gateway"]) == ("M365", "Barracuda")


def test_behind_a_gateway_two_tells_make_it_microsoft_365() -> None:
    found = scan({"firma.example": [GATEWAY, SPF_M365, 'TXT "MS=ms12345678"']})
    assert (found["provider"], found["gateway"]) == ("M365", "Proofpoint")


@pytest.mark.parametrize("single", [SPF_M365, 'TXT "MS=ms12345678"'])
def test_behind_a_gateway_one_tell_is_not_enough_for_microsoft_365(single: str) -> None:
    found = scan({"firma.example": [GATEWAY, single]})
    assert (found["provider"], found["gateway"], found["provider_certain"]) == ("Unknown", "Proofpoint", False)


def test_an_spf_record_below_the_domain_tells_too_and_one_of_a_service_only_of_itself() -> None:
    own = {"firma.example": [GATEWAY, 'TXT "v=spf1 include:_spf.firma.example -all"', 'TXT "MS=ms12345678"']}
    assert scan({**own, "_spf.firma.example": [SPF_M365]})["provider"] == "M365"
    other = {"firma.example": [GATEWAY, 'TXT "v=spf1 include:_spf.posta.example -all"', 'TXT "MS=ms12345678"']}
    assert scan({**other, "_spf.posta.example": [SPF_M365]})["provider"] == "Unknown"


def test_behind_a_gateway_google_and_own_servers_are_found() -> None:
    google = {"firma.example": [GATEWAY], "mail.firma.example": ["CNAME ghs.googlehosted.com."]}
    assert scan(google)["provider"] == "Google"
    own = {"firma.example": [GATEWAY], "mail.firma.example": ["A 192.0.2.5"]}
    assert scan(own)["provider"] == "Local"
    beside = scan({**own, "firma.example": [GATEWAY, "NS tr.dnsenable.com.", "A 192.0.2.5"]})
    assert (beside["provider"], beside["hoster"]) == ("Hosting", "İsimtescil")


def test_behind_a_gateway_an_mx_of_its_own_is_its_own_server() -> None:
    own = {"firma.example": [GATEWAY, "MX 50 posta.firma.example."], "posta.firma.example": ["A 192.0.2.5"]}
    found = scan(own)
    assert (found["provider"], found["gateway"], found["hoster"]) == ("Local", "Proofpoint", None)
    found = scan({**own, "5.2.0.192.in-addr.arpa": ["PTR web5.guzel.net.tr."]})
    assert (found["provider"], found["gateway"], found["hoster"]) == ("Hosting", "Proofpoint", "Güzel Hosting")


@pytest.mark.parametrize("made_up", ["A 192.0.2.5", "CNAME ghs.googlehosted.com."])
def test_behind_a_gateway_a_mail_host_that_a_wildcard_makes_up_says_nothing(made_up: str) -> None:
    found = scan({"firma.example": [GATEWAY], "*.firma.example": [made_up]})
    assert (found["provider"], found["gateway"]) == ("Unknown", "Proofpoint")
    beside = {"mail.firma.example": ["A 192.0.2.6"], "*.firma.example": [made_up]}
    assert scan({"firma.example": [GATEWAY], **beside})["provider"] == "Local"
    # Nothing is known of a wildcard whose lookup failed.
    silent = {f"{unset_label('firma.example')}.firma.example": rcode(2)}
    assert scan({"firma.example": [GATEWAY], **beside}, silent)["provider"] == "Unknown"


def test_an_spf_record_with_a_slip_names_the_service_all_the_same() -> None:
    for slip in ("include:spf.protection.outlook.com; -all", "mx,include:spf.protection.outlook.com -all"):
        found = scan({"firma.example": [GATEWAY, f'TXT "v=spf1 {slip}"', 'TXT "MS=ms12345678"']})
        assert (found["spf"]["state"], found["provider"]) == ("syntax", "M365")


def test_behind_a_gateway_a_key_of_google_tells_unless_a_wildcard_made_it_up() -> None:
    verified = {"firma.example": [GATEWAY, 'TXT "google-site-verification=x"']}
    assert scan({**verified, "google._domainkey.firma.example": [KEY]})["provider"] == "Google"
    found = scan({**verified, "*._domainkey.firma.example": [KEY]})
    assert (found["provider"], found["wildcard"]) == ("Unknown", True)


def test_before_microsoft_365_may_stand_a_host_of_nobody_known() -> None:
    records = {"firma.example": ["MX 10 mx.filtre.example.", SPF_M365]}
    assert scan(records)["provider"] == "Other"
    found = scan({**records, "autodiscover.firma.example": ["CNAME autodiscover.outlook.com."]})
    assert (found["provider"], found["gateway"]) == ("M365", None)


def test_only_microsofts_own_name_of_registration_is_a_tell() -> None:
    weak = {"firma.example": [GATEWAY, 'TXT "MS=ms12345678"']}
    registered = {"enterpriseregistration.firma.example": ["CNAME enterpriseregistration.windows.net."]}
    assert scan({**weak, **registered})["provider"] == "M365"
    site = {"*.firma.example": ["CNAME firma.z6.web.core.windows.net."]}
    assert scan({**weak, **site})["provider"] == "Unknown"


def test_own_mx_with_a_hosters_spf_reverse_name_or_shared_server_is_hosting() -> None:
    own = ["MX 10 mail.firma.example.", "A 192.0.2.5"]
    by_spf = scan({"firma.example": [*own, 'TXT "v=spf1 include:spf.natrohost.com -all"']})
    assert (by_spf["provider"], by_spf["hoster"]) == ("Hosting", "Natro")
    led = scan({"firma.example": [*own, 'TXT "v=spf1 mx REDIRECT=_SPF.Natrohost.COM."']})
    assert (led["provider"], led["hoster"]) == ("Hosting", "Natro")
    pointer = {"5.2.0.192.in-addr.arpa": ["PTR web5.guzel.net.tr."], "mail.firma.example": ["A 192.0.2.5"]}
    by_reverse = scan({"firma.example": own, **pointer})
    assert (by_reverse["provider"], by_reverse["hoster"]) == ("Hosting", "Güzel Hosting")
    shared = {"firma.example": [*own, "NS tr.dnsenable.com."], "mail.firma.example": ["A 192.0.2.5"]}
    by_address = scan(shared)
    assert (by_address["provider"], by_address["hoster"]) == ("Hosting", "İsimtescil")
    apart = {"firma.example": [*own, "NS tr.dnsenable.com."], "mail.firma.example": ["A 192.0.2.99"]}
    alone = scan(apart)
    assert (alone["provider"], alone["hoster"], alone["dns_host"]) == ("Local", None, "İsimtescil")
    pointed = scan({**apart, "99.2.0.192.in-addr.arpa": ["PTR web9.guzel.net.tr."]})
    assert (pointed["provider"], pointed["hoster"], pointed["dns_host"]) == ("Hosting", "Güzel Hosting", "İsimtescil")


def test_an_mx_that_is_an_alias_is_known_by_whom_it_leads_to() -> None:
    host = {"firma.example": ["MX 10 mail.firma.example."], "mail.firma.example": ["CNAME mx1.natrohost.com."]}
    found = scan({**host, "mx1.natrohost.com": ["A 192.0.2.5"]})
    assert (found["provider"], found["hoster"]) == ("Hosting", "Natro")
    behind = scan(
        {
            "firma.example": [GATEWAY],
            "mail.firma.example": ["CNAME mx1.natrohost.com."],
            "mx1.natrohost.com": ["A 192.0.2.5"],
        }
    )
    assert (behind["provider"], behind["gateway"], behind["hoster"]) == ("Hosting", "Proofpoint", "Natro")
    web = {**host, "mail.firma.example": ["CNAME ghs.googlehosted.com."]}
    assert scan(web)["provider"] == "Local"


def test_a_null_mx_no_mx_and_no_domain_are_three_things() -> None:
    assert scan({"firma.example": ["MX 0 ."]})["mx_state"] == "null"
    absent = scan({"firma.example": ["A 192.0.2.1"]})
    assert (absent["mx_state"], absent["implicit_mx"]) == ("absent", True)
    gone = scan({})
    assert (gone["mx_state"], gone["lookups"], gone["complete"]) == ("nxdomain", 1, True)
    assert (gone["spf"]["state"], gone["dmarc"]["state"], gone["dkim_state"]) == ("none", "none", "absent")


@pytest.mark.parametrize(("behaviour", "reason"), [(rcode(2), "servfail"), (silence, "timeout")])
def test_a_domain_that_fails_is_unknown_and_soon_given_up(behaviour: Special, reason: str) -> None:
    found = scan({"firma.example": [OUTLOOK]}, {"firma.example": behaviour})
    states = (found["mx_state"], found["spf"]["state"], found["dmarc"]["state"], found["dkim_state"])
    assert states == ("unknown", "unknown", "unknown", "unknown")
    assert found["complete"] is False
    assert found["unknown"][0]["reason"] == reason
    assert found["lookups"] <= 2


def test_a_server_that_is_silent_on_mx_alone_loses_only_that() -> None:
    def no_mx(query: dns.message.Message, _wire: bytes) -> list[bytes] | None:
        return [] if query.question[0].rdtype == dns.rdatatype.MX else None

    records = {"firma.example": [OUTLOOK, SPF_M365], "_dmarc.firma.example": ['TXT "v=DMARC1; p=reject"']}
    found = scan(records, {"firma.example": no_mx})
    assert (found["mx_state"], found["provider"], found["complete"]) == ("unknown", "Unknown", False)
    assert (found["spf"]["state"], found["dmarc"]["policy"]) == ("valid", "reject")


def test_the_hosts_of_an_spf_record_are_looked_up_when_three_might_not_exist() -> None:
    two = 'TXT "v=spf1 a:x1.firma.example mx:x2.firma.example -all"'
    found = scan({"firma.example": [OUTLOOK, two]})
    assert (found["spf"]["state"], found["lookups"]) == ("valid", 6)
    three = 'TXT "v=spf1 a:x1.firma.example mx:x2.firma.example exists:x3.firma.example -all"'
    found = scan({"firma.example": [OUTLOOK, three]})
    assert (found["spf"]["state"], found["spf"]["voids"]) == ("too_many_lookups", 3)
    found = scan({"firma.example": [OUTLOOK, three]}, {"x1.firma.example": rcode(2)})
    assert (found["spf"]["state"], found["complete"]) == ("valid", True)


def test_one_failed_selector_ends_nothing_and_is_named() -> None:
    records = {
        "firma.example": [OUTLOOK],
        "selector2._domainkey.firma.example": [KEY],
        "_dmarc.firma.example": ['TXT "v=DMARC1; p=reject"'],
    }
    found = scan(records, {"selector1._domainkey.firma.example": rcode(2)})
    assert found["dkim"] == {"selector2": "usable"}
    assert found["dkim_unknown"] == ["selector1"]
    assert (found["dkim_state"], found["dmarc"]["policy"], found["complete"]) == ("found", "reject", False)


def test_dkim_is_unknown_when_a_selector_failed_and_none_was_found() -> None:
    records = {"firma.example": [OUTLOOK], "other._domainkey.firma.example": [KEY]}
    found = scan(records, {"selector1._domainkey.firma.example": rcode(2)})
    assert found["dkim_state"] == "unknown"


def test_no_domainkey_spares_every_selector() -> None:
    with serving(records=PROVIDERS | {"firma.example": [OUTLOOK]}) as server:
        found = scanned(server)
        assert not [name for name, _ in server.asked if "._domainkey." in name]
    assert found["dkim_state"] == "absent"


def test_at_least_twenty_selectors_are_tried_before_dkim_is_absent() -> None:
    records = PROVIDERS | {"firma.example": [OUTLOOK], "secret-selector._domainkey.firma.example": [KEY]}
    with serving(records=records) as server:
        found = scanned(server)
        tried = {name for name, _ in server.asked if "._domainkey." in name}
    assert found["dkim_state"] == "absent"
    assert len(tried) >= 20


@pytest.mark.parametrize("junk", ['TXT "v=spf1 -all"', KEY, 'TXT "junk"'])
@pytest.mark.parametrize("owner", ["*.firma.example", "*._domainkey.firma.example"])
def test_a_lying_wildcard_makes_no_key(owner: str, junk: str) -> None:
    found = scan({"firma.example": [OUTLOOK], owner: [junk]})
    assert (found["dkim"], found["dkim_state"]) == ({}, "absent")
    assert found["dmarc"]["state"] == "none"


@pytest.mark.parametrize("owner", ["*.firma.example", "*._domainkey.firma.example"])
def test_an_alias_to_nothing_that_a_wildcard_makes_up_is_no_broken_key(owner: str) -> None:
    found = scan({"firma.example": [OUTLOOK, "A 192.0.2.1"], owner: ["CNAME firma.example."]})
    assert (found["dkim"], found["dkim_state"], found["wildcard"]) == ({}, "absent", True)
    beside = scan({"firma.example": [OUTLOOK], owner: ["CNAME gone.example."], "zmail._domainkey.firma.example": [KEY]})
    assert (beside["dkim"], beside["dkim_state"]) == ({"zmail": "usable"}, "found")


def test_a_wildcard_over_the_whole_domain_shortens_the_list_of_selectors() -> None:
    found = scan({"firma.example": [OUTLOOK], "*.firma.example": [KEY]})
    assert (found["dkim_state"], found["wildcard"]) == ("absent", True)
    assert found["lookups"] < 30


def test_a_key_is_found_though_a_wildcard_answers_where_it_should_not() -> None:
    def junk(query: dns.message.Message, wire: bytes) -> list[bytes] | None:
        name = query.question[0].name.to_text()
        if query.question[0].rdtype != dns.rdatatype.TXT or name in (
            "firma.example.",
            "mail._domainkey.firma.example.",
        ):
            return None
        response = dns.message.make_response(query)
        response.answer.append(dns.rrset.from_text(name, 300, "IN", "TXT", '"v=spf1 -all"'))
        return [response.to_wire()]

    records = {"firma.example": [OUTLOOK], "mail._domainkey.firma.example": [KEY]}
    with serving(records=PROVIDERS | records, everything=junk) as server:
        found = scanned(server)
    assert (found["dkim"], found["wildcard"], found["dmarc"]["state"]) == ({"mail": "usable"}, True, "none")


def test_keys_beside_a_wildcard_below_domainkey_are_found() -> None:
    records = {"firma.example": [OUTLOOK], "*._domainkey.firma.example": [KEY]}
    for selector in ("selector1", "zmail"):
        key = KEY.replace("MIGf", "MIIB")
        found = scan({**records, f"{selector}._domainkey.firma.example": [key]})
        assert (found["dkim"], found["wildcard"]) == ({selector: "usable"}, True)


def test_a_wildcard_is_told_by_the_one_selector_it_makes_up() -> None:
    own = {f"selector{i}._domainkey.firma.example": [KEY.replace("MIGf", f"MII{i}")] for i in (1, 2)}
    dangling = {"default._domainkey.firma.example": ["CNAME gone.posta.example."]}
    found = scan({"firma.example": [OUTLOOK], "*._domainkey.firma.example": [KEY], **own, **dangling})
    assert found["dkim"] == {"selector1": "usable", "selector2": "usable", "default": "broken"}
    assert found["wildcard"] is True


def test_keys_that_all_differ_are_kept_though_a_wildcard_gives_one_more() -> None:
    names = ("selector1", "selector2", "default", "k1")
    own = {f"{name}._domainkey.firma.example": [KEY.replace("MIGf", f"MII{i}")] for i, name in enumerate(names)}
    found = scan({"firma.example": [OUTLOOK], "*._domainkey.firma.example": [KEY], **own})
    assert (sorted(found["dkim"]), found["wildcard"]) == (sorted(names), True)


@pytest.mark.parametrize("old", ['TXT "v=DKIM1; p="', "CNAME gone.posta.example."])
def test_the_likeliest_other_selector_is_tried_when_those_found_are_of_no_use(old: str) -> None:
    records = {"selector1._domainkey.firma.example": [old], "google._domainkey.firma.example": [KEY]}
    found = scan({"firma.example": ["MX 10 mail.firma.example."], **records})
    assert (found["dkim"]["google"], found["dkim_state"]) == ("usable", "found")


def test_keys_made_up_anew_for_every_name_are_no_keys() -> None:
    def made_up(query: dns.message.Message, wire: bytes) -> list[bytes] | None:
        name = query.question[0].name.to_text()
        if not name.endswith("_domainkey.firma.example."):
            return None
        response = dns.message.make_response(query)
        key = f'"v=DKIM1; p=AAAA{name.partition(".")[0].encode().hex().upper()}"'
        response.answer.append(dns.rrset.from_text(name, 300, "IN", "TXT", key))
        return [response.to_wire()]

    with serving(records=PROVIDERS | {"firma.example": [OUTLOOK]}, everything=made_up) as server:
        found = scanned(server)
    assert (found["dkim"], found["dkim_state"], found["wildcard"]) == ({}, "absent", True)


def test_the_tenant_is_named_by_the_alias_of_a_key_in_either_style() -> None:
    for target in ("contoso.onmicrosoft.com", "contoso.q-v1.dkim.mail.microsoft"):
        alias = f"selector1-firma-example._domainkey.{target}"
        records = {
            "firma.example": [OUTLOOK],
            "selector1._domainkey.firma.example": [f"CNAME {alias}."],
            alias: [KEY],
        }
        found = scan(records)
        assert (found["tenant_name"], found["dkim"]) == ("contoso", {"selector1": "usable"})


def test_every_finding_keeps_its_evidence() -> None:
    found = scan({"firma.example": [OUTLOOK, SPF_M365]})
    by_question = {(item["name"], item["type"]): item for item in found["evidence"]}
    mx = by_question["firma.example", "MX"]
    assert (mx["state"], mx["records"], mx["ttl"]) == ("found", ["0 firma-example.mail.protection.outlook.com"], 300)
    assert mx["resolver"].startswith("127.0.0.1:")
    assert mx["at"] > 0
    assert by_question["_dmarc.firma.example", "TXT"]["reason"] == "nxdomain"


def test_64_kilobytes_of_text_are_bounded_in_what_is_kept() -> None:
    big = " ".join(f'"{"x" * 250}"' for _ in range(258))
    found = scan({"firma.example": [OUTLOOK, f"TXT {big}"]})
    assert found["spf"]["state"] == "none"
    assert sum(len(record) for item in found["evidence"] for record in item["records"]) < 30_000


def test_control_characters_never_reach_the_findings() -> None:
    found = scan({"firma.example": [OUTLOOK, 'TXT "v=spf1 \\000\\027[31m -all"']})
    assert found["spf"]["state"] == "syntax"
    assert "\x00" not in str(found)
    assert "\x1b" not in str(found)


def test_the_provider_table_refuses_a_row_without_source_or_with_a_taken_suffix() -> None:
    from hunter_orchestration.errors import PermanentError

    good = {"name": "A", "kind": "gateway", "mx": ["a.example"], "grade": "C", "source": "somewhere"}
    with pytest.raises(PermanentError, match="B"):
        ProviderTable({"services": [{**good, "name": "B", "source": ""}]})
    with pytest.raises(PermanentError, match=r"a\.example"):
        ProviderTable({"services": [good, {**good, "name": "B"}]})


def test_every_provider_of_the_table_is_found_by_each_of_its_mx_suffixes() -> None:
    table = provider_table()
    for suffix, service in table.by["mx"].items():
        assert table.match("mx", f"host.{suffix}") is service
        assert table.match("mx", f"{suffix}.spoof.example") is None
        if table.match("mx", suffix.partition(".")[2]) is None:
            assert table.match("mx", f"not{suffix}") is None
