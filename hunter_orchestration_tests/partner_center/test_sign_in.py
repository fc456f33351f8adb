"""Sign-in against the sandbox's Entra ID, over real HTTP."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from datetime import UTC, datetime, timedelta
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID
from pydantic import SecretStr

from hunter_orchestration.dynamics.sign_in import AppTokens
from hunter_orchestration.errors import PermanentError, TransientError
from hunter_orchestration.partner_center import sign_in, webhooks
from hunter_orchestration.partner_center.client import PartnerCenterClient
from hunter_orchestration.partner_center.ingestion import fetch
from hunter_orchestration.partner_center.reading import read_referrals
from hunter_orchestration.partner_center.refusals import (
    MfaRequiredError,
    MissingRoleError,
    SignInExpiredError,
    SignInNeededError,
    SignInRefusedError,
    TokenCacheError,
)
from hunter_orchestration.partner_center.token_cache import open_cache, refuse_readable, write_state
from hunter_orchestration.sandbox.running import RunningSandbox, running_sandbox
from hunter_orchestration.settings import Settings
from hunter_orchestration.store import Store, quarantine, referrals

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def sandbox() -> Iterator[RunningSandbox]:
    with running_sandbox(companies=30) as running:
        yield running


@pytest.fixture(autouse=True)
def _fresh(sandbox: RunningSandbox) -> Iterator[None]:
    yield
    sandbox.clear()


def settings_of(sandbox: RunningSandbox, home: Path, **changes: Any) -> Settings:
    values: dict[str, Any] = {
        "home": home,
        "authority_url": sandbox.authority,
        "partner_center_url": sandbox.partner_center,
        "tenant_id": sandbox.tenant,
        "client_id": sandbox.client_id,
        "token_cache_key": SecretStr("a key for this test"),
    }
    return Settings(**(values | changes))


def unattended(sandbox: RunningSandbox, home: Path, user: str = "admin", *, mfa: bool = True) -> Settings:
    return settings_of(
        sandbox,
        home,
        client_secret=SecretStr(sandbox.client_secret),
        refresh_token=SecretStr(sandbox.refresh_token(user, mfa=mfa)),
    )


def signed_in(sandbox: RunningSandbox, home: Path) -> tuple[Settings, list[sign_in.DeviceCode]]:
    settings = settings_of(sandbox, home)
    shown: list[sign_in.DeviceCode] = []
    sign_in.login(settings, shown.append)
    return settings, shown


def client_of(settings: Settings) -> PartnerCenterClient:
    return PartnerCenterClient(settings, sign_in.Tokens(settings), sleep=lambda _seconds: None)


def test_a_device_code_signs_in_once_and_silently_from_then_on(sandbox: RunningSandbox, tmp_path: Path) -> None:
    settings, shown = signed_in(sandbox, tmp_path)
    assert shown[0].code
    status = sign_in.sign_in_status(settings)
    assert status.signed_in
    assert status.account
    assert status.days_left in (89, 90)
    assert client_of(settings).newest_change() is not None


def test_the_cache_is_encrypted_and_for_its_owner_alone(sandbox: RunningSandbox, tmp_path: Path) -> None:
    settings, _ = signed_in(sandbox, tmp_path)
    cache = tmp_path / "tokens.bin"
    assert cache.stat().st_mode & 0o777 == 0o600
    assert b"RefreshToken" not in cache.read_bytes()
    token = sign_in.Tokens(settings).token()
    assert all(token.encode() not in path.read_bytes() for path in tmp_path.iterdir())


def test_a_cache_others_can_read_is_refused(sandbox: RunningSandbox, tmp_path: Path) -> None:
    settings, _ = signed_in(sandbox, tmp_path)
    os.chmod(tmp_path / "tokens.bin", 0o644)
    with pytest.raises(TokenCacheError, match="chmod 600"):
        sign_in.Tokens(settings).token()


def test_who_signs_in_later_is_who_syncs_from_then_on(sandbox: RunningSandbox, tmp_path: Path) -> None:
    settings, _ = signed_in(sandbox, tmp_path)
    everything = sum(len(page.rows) for page in client_of(settings).list_referrals())
    sandbox.configure("entra", signed_in="user")
    assert sign_in.login(settings, lambda _code: None).account == "dunya.gezgin@hunter-partner.example"
    own = [row for page in client_of(settings).list_referrals() for row in page.rows]
    assert 0 < len(own) < everything
    assert sign_in.note_sees(settings, own) == "own"
    sandbox.configure("entra", device_code="decline")
    with pytest.raises(SignInRefusedError):
        sign_in.login(settings, lambda _code: None)
    assert sum(len(page.rows) for page in client_of(settings).list_referrals()) == len(own)
    sandbox.configure("entra", device_code="approve", signed_in="admin")
    sign_in.login(settings, lambda _code: None)
    assert sum(len(page.rows) for page in client_of(settings).list_referrals()) == everything


def _renewed(settings: Settings, times: int) -> int:
    tokens = sign_in.Tokens(settings)
    return sum(bool(tokens.token(force=True)) for _ in range(times))


def test_processes_that_renew_at_the_same_time_leave_one_whole_cache(sandbox: RunningSandbox, tmp_path: Path) -> None:
    settings, _ = signed_in(sandbox, tmp_path)
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
        assert list(pool.map(_renewed, [settings] * 2, [6] * 2)) == [6, 6]
    assert sign_in.Tokens(settings).token()
    assert sorted(path.name for path in tmp_path.iterdir() if path.name != "tokens.lock") == [
        "sign-in.json",
        "tokens.bin",
    ]


def test_the_empty_mark_of_a_platforms_key_store_is_no_leak(tmp_path: Path) -> None:
    mark = tmp_path / "tokens.bin"
    mark.touch(0o644)
    refuse_readable(mark)
    mark.write_text("{}")
    with pytest.raises(TokenCacheError, match="chmod 600"):
        refuse_readable(mark)


def test_without_a_key_the_platforms_key_store_holds_the_tokens_or_the_lack_of_one_is_told(tmp_path: Path) -> None:
    kept, told = "", ""
    try:
        kept = type(open_cache(Settings(home=tmp_path))).__name__
    except TokenCacheError as error:
        told = str(error)
    assert kept == "PersistedTokenCache" or ("no key store" in told and "HUNTER_TOKEN_CACHE_KEY" in told)


def test_another_key_is_told_and_destroys_nothing(sandbox: RunningSandbox, tmp_path: Path) -> None:
    settings, _ = signed_in(sandbox, tmp_path)
    before = (tmp_path / "tokens.bin").read_bytes()
    with pytest.raises(TokenCacheError, match="HUNTER_TOKEN_CACHE_KEY"):
        sign_in.Tokens(settings.model_copy(update={"token_cache_key": SecretStr("other")})).token()
    assert (tmp_path / "tokens.bin").read_bytes() == before


def test_a_refresh_token_works_unattended_and_leaves_no_secret_on_disk(sandbox: RunningSandbox, tmp_path: Path) -> None:
    settings = unattended(sandbox, tmp_path)
    assert client_of(settings).newest_change() is not None
    secret = settings.refresh_token.get_secret_value().encode()
    assert all(secret not in path.read_bytes() for path in tmp_path.iterdir())
    assert sign_in.sign_in_status(settings).method == "refresh_token"


def test_the_demo_signs_in_by_itself(sandbox: RunningSandbox, tmp_path: Path) -> None:
    settings = settings_of(sandbox, tmp_path, demo=True)
    assert client_of(settings).newest_change() is not None


def test_a_revoked_sign_in_stops_the_sync_with_its_own_sentence(
    sandbox: RunningSandbox, tmp_path: Path, sqlite_store: Store
) -> None:
    settings = unattended(sandbox, tmp_path)
    client = client_of(settings)
    fetch(sqlite_store, client)
    sandbox.revoke(settings.refresh_token.get_secret_value(), access_tokens=True)
    sandbox.reset_counters()
    with pytest.raises(SignInExpiredError, match="hunter login"):
        fetch(sqlite_store, client_of(settings))
    status = sign_in.sign_in_status(settings)
    assert not status.signed_in
    assert "expired" in (status.problem or "")


def test_an_entra_id_that_fails_on_its_own_side_is_away_for_now(sandbox: RunningSandbox, tmp_path: Path) -> None:
    settings = unattended(sandbox, tmp_path).model_copy(update={"dynamics_url": sandbox.addresses["dynamics"]})
    referrals_tokens, crm_tokens = sign_in.Tokens(settings), AppTokens(settings)
    sandbox.fault("entra", "status", times=None, status=500)
    with pytest.raises(TransientError, match="Entra ID could not be reached to sign in"):
        referrals_tokens.token()
    with pytest.raises(TransientError, match="Entra ID can't be reached"):
        crm_tokens.token()
    sandbox.clear()
    assert referrals_tokens.token()
    assert crm_tokens.token()


def test_a_sign_in_without_second_factor_is_told(sandbox: RunningSandbox, tmp_path: Path) -> None:
    sandbox.configure("partner_center", mfa=True)
    settings = unattended(sandbox, tmp_path, mfa=False)
    with pytest.raises(MfaRequiredError, match="900421"):
        client_of(settings).newest_change()
    status = sign_in.sign_in_status(settings)
    assert not status.signed_in
    assert "complete the second factor" in (status.problem or "")
    assert client_of(unattended(sandbox, tmp_path)).newest_change()
    assert sign_in.sign_in_status(settings).problem is None


def test_an_application_alone_lacks_the_role(sandbox: RunningSandbox, tmp_path: Path) -> None:
    settings = settings_of(sandbox, tmp_path, client_secret=SecretStr(sandbox.client_secret))
    with pytest.raises(MissingRoleError, match="Referrals Admin"):
        client_of(settings).newest_change()
    assert "Referrals Admin" in (sign_in.sign_in_status(settings).problem or "")


def certificate_file(folder: Path, name: str = "app.pem", *, key_first: bool = True) -> tuple[Path, str]:
    """A PEM file with key and certificate, and the certificate alone."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "hunter.example")])
    now = datetime.now(UTC)
    certificate = x509.CertificateBuilder(
        subject,
        subject,
        key.public_key(),
        x509.random_serial_number(),
        now - timedelta(days=1),
        now + timedelta(days=1),
    ).sign(key, hashes.SHA256())
    public = certificate.public_bytes(serialization.Encoding.PEM).decode()
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()
    path = folder / name
    path.write_text(private + public if key_first else public + private)
    return path, public


