"""Opaque ``$skiptoken`` values: the state of a listing, with a proof that nobody made it up.

A state holds the query (``f`` filter, ``o`` order, ``s`` select), ``t`` rows still wanted, ``k`` the sort key of the
last row served, ``n`` its place, and ``p`` where the page before began.
"""

from __future__ import annotations

import base64
import hashlib
from typing import Any

import orjson


def write_token(state: dict[str, Any]) -> str:
    """An opaque token from the state of a listing."""
    if "p" in state:
        state = {**state, "p": {k: v for k, v in state["p"].items() if k != "p"}}
    body = orjson.dumps({**state, "k": None if state["k"] is None else str(state["k"])} | _text_keys(state))
    proof = hashlib.blake2b(body, digest_size=6, key=b"skiptoken").digest()
    return base64.urlsafe_b64encode(proof + body).decode().rstrip("=")


def _text_keys(state: dict[str, Any]) -> dict[str, Any]:
    # A key has more than 64 bits, which JSON numbers of orjson do not hold.
    before = state.get("p")
    if not before:
        return {}
    return {"p": {**before, "k": None if before["k"] is None else str(before["k"])}}


def read_token(token: str) -> dict[str, Any]:
    """The state inside a token.

    Raises:
        ValueError: not a token that ``write_token`` made.
    """
    raw = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4))
    if hashlib.blake2b(raw[6:], digest_size=6, key=b"skiptoken").digest() != raw[:6]:
        raise ValueError("not a token of this service")
    state: dict[str, Any] = orjson.loads(raw[6:])
    for part in (state, state.get("p") or {}):
        if part.get("k") is not None:
            part["k"] = int(part["k"])
    return state
