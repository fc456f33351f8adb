"""RDAP for the world's domains: who registered them, when, until when (RFC 9083)."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

from hunter_orchestration.sandbox.asgi import Request, Response, json_response
from hunter_orchestration.sandbox.clock import datetime_of
from hunter_orchestration.sandbox.names import mix
from hunter_orchestration.sandbox.world import World
from hunter_orchestration.sandbox.zones import build_zone

REGISTRARS = (
    ("Örnek Alan Adı Kayıt A.Ş.", 9001),
    ("Sandbox Registrar Ltd.", 9002),
    ("Nimbus Domains GmbH", 9003),
    ("Yıldız Bilişim Kayıt Hizmetleri", 9004),
)
CONTENT_TYPE = "application/rdap+json"


def registration(world: World, domain: str) -> dict[str, Any] | None:
    """Registrar, created, expires and name servers of a domain; None when the registry knows nothing about it."""
    index = world.company_index(domain)
    if index is None:
        return None
    truth = build_zone(world.seed, index).truth
    hashed = mix(world.seed * 501 + index)
    if truth.category == "nxdomain" or hashed % 100 < 8:
        return None
    registrar, iana = REGISTRARS[hashed % len(REGISTRARS)]
    created = datetime_of(world.reference) - timedelta(days=60 + hashed % 9000)
    return {
        "registrar": registrar,
        "iana_id": iana,
        "created": created.replace(microsecond=0),
        "expires": datetime_of(world.reference).replace(microsecond=0) + timedelta(days=5 + (hashed >> 8) % 700),
        "name_servers": truth.name_servers,
    }


def rdap_handler(world: World, base_url: str) -> Callable[[Request], Response]:
    """Answers ``GET /rdap/domain/{name}`` and ``/rdap/help``."""

    def handle(request: Request) -> Response:
        kind, _, name = request.path.removeprefix("/rdap").strip("/").partition("/")
        if kind == "help":
            return _answer(
                {
                    "rdapConformance": ["rdap_level_0"],
                    "notices": [{"title": "Sandbox", "description": ["Invented data."]}],
                }
            )
        name = name.lower().rstrip(".")
        facts = registration(world, name) if kind == "domain" else None
        if facts is None:
            body = {
                "rdapConformance": ["rdap_level_0"],
                "errorCode": 404,
                "title": "Not Found",
                "description": ["No such object."],
            }
            return _answer(body, 404)
        return _answer(
            {
                "objectClassName": "domain",
                "rdapConformance": ["rdap_level_0"],
                "handle": f"SBX-{world.company_index(name)}",
                "ldhName": name,
                "status": ["active"],
                "links": [{"rel": "self", "href": f"{base_url}/rdap/domain/{name}", "type": CONTENT_TYPE}],
                "events": [
                    {"eventAction": "registration", "eventDate": f"{facts['created']:%Y-%m-%dT%H:%M:%SZ}"},
                    {"eventAction": "expiration", "eventDate": f"{facts['expires']:%Y-%m-%dT%H:%M:%SZ}"},
                    {
                        "eventAction": "last update of RDAP database",
                        "eventDate": f"{world.clock.now():%Y-%m-%dT%H:%M:%SZ}",
                    },
                ],
                "nameservers": [{"objectClassName": "nameserver", "ldhName": host} for host in facts["name_servers"]],
                "entities": [
                    {
                        "objectClassName": "entity",
                        "roles": ["registrar"],
                        "publicIds": [{"type": "IANA Registrar ID", "identifier": str(facts["iana_id"])}],
                        "vcardArray": [
                            "vcard",
                            [["version", {}, "text", "4.0"], ["fn", {}, "text", facts["registrar"]]],
                        ],
                    }
                ],
                "secureDNS": {"delegationSigned": False},
            }
        )

    return handle


def _answer(body: dict[str, Any], status: int = 200) -> Response:
    response = json_response(body, status)
    response.content_type = CONTENT_TYPE
    return response
