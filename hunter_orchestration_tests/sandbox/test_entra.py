"""Sign-in, spoken by Microsoft's own library, and discovery by domain."""

from __future__ import annotations

import re
import time
from typing import Any

import jwt
import msal
import pytest
import requests
from requests.adapters import HTTPAdapter

from hunter_orchestration.sandbox.running import RunningSandbox

REFERRALS = "https://api.partner.microsoft.com/.default"


class _Loopback(HTTPAdapter):
    """MSAL insists on https; the sandbox speaks http on the same port."""

    def send(self, request: requests.PreparedRequest, **options: Any) -> requests.Response:  # type: ignore[override]
        assert request.url is not None
        request.url = request.url.replace("https://", "http://", 1)
        return super().send(request, **options)


def _options(box: RunningSandbox) -> dict[str, Any]:
    session = requests.Session()
    session.mount("https://127.0.0.1", _Loopback())
    authority = box.authority.replace("http://", "https://") + "/" + box.tenant
    return {"authority": authority, "instance_discovery": False, "http_client": session}


def _public(box: RunningSandbox) -> Any:
    return msal.PublicClientApplication(box.client_id, **_options(box))


def _confidential(box: RunningSandbox, secret: str | None = None) -> Any:
    return msal.ConfidentialClientApplication(
        box.client_id, client_credential=secret or box.client_secret, **_options(box)
    )


def test_a_device_code_signs_the_admin_in_and_refreshes_silently(box: RunningSandbox) -> None:
    app = _public(box)
    flow = app.initiate_device_flow([REFERRALS])
    assert flow["user_code"] in flow["message"]
    flow["interval"] = 0
    result = app.acquire_token_by_device_flow(flow)
    claims = jwt.decode(result["access_token"], options={"verify_signature": False})
    assert claims["aud"] == "https://api.partner.microsoft.com"
    assert claims["roles"] == ["Admin"]
    assert "mfa" in claims["amr"]
    account = app.get_accounts()[0]
    assert app.acquire_token_silent([REFERRALS], account)["access_token"] == result["access_token"]
    fresh = app.acquire_token_silent([REFERRALS], account, force_refresh=True)
    assert fresh["access_token"] != result["access_token"]


def test_a_person_can_answer_the_device_code_in_a_browser(box: RunningSandbox) -> None:
    box.configure("entra", device_code="wait")
    app = _public(box)
    flow = app.initiate_device_flow([REFERRALS])
    flow["expires_at"] = 0
    assert app.acquire_token_by_device_flow(flow)["error"] == "authorization_pending"
    page = requests.get(flow["verification_uri"], timeout=30)
    assert "Sıla Yöneten" in page.text
    requests.post(flow["verification_uri"], data={"code": flow["user_code"], "as": "user"}, timeout=30)
    result = app.acquire_token_by_device_flow(flow)
    assert jwt.decode(result["access_token"], options={"verify_signature": False})["roles"] == ["User"]


@pytest.mark.parametrize(("mode", "error"), [("decline", "authorization_declined"), ("expire", "expired_token")])
def test_a_device_code_can_fail(box: RunningSandbox, mode: str, error: str) -> None:
    box.configure("entra", device_code=mode)
    app = _public(box)
    assert app.acquire_token_by_device_flow(app.initiate_device_flow([REFERRALS]))["error"] == error


def test_client_credentials_open_dataverse_only_under_its_own_address(box: RunningSandbox) -> None:
    app = _confidential(box)
    result = app.acquire_token_for_client([box.dynamics + "/.default"])
    claims = jwt.decode(result["access_token"], options={"verify_signature": False})
    assert (claims["aud"], claims["idtyp"]) == (box.dynamics, "app")
    assert result["expires_in"] == 3600
    assert "AADSTS500011" in app.acquire_token_for_client(["https://elsewhere.example/.default"])["error_description"]
    assert (
        _confidential(box, "wrong").acquire_token_for_client([box.dynamics + "/.default"])["error"] == "invalid_client"
    )


def _begun(box: RunningSandbox, app: Any) -> tuple[dict[str, Any], str]:
    """A begun code flow, and the address a browser would be sent to."""
    flow = app.initiate_auth_code_flow([], redirect_uri="http://127.0.0.1:9/auth/callback", response_mode="form_post")
    return flow, flow["auth_uri"].replace("https://", "http://", 1)


def _fields(page: str) -> dict[str, str]:
    return dict(re.findall(r'name="(\w+)" value="([^"]*)"', page))


def test_the_pages_sign_in_is_a_code_flow_with_pkce(box: RunningSandbox) -> None:
    box.configure("entra", consent="auto", page_role="viewer")
    app = _confidential(box)
    flow, address = _begun(box, app)
    back = _fields(requests.get(address, timeout=30).text)
    result = app.acquire_token_by_auth_code_flow(flow, back)
    assert result["id_token_claims"]["preferred_username"] == "sila.yoneten@hunter-partner.example"
    assert result["id_token_claims"]["roles"] == ["viewer"]
    assert app.acquire_token_by_auth_code_flow(flow, back)["error"] == "invalid_grant"
    other, address = _begun(box, app)
    back = _fields(requests.get(address, timeout=30).text)
    assert app.acquire_token_by_auth_code_flow({**other, "code_verifier": "x" * 43}, back)["error"] == "invalid_grant"


