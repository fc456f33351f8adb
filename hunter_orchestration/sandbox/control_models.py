"""What the control port takes."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid")


class FaultIn(Strict):
    """A fault to switch on."""

    service: Literal["partner_center", "entra", "dataverse", "rdap", "dns", "*"]
    kind: str = Field(
        description="HTTP: status, reset, half_body, invalid_json, html, truncated_gzip, slow, drop_after_commit. "
        "partner_center also: loop, repeat_page, duplicate_row, empty_page, move_rows, inject. "
        "dns: servfail, refused, timeout, "
        "nxdomain, forged_id, truncate, cname_loop, huge_txt, wildcard, slow, tcp_refused. dataverse: see /dataverse."
    )
    times: int | None = Field(1, ge=1, description="How many requests it hits; null: until cleared.")
    after: int = Field(0, ge=0, description="How many matching requests pass unharmed first.")
    method: str | None = Field(None, description="HTTP method, or DNS record type.")
    path: str | None = Field(None, description="Regular expression searched in path and query, or in the DNS name.")
    params: dict[str, Any] = Field(
        default_factory=dict,
        description='status: {"status", "retry_after": seconds | text | {"date": seconds ahead}, "body", "headers"}; '
        'slow: {"seconds"}; html: {"status"}; move_rows: {"count"}; inject: {"rows"}.',
    )


class ClockIn(Strict):
    """A change of the sandbox's clock; every field is optional."""

    set: datetime | None = Field(None, description="Make it this time now.")
    advance: float | None = Field(None, description="Jump so many seconds.")
    frozen: bool | None = Field(None, description="Stop the clock, or let it run.")


class ReferralIn(Strict):
    """A referral to add: generated, or generated and then changed, or given whole."""

    kind: str | None = Field(None, description="A kind of GET /kinds; null: drawn.")
    domain: str | None = Field(None, description="Domain of an existing company; null: a new company.")
    changes: dict[str, Any] = Field(default_factory=dict, description="Merged into the generated referral.")
    document: dict[str, Any] | None = Field(
        None, description="The referral as given; only ids, stamps and links are added."
    )


class ReferralChange(Strict):
    """Changes merged into a referral; with none given a plausible next step of the deal is made."""

    changes: dict[str, Any] | None = None
    unset: list[str] = Field(default_factory=list, description="Top-level properties to remove.")


class TickIn(Strict):
    times: int = Field(1, ge=1, le=10_000)


class BurstIn(Strict):
    count: int = Field(6_000, ge=1, le=1_000_000, description="Referrals that get one and the same updatedDateTime.")


class RefreshTokenIn(Strict):
    user: Literal["admin", "user"] = "admin"
    mfa: bool = True


class RevokeIn(Strict):
    refresh_tokens: list[str] = Field(default_factory=list, description="Refresh tokens that are good no more.")
    access_tokens: bool = Field(False, description="Whether every access token issued so far is refused from now on.")


class RecordsIn(Strict):
    """DNS records of a name: type to record data. null gives the name back to the world."""

    records: dict[str, list[Any]] | None = Field(
        description='{"MX": [[10, "mx.example"]], "TXT": ["v=spf1 -all"], "A": ["198.18.0.1"]}; '
        "an empty object: the name exists without records."
    )