@pytest.mark.parametrize("key_first", [True, False])
def test_a_certificate_and_a_refresh_token_sign_in_unattended(
    sandbox: RunningSandbox, tmp_path: Path, sqlite_store: Store, key_first: bool
) -> None:
    path, public = certificate_file(tmp_path, key_first=key_first)
    sandbox.configure("entra", certificate=public)
    settings = unattended(sandbox, tmp_path / "home").model_copy(
        update={"client_secret": SecretStr(""), "client_certificate": path}
    )
    assert fetch(sqlite_store, client_of(settings)).counts["stored"] > 0
    status = sign_in.sign_in_status(settings)
    assert (status.signed_in, status.method) == (True, "refresh_token")


def test_a_certificate_alone_signs_in_and_lacks_the_role(sandbox: RunningSandbox, tmp_path: Path) -> None:
    path, public = certificate_file(tmp_path)
    sandbox.configure("entra", certificate=public)
    settings = settings_of(sandbox, tmp_path / "home", client_certificate=path)
    assert sign_in.Tokens(settings).token()
    assert sign_in.sign_in_status(settings).method == "certificate"
    with pytest.raises(MissingRoleError, match="Referrals Admin"):
        client_of(settings).newest_change()


def test_a_certificate_that_is_not_the_registered_one_is_refused(sandbox: RunningSandbox, tmp_path: Path) -> None:
    _, registered = certificate_file(tmp_path)
    path, other = certificate_file(tmp_path, "other.pem")
    sandbox.configure("entra", certificate=registered)
    settings = settings_of(sandbox, tmp_path / "home", client_certificate=path)
    with pytest.raises(SignInRefusedError, match="HUNTER_CLIENT_CERTIFICATE"):
        sign_in.Tokens(settings).token()
    # The name of the registered one with another's key behind it proves nothing either.
    key = path.read_text().removesuffix(other)
    path.write_text(key + registered)
    with pytest.raises(SignInRefusedError, match="HUNTER_CLIENT_CERTIFICATE"):
        sign_in.Tokens(settings).token()
    assert not sign_in.sign_in_status(settings).signed_in


