"""The pages a person meets outside Hunter's own: that signing in did not work and why, and that one is signed out.

Nothing here knows a session; what is shown was decided by ``routes.auth``. Programs get problem documents instead.
"""

from __future__ import annotations

import html
from urllib.parse import quote

from fastapi import Request
from fastapi.responses import HTMLResponse, Response

from hunter_orchestration.scoring.templates import Language
from hunter_orchestration.web.problems import ProblemError

_TEXTS: dict[str, dict[Language, tuple[str, str]]] = {
    "signed_out": {
        "en": ("You are signed out of Hunter", "Your Microsoft account may still be signed in to this browser."),
        "tr": ("Hunter oturumunuz kapatıldı", "Microsoft hesabınızın oturumu bu tarayıcıda hâlâ açık olabilir."),
    },
    "no_role": {
        "en": (
            "You have no role in Hunter",
            "Ask whoever manages Hunter for the role viewer, seller or admin, then sign in again.",
        ),
        "tr": (
            "Hunter'da bir rolünüz yok",
            "Hunter yöneticinizden viewer, seller ya da admin rolünü isteyin, sonra yeniden oturum açın.",
        ),
    },
    "sign_in_stale": {
        "en": ("This sign-in is no longer valid", "It began too long ago or in another window. Sign in again."),
        "tr": (
            "Bu oturum açma artık geçerli değil",
            "Çok önce ya da başka bir pencerede başlatılmış. Yeniden oturum açın.",
        ),
    },
    "sign_in_down": {
        "en": ("Microsoft's sign-in does not answer", "Try again in a moment."),
        "tr": ("Microsoft oturum açma hizmeti yanıt vermiyor", "Birazdan yeniden deneyin."),
    },
    "sign_in_refused": {
        "en": ("Signing in did not work", "Sign in again. If it stays like this, ask whoever manages Hunter."),
        "tr": ("Oturum açılamadı", "Yeniden oturum açın. Sürerse Hunter yöneticinize sorun."),
    },
}
_BUTTON: dict[Language, str] = {"en": "Sign in", "tr": "Oturum aç"}


def is_page_view(request: Request) -> bool:
    """Whether a person looks at the answer: browsers name HTML when they open an address, programs do not."""
    return request.method == "GET" and "text/html" in request.headers.get("accept", "")


def sign_in_address(path: str) -> str:
    """Where to sign in and come back to a path of this server."""
    return f"/auth/login?next={quote(path, safe='/')}"


def language_of(request: Request) -> Language:
    """The first of the browser's languages that Hunter speaks, else English."""
    for tag in request.headers.get("accept-language", "")[:200].lower().split(","):
        if tag.strip().startswith("tr"):
            return "tr"
        if tag.strip().startswith("en"):
            return "en"
    return "en"


def told(request: Request, problem: ProblemError) -> Response:
    """A problem as a page with the way to try again.

    Raises:
        ProblemError: the problem itself, when a program asks.
    """
    if not is_page_view(request):
        raise problem
    return _page(request, problem.code if problem.code in _TEXTS else "sign_in_refused", problem.status)


def signed_out_page(request: Request) -> Response:
    """What is shown after signing out: going straight to sign-in would sign in again without a question."""
    return _page(request, "signed_out", 200)


def _page(request: Request, code: str, status: int) -> Response:
    language = language_of(request)
    title, what = (html.escape(text) for text in _TEXTS[code][language])
    text = (
        f'<!doctype html><html lang="{language}"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<meta name="color-scheme" content="light dark"><title>{title} · Hunter</title>'
        '<link rel="icon" href="/static/icon.svg" type="image/svg+xml">'
        '<link rel="stylesheet" href="/static/styles/tokens.css">'
        '<link rel="stylesheet" href="/static/styles/parts.css">'
        f'</head><body><main class="empty alone"><p>Hunter</p><h1>{title}</h1><p>{what}</p>'
        f'<a class="button primary" href="{sign_in_address("/")}">{_BUTTON[language]}</a></main></body></html>'
    )
    return HTMLResponse(text, status, {"Vary": "Accept, Accept-Language"})
