"""Microsoft Entra ID as Hunter needs it: tokens, device code, sign-in page, keys, discovery (contract section 1).

Settings of the service ``entra``:
    device_code: approve (the first poll finds the user signed in), wait (for /devicelogin), decline, expire;
    signed_in: who answers a device code or the sign-in page by itself, admin or user;
    role: overrides that person's Referrals role: Admin, User or none (null: the person's own);
    page_role: overrides the app role given to the page's sign-in: viewer, seller or admin (null: the person's own);
    mfa: whether sign-ins satisfy multi-factor authentication; consent: show (the sign-in page asks) or auto;
    lifetime: seconds an access token lives; refresh: good, revoked or mfa_required;
    certificate: PEM of the app registration's certificate, which client assertions must be signed with (null: any).
"""

from __future__ import annotations

import base64
import hashlib
import html
import secrets
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import orjson

from hunter_orchestration.sandbox.asgi import Request, Response, json_response
from hunter_orchestration.sandbox.clock import Clock
from hunter_orchestration.sandbox.entra_credentials import CredentialError, check_credential
from hunter_orchestration.sandbox.entra_pages import USERS, choices, page
from hunter_orchestration.sandbox.faults import Faults
from hunter_orchestration.sandbox.partner_center import AUDIENCE
from hunter_orchestration.sandbox.tokens import LIFETIME, Tokens, User
from hunter_orchestration.sandbox.webhooks import AUDIENCE as WEBHOOKS
from hunter_orchestration.sandbox.world import World
from hunter_orchestration.sandbox.zones import tenant_of

_PAGE_ROLES = {"admin": "admin", "user": "seller"}
_OPENID = {"openid", "profile", "offline_access", "email"}
_TENANT_ALIASES = {"common", "organizations"}


@dataclass(slots=True)
class _Pending:
    """A device code or an authorization code that waits for its token request."""

    client_id: str
    scope: str
    expires: float
    user: User | None = None
    state: str = "wait"
    challenge: str = ""
    method: str = ""
    redirect_uri: str = ""
    nonce: str = ""


class OAuthError(Exception):
    """An answer in Entra's error form."""

    def __init__(self, error: str, number: int, text: str, status: int = 400, suberror: str = "") -> None:
        super().__init__(text)
        self.error, self.number, self.text, self.status, self.suberror = error, number, text, status, suberror


