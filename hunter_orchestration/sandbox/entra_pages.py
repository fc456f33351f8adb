"""Who can sign in to the sandbox, and the pages they see."""

from __future__ import annotations

import html

from hunter_orchestration.sandbox.asgi import Response
from hunter_orchestration.sandbox.referral_payloads import OWN_MAIL
from hunter_orchestration.sandbox.tokens import User

USERS = {
    "admin": User(
        "7b0a4c1e-2d6f-5a7b-9c3d-1e2f3a4b5c6d", "sila.yoneten@hunter-partner.example", "Sıla Yöneten", "Admin"
    ),
    "user": User("9e8d7c6b-5a49-5838-a716-f5e4d3c2b1a0", OWN_MAIL, "Dünya Gezgin", "User"),
}


def choices(action: str, *, with_code: bool = False) -> str:
    """A form with a button for each person, and one to cancel; ``with_code`` asks for a device code, too."""
    code = '<label>Code <input name="code" autocomplete="off" autofocus required></label>' if with_code else ""
    buttons = "".join(
        f'<button name="as" value="{name}">{html.escape(user.name)} '
        f"<small>{html.escape(user.mail)}, Referrals {user.role}</small></button>"
        for name, user in USERS.items()
    )
    return (
        f'<form method="post" action="{html.escape(action, quote=True)}">{code}{buttons}'
        '<button name="as" value="nobody">Cancel</button></form>'
    )


def page(inner: str, status: int = 200) -> Response:
    """A page of the sign-in."""
    style = (
        "body{font:16px system-ui,sans-serif;max-width:28rem;margin:12vh auto;padding:0 1rem;line-height:1.5}"
        "button,input{display:block;width:100%;box-sizing:border-box;margin:.5rem 0;padding:.75rem;font:inherit}"
        "small{display:block;color:#555}"
    )
    text = (
        '<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
        f"<title>Sandbox sign-in</title><style>{style}</style><h1>Sandbox sign-in</h1>"
        f"<p>A stand-in for Microsoft Entra ID. Nobody here is real.</p>{inner}</html>"
    )
    return Response(status, text.encode(), [], "text/html; charset=utf-8")
