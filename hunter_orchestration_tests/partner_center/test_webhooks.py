from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization

from hunter_orchestration.errors import PermanentError
from hunter_orchestration.partner_center.webhooks import EventRefusedError, WebhookVerifier, receive, register
from hunter_orchestration.store import Store
from hunter_orchestration_tests.partner_center.examples import sets
from hunter_orchestration_tests.partner_center.service import Answer, Bearer, Request, Service, serving, settings_for
from hunter_orchestration_tests.partner_center.signing import (
    NOW,
    REFERRAL,
    Signer,
    event,
    headers,
    issue,
    named,
    publish,
)

SETS = sets()


@pytest.fixture(scope="module")
def root() -> Signer:
    return issue(named("Microsoft Corporation", "Root"), None, authority=True)


@pytest.fixture(scope="module")
def signer(root: Signer) -> Signer:
    return issue(named("Microsoft Corporation", "Events"), root, authority=False)


@pytest.fixture
def verifier(service: Service, tmp_path: Path, root: Signer, signer: Signer) -> WebhookVerifier:
    bundle = tmp_path / "roots.pem"
    bundle.write_bytes(root.certificate.public_bytes(serialization.Encoding.PEM))
    publish(service, signer)
    settings = settings_for(
        service,
        webhook_root_certificate=bundle,
        webhook_certificate_hosts=[service.url.removeprefix("http://"), "certificates.example"],
    )
    return WebhookVerifier(settings)


def refused(verifier: WebhookVerifier, body: bytes, given: dict[str, str]) -> str:
    with pytest.raises(EventRefusedError) as told:
        verifier.verify(body, given)
    return told.value.reason


def test_a_signed_event_is_taken_in_both_header_modes(
    service: Service, verifier: WebhookVerifier, signer: Signer
) -> None:
    body = event()
    assert verifier.verify(body, headers(service, signer, body)).referral_id == REFERRAL
    plain = headers(service, signer, body)
    plain["Authorization"] = f"Signature {plain.pop('X-MS-Signature')}"
    assert verifier.verify(body, plain).name == "referral-updated"
    assert len(service.requests) == 1


def test_unsigned_or_wrongly_signed_events_are_refused(
    service: Service, verifier: WebhookVerifier, signer: Signer
) -> None:
    body = event()
    good = headers(service, signer, body)
    unsigned = {name: value for name, value in good.items() if name != "X-MS-Signature"}
    assert refused(verifier, body, unsigned) == "unsigned"
    assert refused(verifier, body, unsigned | {"Authorization": "Bearer x"}) == "unsigned"
    assert refused(verifier, body, good | {"X-MS-Signature": "not base64!"}) == "signature"
    assert refused(verifier, body + b" ", good) == "signature"
    assert refused(verifier, body, good | {"X-MS-Signature-Algorithm": "none"}) == "algorithm"


@pytest.mark.parametrize(
    "url",
    [
        "",
        "https://evil.example/cert.cer",
        "http://certificates.example/cert.cer",
        "https://certificates.example@evil.example/cert.cer",
        "https://certificates.example.evil.example/cert.cer",
        "http://169.254.169.254/latest",
        "http://127.0.0.1/cert.cer",
        "file:///etc/passwd",
        "https://certificates.example:99999/x",
    ],
)
def test_a_certificate_is_fetched_from_allowed_hosts_only(
    service: Service, verifier: WebhookVerifier, signer: Signer, url: str
) -> None:
    body = event()
    given = headers(service, signer, body) | {"X-MS-Certificate-Url": url}
    assert refused(verifier, body, given) == "certificate_host"
    assert service.requests == []


def test_a_redirect_to_a_certificate_elsewhere_is_not_followed(
    service: Service, verifier: WebhookVerifier, signer: Signer
) -> None:
    with serving() as other:
        service.faults[:] = [lambda _request: (302, {"Location": f"{other.url}/cert.cer"}, b"")]
        body = event()
        assert refused(verifier, body, headers(service, signer, body)) == "certificate"
        assert other.requests == []


def test_a_certificate_of_a_foreign_root_an_ended_one_and_a_foreign_issuer_are_refused(
    service: Service, verifier: WebhookVerifier, root: Signer
) -> None:
    stranger_root = issue(named("Microsoft Corporation", "Root"), None, authority=True)
    stranger = issue(named("Microsoft Corporation", "Events"), stranger_root, authority=False)
    ended = issue(named("Microsoft Corporation", "Events"), root, authority=False, until=timedelta(days=-1))
    self_signed = issue(named("Microsoft Corporation", "Events"), None, authority=False)
    body = event()
    for number, forged in enumerate((stranger, ended, self_signed)):
        content = forged.certificate.public_bytes(serialization.Encoding.DER)
        service.faults[:] = [lambda _request, content=content: (200, {}, content)]
        given = headers(service, forged, body) | {"X-MS-Certificate-Url": f"{service.url}/{number}.cer"}
        assert refused(verifier, body, given) == "chain"