def test_the_sign_in_page_asks_who_it_is(box: RunningSandbox) -> None:
    _, address = _begun(box, _confidential(box))
    assert "Dünya Gezgin" in requests.get(address, timeout=30).text
    assert "code" in _fields(requests.post(address, data={"as": "user"}, timeout=30).text)
    assert _fields(requests.post(address, data={"as": "nobody"}, timeout=30).text)["error"] == "access_denied"
    plain = address.replace("response_mode=form_post", "response_mode=query")
    redirected = requests.post(plain, data={"as": "user"}, allow_redirects=False, timeout=30)
    assert redirected.headers["Location"].startswith("http://127.0.0.1:9/auth/callback?code=")


def test_tokens_verify_against_the_published_keys(box: RunningSandbox) -> None:
    metadata = requests.get(f"{box.authority}/{box.tenant}/v2.0/.well-known/openid-configuration", timeout=30).json()
    keys = requests.get(metadata["jwks_uri"].replace("https://", "http://", 1), timeout=30).json()
    token = box.access_token()
    key = jwt.PyJWK(keys["keys"][0])
    claims = jwt.decode(token, key.key, algorithms=["RS256"], audience="https://api.partner.microsoft.com")
    assert claims["iss"] == metadata["issuer"]
    assert abs(claims["exp"] - time.time() - 3600) < 120


@pytest.mark.parametrize(
    ("settings", "error", "number"),
    [
        ({"refresh": "revoked"}, "invalid_grant", 70043),
        ({"refresh": "mfa_required"}, "interaction_required", 50076),
    ],
)
def test_refresh_tokens_can_be_refused(box: RunningSandbox, settings: dict[str, str], error: str, number: int) -> None:
    token = box.refresh_token()
    box.configure("entra", **settings)
    result = _public(box).acquire_token_by_refresh_token(token, [REFERRALS])
    assert result["error"] == error
    assert number in result["error_codes"]


def test_a_revoked_or_forged_refresh_token_is_good_no_more(box: RunningSandbox) -> None:
    revoked, kept = box.refresh_token(), box.refresh_token()
    box.revoke(revoked)
    app = _public(box)
    assert app.acquire_token_by_refresh_token(revoked, [REFERRALS])["error"] == "invalid_grant"
    assert app.acquire_token_by_refresh_token(kept[:-4] + "AAAA", [REFERRALS])["error"] == "invalid_grant"
    assert "access_token" in app.acquire_token_by_refresh_token(kept, [REFERRALS])


def test_mfa_is_demanded_when_switched_on(box: RunningSandbox) -> None:
    box.configure("partner_center", mfa=True)
    url = f"{box.partner_center}/v1.0/engagements/referrals"
    weak = _public(box).acquire_token_by_refresh_token(box.refresh_token(mfa=False), [REFERRALS])["access_token"]
    answer = requests.get(url, headers={"Authorization": f"Bearer {weak}"}, timeout=30)
    assert (answer.status_code, answer.json()["error"]["code"]) == (401, "900421")
    good = box.access_token()
    assert requests.get(url, headers={"Authorization": f"Bearer {good}"}, timeout=30).status_code == 200


def test_revoked_access_tokens_and_missing_roles_are_told_apart(box: RunningSandbox) -> None:
    url = f"{box.partner_center}/v1.0/engagements/referrals?$top=1"
    token = box.access_token()
    box.revoke(access_tokens=True)
    assert requests.get(url, headers={"Authorization": f"Bearer {token}"}, timeout=30).status_code == 401
    box.configure("entra", role="none")
    headers = {"Authorization": f"Bearer {box.access_token()}"}
    assert requests.get(url, headers=headers, timeout=30).status_code == 403


def test_discovery_by_domain_tells_the_tenant_or_that_there_is_none(box: RunningSandbox) -> None:
    truths = box.truths()
    with_tenant = [t for t in truths if t["tenant_id"]]
    without = [t for t in truths if not t["tenant_id"]]
    assert {t["provider"] for t in with_tenant} > {"M365", "Google"}
    for truth in with_tenant[:5]:
        answer = requests.get(f"{box.authority}/{truth['domain']}/v2.0/.well-known/openid-configuration", timeout=30)
        assert truth["tenant_id"] in answer.json()["issuer"]
        assert answer.json()["tenant_region_scope"]
    for truth in without[:5]:
        answer = requests.get(f"{box.authority}/{truth['domain']}/v2.0/.well-known/openid-configuration", timeout=30)
        assert answer.status_code == 400
        assert answer.json()["error"] == "invalid_tenant"
        assert "AADSTS90002" in answer.json()["error_description"]