@pytest.mark.parametrize("content", ["", "no PEM", "certificate alone", "key alone", "half a key", "a locked key"])
def test_a_certificate_file_that_can_not_be_used_is_told(sandbox: RunningSandbox, tmp_path: Path, content: str) -> None:
    path, public = certificate_file(tmp_path)
    private = path.read_text().removesuffix(public)
    key = serialization.load_pem_private_key(private.encode(), None)
    lock = serialization.BestAvailableEncryption(b"secret")
    locked = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, lock).decode()
    texts = {
        "certificate alone": public,
        "key alone": private,
        "half a key": private[: len(private) // 2] + public,
        "a locked key": locked + public,
    }
    path.write_text(texts.get(content, content))
    settings = settings_of(sandbox, tmp_path / "home", client_certificate=path)
    with pytest.raises(SignInRefusedError, match="HUNTER_CLIENT_CERTIFICATE") as told:
        sign_in.Tokens(settings).token()
    assert "PRIVATE KEY" not in str(told.value)


def test_the_receiver_of_events_is_registered_with_a_token_for_that_api(
    sandbox: RunningSandbox, tmp_path: Path
) -> None:
    settings = unattended(sandbox, tmp_path).model_copy(update={"partner_center_events_url": sandbox.partner_center})
    address = "https://hunter.partner.example/api/v1/webhooks/partner-center"
    first = webhooks.register(settings, sign_in.Tokens(settings, webhooks.audience(settings)), address)
    again = webhooks.register(settings, sign_in.Tokens(settings, webhooks.audience(settings)), address)
    assert first["subscriber"] == again["subscriber"]
    with pytest.raises(PermanentError, match="401"):
        webhooks.register(settings, sign_in.Tokens(settings), address)


def test_nobody_signed_in_is_told(sandbox: RunningSandbox, tmp_path: Path) -> None:
    with pytest.raises(SignInNeededError):
        sign_in.Tokens(settings_of(sandbox, tmp_path)).token()
    assert not sign_in.sign_in_status(settings_of(sandbox, tmp_path)).signed_in


def test_a_token_refused_in_mid_run_is_renewed_once(
    sandbox: RunningSandbox, tmp_path: Path, sqlite_store: Store
) -> None:
    client = client_of(unattended(sandbox, tmp_path))
    client.newest_change()
    sandbox.revoke(access_tokens=True)
    assert fetch(sqlite_store, client).counts["fetched"] > 0


def test_how_long_a_sign_in_holds_is_counted_from_its_last_use(sandbox: RunningSandbox, tmp_path: Path) -> None:
    settings, _ = signed_in(sandbox, tmp_path)
    now = datetime.now(UTC)
    assert sign_in.sign_in_status(settings, now + timedelta(days=80)).days_left == 9
    later = sign_in.sign_in_status(settings, now + timedelta(days=91))
    assert not later.signed_in


def test_the_scope_of_the_role_is_judged_by_the_referrals(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path)
    write_state(settings, account="ayse@partner.example")
    own = {"team": [{"email": "Ayse@partner.example"}]}
    assert sign_in.note_sees(settings, [own, own]) == "own"
    assert sign_in.note_sees(settings, [own, {"team": None}]) == "all"
    assert sign_in.note_sees(settings, []) == "unknown"
    assert json.loads((tmp_path / "sign-in.json").read_text())["sees"] == "all"


@pytest.mark.parametrize("page_size", [25, 100])
def test_a_whole_sync_of_the_sandbox_adds_up(
    sandbox: RunningSandbox, tmp_path: Path, store: Store, page_size: int
) -> None:
    sandbox.configure("partner_center", page_size=page_size)
    sandbox.burst(60)
    client = client_of(unattended(sandbox, tmp_path))
    fetched = fetch(store, client)
    taken = read_referrals(store)
    assert fetched.counts["fetched"] == fetched.counts["stored"] + fetched.counts["quarantined"]
    assert taken.counts["stored"] + taken.counts["quarantined"] == fetched.counts["stored"]
    known = {fact["id"] for fact in sandbox.referrals()}
    assert taken.counts["stored"] >= len(known) * 0.8
    assert fetch(store, client).counts["stored"] == 0


@pytest.mark.parametrize("paging", ["keyset", "offset"])
@pytest.mark.parametrize("kind", ["loop", "repeat_page", "duplicate_row", "empty_page", "move_rows"])
def test_no_referral_is_lost_or_doubled_whatever_the_paging_does(
    sandbox: RunningSandbox, tmp_path: Path, sqlite_store: Store, kind: str, paging: str
) -> None:
    sandbox.configure("partner_center", page_size=10, paging=paging)
    sandbox.fault("partner_center", kind, after=1)
    client = client_of(unattended(sandbox, tmp_path))
    fetch(sqlite_store, client)
    read_referrals(sqlite_store)
    with sqlite_store.read() as connection:
        kept = {row["id"] for row in referrals.listed(connection, limit=100_000)}
        kept |= {row["external_id"] for row in quarantine.listed(connection, limit=100_000)}
    assert kept >= {fact["id"] for fact in sandbox.referrals()}