@pytest.mark.filterwarnings("error")
def test_the_public_roots_load_without_a_warning_and_do_not_vouch_for_a_root_of_ones_own(
    service: Service, signer: Signer
) -> None:
    publish(service, signer)
    verifier = WebhookVerifier(settings_for(service, webhook_certificate_hosts=[service.url.removeprefix("http://")]))
    body = event()
    assert refused(verifier, body, headers(service, signer, body)) == "chain"


def test_a_trusted_chain_of_another_organisation_is_refused(service: Service, tmp_path: Path) -> None:
    root = issue(named("Other Corporation", "Root"), None, authority=True)
    signer = issue(named("Microsoft Corporation", "Events"), root, authority=False)
    bundle = tmp_path / "other.pem"
    bundle.write_bytes(root.certificate.public_bytes(serialization.Encoding.PEM))
    publish(service, signer)
    host = service.url.removeprefix("http://")
    settings = settings_for(service, webhook_root_certificate=bundle, webhook_certificate_hosts=[host])
    body = event()
    assert refused(WebhookVerifier(settings), body, headers(service, signer, body)) == "issuer"


@pytest.mark.parametrize("content", [b"", b"<html>", b"x" * 100_000])
def test_what_is_no_certificate_is_refused(
    service: Service, verifier: WebhookVerifier, signer: Signer, content: bytes
) -> None:
    service.faults[:] = [lambda _request: (200, {}, content)]
    body = event()
    assert refused(verifier, body, headers(service, signer, body)) == "certificate"


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"x" * 70_000, "size"),
        (b"[]", "body"),
        (b"{", "body"),
        (event(EventName="invoice-ready"), "body"),
        (event(ResourceUri="https://a.example/"), "body"),
        (event(ResourceUri=None), "body"),
        (event(ResourceChangeUtcDate="yesterday"), "body"),
        (event(ResourceChangeUtcDate="2018-02-17T00:05:39.5485487+00:00"), "stale"),
        (event(ResourceChangeUtcDate="2099-02-17T00:05:39Z"), "stale"),
    ],
)
def test_a_signed_body_that_makes_no_sense_is_refused(
    service: Service, verifier: WebhookVerifier, signer: Signer, body: bytes, reason: str
) -> None:
    assert refused(verifier, body, headers(service, signer, body)) == reason


def test_a_replayed_event_is_noticed(store: Store, service: Service, verifier: WebhookVerifier, signer: Signer) -> None:
    body = event()
    given = headers(service, signer, body)
    assert not receive(store, verifier, body, given).replay
    assert receive(store, verifier, body, given).replay
    other = event(EventName="referral-created")
    assert not receive(store, verifier, other, headers(service, signer, other)).replay


@pytest.mark.parametrize("given", list(SETS.values()), ids=list(SETS))
@pytest.mark.parametrize("name", [name for name in SETS["own"] if name.startswith("webhook_r") and "ferral" in name])
def test_each_documented_event_names_its_referral(
    sqlite_store: Store, service: Service, verifier: WebhookVerifier, signer: Signer, given: dict[str, Any], name: str
) -> None:
    old = json.dumps(given[name]).encode()
    assert refused(verifier, old, headers(service, signer, old)) == "stale"
    fresh = json.dumps(given[name] | {"ResourceChangeUtcDate": NOW.isoformat()}).encode()
    received = receive(sqlite_store, verifier, fresh, headers(service, signer, fresh))
    assert received.referral_id == given[name]["ResourceUri"].rsplit("/", 1)[-1]
    assert not received.replay


def test_registration_replaces_the_one_that_stands(
    service: Service, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login a password b\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))

    def play(request: Request) -> Answer | None:
        if request.path == "/webhooks/v1/registration":
            return 200, {}, b'{"SubscriberId":"s-1"}'
        return None

    service.faults.append(play)
    settings = settings_for(service, partner_center_events_url=service.url)
    done = register(settings, Bearer(), "https://hunter.partner.example/api/v1/webhooks/partner-center")
    assert done["subscriber"] == "s-1"
    assert [request.method for request in service.requests] == ["GET", "PUT"]
    assert {request.headers["authorization"] for request in service.requests} == {"Bearer good"}
    sent = json.loads(service.requests[1].body)
    assert sent["signatureTokenToMsSignatureHeader"] is True
    assert len(sent["WebhookEvents"]) == 4


def test_registration_of_an_address_without_https_is_refused(service: Service) -> None:
    with pytest.raises(PermanentError, match="https"):
        register(settings_for(service), Bearer(), "http://hunter.partner.example/")
    assert service.requests == []
