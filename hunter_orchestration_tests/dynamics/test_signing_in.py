"""Signing in as the app registration: secret or certificate, one refresh, and what is said when it fails."""

from __future__ import annotations

import base64
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID

from hunter_orchestration.dynamics.refusals import NotReadyError, SignInError, UnreachableError
from hunter_orchestration.sandbox.entra_credentials import CredentialError, check_credential
from hunter_orchestration_tests.dynamics.world import World, add_companies, world_in


def certificate(folder: Path, name: str, *, password: bytes | None = None) -> tuple[Path, str]:
    """A PEM file with key and certificate, as HUNTER_CLIENT_CERTIFICATE names it, and the certificate alone."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"{name}.example")])
    now = datetime.now(UTC)
    builder = x509.CertificateBuilder(
        subject, subject, key.public_key(), x509.random_serial_number(), now, now + timedelta(days=1)
    )
    public = builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
    lock = serialization.BestAvailableEncryption(password) if password else serialization.NoEncryption()
    private = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, lock)
    path = folder / f"{name}.pem"
    path.write_bytes(public + private)
    return path, public.decode()


def test_a_registered_certificate_signs_in_and_another_one_does_not(
    sqlite_store: Any, sandbox: Any, tmp_path: Path
) -> None:
    """Entra ID checks signature, thumbprint, audience and times against the registered certificate."""
    path, public = certificate(tmp_path, "hunter")
    world = world_in(sqlite_store, sandbox, client_secret="", client_certificate=path)
    world.box.configure("entra", certificate=public)
    add_companies(world.store, [1])
    assert world.push().counts["created"] == 4
    _, other = certificate(tmp_path, "other")
    world.box.configure("entra", certificate=other)
    world.due("company-00001.example")
    with pytest.raises(SignInError, match="AADSTS700027"):
        world.push()


def test_a_file_that_cannot_sign_in_is_named_before_anybody_is_asked(
    sqlite_store: Any, sandbox: Any, tmp_path: Path
) -> None:
    path, public = certificate(tmp_path, "hunter")
    _, other = certificate(tmp_path, "other")
    locked, _ = certificate(tmp_path, "locked", password=b"secret")
    used = tmp_path / "used.pem"
    world = world_in(sqlite_store, sandbox, client_secret="", client_certificate=used)
    add_companies(world.store, [1])
    with pytest.raises(SignInError, match="can't be read"):
        world.push()
    for text, words in (
        ("", "does not hold"),
        ("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "does not hold"),
        (public, "with its private key"),
        (locked.read_text(), "unlocked"),
        (path.read_text().replace(public, other), "not that of its certificate"),
    ):
        used.write_text(text)
        with pytest.raises(SignInError, match=words) as caught:
            world.push()
        assert "HUNTER_CLIENT_CERTIFICATE" in str(caught.value)
    assert world.box.counters().get("entra", 0) == 0


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("0x80072560", "The user is not a member of the organization."),
        ("0x80040225", "The specified user is disabled."),
    ],
)
def test_an_application_user_locked_out_in_mid_run_rejects_no_record(world: World, code: str, words: str) -> None:
    add_companies(world.store, range(3))
    refused = {"error": {"code": code, "message": words}}
    world.box.fault("dataverse", "status", times=None, after=1, status=403, path="UpsertMultiple|batch", body=refused)
    with pytest.raises(SignInError, match=words) as caught:
        world.push()
    assert "application user exists in the organisation and is enabled" in caught.value.fix
    assert "rejected" not in world.states()
    world.box.clear()
    world.retry_now()
    assert world.push().counts["rejected"] == 0
    assert world.states() == {"synced": 12}


@pytest.mark.parametrize("error", ["temporarily_unavailable", "server_error"])
def test_an_entra_id_that_fails_on_its_own_side_is_worth_another_run(world: World, error: str) -> None:
    add_companies(world.store, [1])
    world.box.fault("entra", "status", method="POST", times=None, status=400, body={"error": error})
    with pytest.raises(UnreachableError):
        world.push()
    world.box.clear()
    assert world.push().counts["created"] == 4


def test_a_token_that_ends_in_mid_run_is_renewed_once(world: World) -> None:
    add_companies(world.store, range(3))
    world.box.fault("dataverse", "status", times=1, after=5, status=401, body="")
    assert world.push().counts["created"] == 12
    world.settles()


def test_a_token_that_is_refused_again_stops_the_run_without_a_storm(world: World) -> None:
    add_companies(world.store, range(3))
    world.box.fault("dataverse", "status", times=None, after=5, status=401, body="")
    world.box.reset_counters()
    with pytest.raises(SignInError, match="Sign in again"):
        world.push()
    assert world.box.counters()["dataverse"] < 12
    world.check(fresh=False)
    world.settles()


def test_a_wrong_secret_says_what_to_do_and_asks_the_organisation_nothing(sqlite_store, sandbox) -> None:  # type: ignore[no-untyped-def]
    world = world_in(sqlite_store, sandbox, client_secret="wrong")
    add_companies(world.store, [1])
    world.box.reset_counters()
    with pytest.raises(SignInError, match="HUNTER_CLIENT_SECRET"):
        world.push()
    assert world.box.counters().get("dataverse", 0) == 0


def test_a_sign_in_authority_that_is_away_is_worth_another_run(sqlite_store, sandbox) -> None:  # type: ignore[no-untyped-def]
    world = world_in(sqlite_store, sandbox, authority_url="http://127.0.0.1:9")
    add_companies(world.store, [1])
    with pytest.raises(UnreachableError):
        world.push()


@pytest.mark.parametrize("url", ["http://crm.example", "https://user@crm.example", "https://crm.example/path", ""])
def test_a_token_goes_to_no_plain_or_odd_address(sqlite_store, sandbox, url: str) -> None:  # type: ignore[no-untyped-def]
    world = world_in(sqlite_store, sandbox, dynamics_url=url)
    with pytest.raises(NotReadyError, match="HUNTER_DYNAMICS_URL"):
        world.client()


@pytest.mark.parametrize(
    ("claims", "number"),
    [({}, None), ({"aud": "https://elsewhere.example"}, 700023), ({"exp": 1}, 700024), ({"iss": "another"}, 700021)],
)
def test_the_sandbox_takes_an_assertion_apart(tmp_path: Path, claims: dict[str, Any], number: int | None) -> None:
    """What the tests above rest on: it refuses what Entra ID refuses."""
    path, public = certificate(tmp_path, "hunter")
    loaded = x509.load_pem_x509_certificate(public.encode())
    thumbprint = base64.urlsafe_b64encode(loaded.fingerprint(hashes.SHA256())).decode()
    said = {"aud": "https://here.example", "iss": "app", "sub": "app", "jti": "1", "exp": time.time() + 60} | claims
    key = serialization.load_pem_private_key(path.read_bytes(), None)
    signed = jwt.encode(said, key, "PS256", headers={"x5t#S256": thumbprint})  # type: ignore[arg-type]
    broken = signed[:-20] + ("A" * 20)

    def refused(assertion: str, registered: str = public) -> int | None:
        try:
            check_credential({"client_assertion": assertion}, "app", "", registered, ["https://here.example"])
        except CredentialError as error:
            return error.number
        return None

    assert refused(signed) == number
    assert refused("no assertion") == 50027
    assert refused(broken) in (700027, number)
    assert refused(broken) is not None
    assert refused(signed, certificate(tmp_path, "other")[1]) == (number if number == 700021 else 700027)