class Entra:
    """Answers ``/{tenant}/…``. ``base_url`` is the sandbox's own address, which is Dataverse's audience too."""

    def __init__(
        self,
        world: World,
        tokens: Tokens,
        clock: Clock,
        faults: Faults,
        base_url: str,
        *,
        client_id: str,
        client_secret: str,
    ) -> None:
        self.world, self.tokens, self.clock, self.faults = world, tokens, clock, faults
        self.base_url = base_url
        self.client_id, self.client_secret = client_id, client_secret
        self.settings = faults.declare(
            "entra",
            device_code="approve",
            signed_in="admin",
            role=None,
            page_role=None,
            mfa=True,
            consent="show",
            lifetime=LIFETIME,
            refresh="good",
            certificate=None,
        )
        self._device: dict[str, _Pending] = {}
        self._user_codes: dict[str, str] = {}
        self._codes: dict[str, _Pending] = {}

    def handle(self, request: Request) -> Response:
        """Answer one request; never raises."""
        try:
            return self._route(request)
        except OAuthError as error:
            return self._error(error)

    def _error(self, error: OAuthError) -> Response:
        trace, now = secrets.token_hex(8), f"{self.clock.now():%Y-%m-%d %H:%M:%SZ}"
        body: dict[str, Any] = {
            "error": error.error,
            "error_description": f"AADSTS{error.number}: {error.text} Trace ID: {trace} Timestamp: {now}",
            "error_codes": [error.number],
            "timestamp": now,
            "trace_id": trace,
            "correlation_id": trace,
        }
        if error.suberror:
            body["suberror"] = error.suberror
        return json_response(body, error.status)

    def _route(self, request: Request) -> Response:
        if request.path.rstrip("/") == "/devicelogin":
            return self._device_login(request)
        tenant, _, rest = request.path.strip("/").partition("/")
        if rest in ("v2.0/.well-known/openid-configuration", ".well-known/openid-configuration"):
            return self._discovery(tenant)
        if not self._own(tenant):
            raise OAuthError("invalid_tenant", 90002, f"Tenant '{tenant}' not found.")
        match request.method, rest:
            case "POST", "oauth2/v2.0/token":
                return self._token(dict(parse_qsl(request.body.decode("utf-8", "replace"))))
            case "POST", "oauth2/v2.0/devicecode":
                return self._device_code(dict(parse_qsl(request.body.decode("utf-8", "replace"))))
            case (("GET" | "POST"), "oauth2/v2.0/authorize"):
                return self._authorize(request)
            case "GET", "discovery/v2.0/keys":
                return json_response(self.tokens.jwks())
            case "GET", "oauth2/v2.0/logout":
                target = dict(request.query).get("post_logout_redirect_uri")
                return Response(302, b"", [("Location", target)]) if target else page("Signed out.")
        return json_response({"error": "not_found", "error_description": f"Nothing at {request.path}."}, 404)

    def _own(self, tenant: str) -> bool:
        return tenant.lower() in (self.tokens.tenant, "hunter-partner.example", *_TENANT_ALIASES)

    # ---- discovery

    def _discovery(self, tenant: str) -> Response:
        if self._own(tenant):
            return json_response(self._configuration(self.tokens.tenant))
        index = self.world.company_index(tenant.lower().rstrip("."))
        found = tenant_of(self.world.seed, index) if index is not None else None
        if found is None:
            raise OAuthError(
                "invalid_tenant",
                90002,
                f"Tenant '{tenant}' not found. Check to make sure you have the correct tenant ID.",
            )
        return json_response(self._configuration(found))

    def _configuration(self, tenant: str) -> dict[str, Any]:
        # MSAL insists on https endpoints; on loopback the client speaks http to the same origin.
        origin = self.base_url.replace("http://", "https://", 1)
        return {
            "token_endpoint": f"{origin}/{tenant}/oauth2/v2.0/token",
            "token_endpoint_auth_methods_supported": ["client_secret_post", "private_key_jwt"],
            "jwks_uri": f"{origin}/{tenant}/discovery/v2.0/keys",
            "response_modes_supported": ["query", "form_post"],
            "subject_types_supported": ["pairwise"],
            "id_token_signing_alg_values_supported": ["RS256"],
            "response_types_supported": ["code"],
            "scopes_supported": ["openid", "profile", "email", "offline_access"],
            "issuer": f"{self.base_url}/{tenant}/v2.0",
            "request_uri_parameter_supported": False,
            "authorization_endpoint": f"{origin}/{tenant}/oauth2/v2.0/authorize",
            "device_authorization_endpoint": f"{origin}/{tenant}/oauth2/v2.0/devicecode",
            "end_session_endpoint": f"{origin}/{tenant}/oauth2/v2.0/logout",
            "tenant_region_scope": "EU",
            "cloud_instance_name": "microsoftonline.com",
            "cloud_graph_host_name": "graph.windows.net",
            "msgraph_host": "graph.microsoft.com",
        }

    # ---- tokens

    def _token(self, form: dict[str, str]) -> Response:
        client = form.get("client_id")
        if client != self.client_id:
            raise OAuthError(
                "unauthorized_client", 700016, f"Application with identifier '{client}' was not found in the directory."
            )
        self._check_credential(form)
        match form.get("grant_type"):
            case "client_credentials":
                return self._client_credentials(form)
            case "refresh_token":
                return self._refresh(form)
            case "urn:ietf:params:oauth:grant-type:device_code" | "device_code":
                return self._device_token(form)
            case "authorization_code":
                return self._code_token(form)
            case "password":
                raise OAuthError(
                    "invalid_grant", 50076, "Due to a configuration change, you must use multi-factor authentication."
                )
        raise OAuthError("unsupported_grant_type", 70003, "The app requested an unsupported grant type.")

    def _check_credential(self, form: dict[str, str]) -> None:
        origins = (self.base_url, self.base_url.replace("http://", "https://", 1))
        tenants = (self.tokens.tenant, "hunter-partner.example", *_TENANT_ALIASES)
        audiences = [f"{origin}/{tenant}/oauth2/v2.0/token" for origin in origins for tenant in tenants]
        try:
            check_credential(form, self.client_id, self.client_secret, self.settings["certificate"], audiences)
        except CredentialError as error:
            raise OAuthError("invalid_client", error.number, error.text, 401) from None

    def _audience(self, scope: str) -> str | None:
        """The API a scope is for; None when it asks for nothing but OpenID scopes."""
        wanted = [s for s in scope.split() if s not in _OPENID]
        if not wanted:
            return None
        resources = {s.rsplit("/", 1)[0].rstrip("/") if "://" in s else "" for s in wanted}
        if len(resources) > 1:
            raise OAuthError(
                "invalid_scope", 70011, f"The provided value for the input parameter 'scope' is not valid: {scope}."
            )
        resource = resources.pop()
        own = {
            self.base_url,
            self.base_url.replace("http://", "https://", 1),
            self.base_url.replace("127.0.0.1", "localhost"),
        }
        if resource in own:
            return self.base_url
        if resource in (AUDIENCE, WEBHOOKS):
            return resource
        raise OAuthError(
            "invalid_resource", 500011, f"The resource principal named {resource or scope} was not found in the tenant."
        )

    def _client_credentials(self, form: dict[str, str]) -> Response:
        if "client_secret" not in form and "client_assertion" not in form:
            raise OAuthError("invalid_client", 7000216, "'client_assertion' or 'client_secret' is required.", 401)
        scope = form.get("scope", "")
        if not scope.endswith("/.default"):
            raise OAuthError(
                "invalid_scope",
                1002012,
                f"The provided value for scope {scope} is not valid. It must end with /.default.",
            )
        audience = self._audience(scope)
        claims = {
            "appid": self.client_id,
            "azp": self.client_id,
            "idtyp": "app",
            "oid": self.client_id,
            "sub": self.client_id,
        }
        lifetime = int(self.settings["lifetime"])
        token = self.tokens.issue(str(audience), claims, lifetime)
        return _no_store(
            {"token_type": "Bearer", "expires_in": lifetime, "ext_expires_in": lifetime, "access_token": token}
        )

    def _refresh(self, form: dict[str, str]) -> Response:
        claims = self.tokens.read_refresh_token(form.get("refresh_token", ""))
        user = next((u for u in USERS.values() if claims and u.oid == claims["o"]), None)
        if claims is None or user is None or claims["c"] != self.client_id or self.settings["refresh"] == "revoked":
            raise OAuthError(
                "invalid_grant", 70043, "The refresh token has expired or was revoked.", suberror="bad_token"
            )
        if self.settings["refresh"] == "mfa_required":
            raise OAuthError(
                "interaction_required",
                50076,
                "Due to a configuration change made by your administrator, you must use multi-factor authentication.",
                suberror="basic_action",
            )
        return self._user_tokens(user, form.get("scope", ""), mfa=bool(claims["m"]) and bool(self.settings["mfa"]))

    def _user_tokens(self, user: User, scope: str, *, mfa: bool, nonce: str = "") -> Response:
        audience = self._audience(scope)
        lifetime = int(self.settings["lifetime"])
        role = self.settings["role"] or user.role
        amr = ["pwd", "mfa"] if mfa else ["pwd"]
        person = {
            "oid": user.oid,
            "sub": user.oid,
            "name": user.name,
            "preferred_username": user.mail,
            "upn": user.mail,
        }
        claims = {
            **person,
            "appid": self.client_id,
            "azp": self.client_id,
            "idtyp": "user",
            "amr": amr,
            "roles": [] if role == "none" else [role],
            "scp": "user_impersonation",
        }
        granted = " ".join(s for s in scope.split() if s not in ("offline_access",)) or "openid profile"
        body: dict[str, Any] = {
            "token_type": "Bearer",
            "scope": granted,
            "expires_in": lifetime,
            "ext_expires_in": lifetime,
            "access_token": self.tokens.issue(audience or self.client_id, claims, lifetime),
        }
        if "offline_access" in scope.split():
            body["refresh_token"] = self.tokens.refresh_token(user, self.client_id, mfa)
        if "openid" in scope.split():
            name = next(n for n, u in USERS.items() if u is user)
            extra = {"nonce": nonce} if nonce else {}
            page_role = self.settings["page_role"] or _PAGE_ROLES[name]
            body["id_token"] = self.tokens.issue(
                self.client_id, {**person, "amr": amr, "roles": [page_role], **extra}, lifetime
            )
        info = orjson.dumps({"uid": user.oid, "utid": self.tokens.tenant})
        body["client_info"] = base64.urlsafe_b64encode(info).decode().rstrip("=")
        return _no_store(body)

    # ---- device code

    def _device_code(self, form: dict[str, str]) -> Response:
        if form.get("client_id") != self.client_id:
            raise OAuthError("unauthorized_client", 700016, "The application was not found in the directory.")
        scope = form.get("scope", "")
        self._audience(scope)
        device_code = secrets.token_urlsafe(32)
        user_code = "".join(secrets.choice("BCDFGHJKLMNPQRSTVWXZ23456789") for _ in range(9))
        self._device[device_code] = _Pending(self.client_id, scope, self.clock.timestamp() + 900)
        self._user_codes[user_code] = device_code
        address = f"{self.base_url}/devicelogin"
        return json_response(
            {
                "user_code": user_code,
                "device_code": device_code,
                "verification_uri": address,
                "expires_in": 900,
                "interval": 1,
                "message": f"To sign in, use a web browser to open the page {address} and enter the code {user_code}.",
            }
        )

    def _device_token(self, form: dict[str, str]) -> Response:
        code = form.get("device_code", "")
        pending = self._device.get(code)
        mode = self.settings["device_code"]
        if pending is None or pending.expires < self.clock.timestamp() or mode == "expire":
            raise OAuthError("expired_token", 70020, "The provided device code has expired.")
        if mode == "decline" or pending.state == "decline":
            raise OAuthError("authorization_declined", 70000, "The user declined the request.")
        if pending.user is None and mode != "approve":
            raise OAuthError("authorization_pending", 70016, "OAuth 2.0 device flow error. Authorization is pending.")
        user = pending.user or USERS[self.settings["signed_in"]]
        del self._device[code]
        return self._user_tokens(user, pending.scope, mfa=bool(self.settings["mfa"]))

    def _device_login(self, request: Request) -> Response:
        if request.method != "POST":
            return page(choices("/devicelogin", with_code=True))
        form = dict(parse_qsl(request.body.decode("utf-8", "replace")))
        pending = self._device.get(self._user_codes.get(form.get("code", "").strip().upper(), ""))
        if pending is None:
            return page("<p>That code is not known or has expired.</p>" + choices("/devicelogin", with_code=True), 400)
        if form.get("as") in USERS:
            pending.user = USERS[form["as"]]
        else:
            pending.state = "decline"
        return page("<p>Done. You can close this window.</p>")

    # ---- authorization code

    def _authorize(self, request: Request) -> Response:
        query = dict(request.query)
        if query.get("client_id") != self.client_id:
            raise OAuthError("unauthorized_client", 700016, "The application was not found in the directory.")
        target = query.get("redirect_uri", "")
        if urlsplit(target).scheme not in ("http", "https"):
            raise OAuthError("invalid_request", 50011, f"The redirect URI '{target}' is not valid.")
        if query.get("response_type") != "code":
            raise OAuthError("unsupported_response_type", 700054, "response_type must be code.")
        self._audience(query.get("scope", ""))
        who = self.settings["signed_in"] if self.settings["consent"] == "auto" else None
        if request.method == "POST":
            who = dict(parse_qsl(request.body.decode("utf-8", "replace"))).get("as")
        if who is None:
            return page(choices(f"{request.path}?{urlencode(query)}"))
        if who not in USERS:
            answer = {
                "error": "access_denied",
                "error_description": "AADSTS65004: User declined to consent to access the app.",
            }
        else:
            code = secrets.token_urlsafe(32)
            self._codes[code] = _Pending(
                self.client_id,
                query.get("scope", ""),
                self.clock.timestamp() + 600,
                USERS[who],
                challenge=query.get("code_challenge", ""),
                method=query.get("code_challenge_method", "plain"),
                redirect_uri=target,
                nonce=query.get("nonce", ""),
            )
            info = base64.urlsafe_b64encode(orjson.dumps({"uid": USERS[who].oid, "utid": self.tokens.tenant}))
            answer = {"code": code, "client_info": info.decode().rstrip("="), "session_state": secrets.token_hex(8)}
        if "state" in query:
            answer["state"] = query["state"]
        if query.get("response_mode") == "form_post":
            fields = "".join(f'<input type="hidden" name="{k}" value="{html.escape(v)}">' for k, v in answer.items())
            script = "<script>document.forms[0].submit()</script>"
            button = "<noscript><button>Continue</button></noscript>"
            return page(f'<form method="post" action="{html.escape(target)}">{fields}{button}</form>{script}')
        return Response(302, b"", [("Location", f"{target}{'&' if '?' in target else '?'}{urlencode(answer)}")])

    def _code_token(self, form: dict[str, str]) -> Response:
        pending = self._codes.pop(form.get("code", ""), None)
        if pending is None or pending.user is None or pending.expires < self.clock.timestamp():
            raise OAuthError("invalid_grant", 70008, "The provided authorization code has expired or was used already.")
        if form.get("redirect_uri") != pending.redirect_uri:
            raise OAuthError(
                "invalid_client", 500112, "The reply address does not match the one given when the code was requested."
            )
        if pending.challenge:
            verifier = form.get("code_verifier", "")
            digest = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).decode().rstrip("=")
            if not secrets.compare_digest(digest if pending.method == "S256" else verifier, pending.challenge):
                raise OAuthError("invalid_grant", 501481, "The Code_Verifier does not match the code_challenge.")
        elif "client_secret" not in form and "client_assertion" not in form:
            raise OAuthError(
                "invalid_client",
                7000218,
                "The request needs client_assertion, client_secret or a PKCE code_verifier.",
                401,
            )
        return self._user_tokens(
            pending.user, form.get("scope") or pending.scope, mfa=bool(self.settings["mfa"]), nonce=pending.nonce
        )


def _no_store(body: dict[str, Any]) -> Response:
    return json_response(body, headers=[("Cache-Control", "no-store, no-cache"), ("Pragma", "no-cache")])
