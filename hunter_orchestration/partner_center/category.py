"""The lead type sales knows, from the contract's category table (section 3), with the rule that decided."""

from __future__ import annotations

from typing import Literal

Category = Literal["co_sell", "marketplace", "solution_provider", "private_deal", "partner_led", "other"]

_MICROSOFT = "msft"
_NO_HELP = frozenset({"", "unknown", "none"})


def categorize(
    *,
    type_: str,
    qualification: str | None,
    direction: str | None,
    invited_by: str | None,
    organization_id: str | None,
    help_wanted: str | None,
    shared_with_microsoft: bool | None,
) -> tuple[Category, str]:
    """The category of a referral and the rule that decided.

    Args:
        type_: Independent or Shared.
        invited_by: ``inviteContext.invitedBy.organizationId``; ``msft`` is Microsoft.
        organization_id: the partner that holds the referral.
        help_wanted: ``inviteContext.assistanceRequestCode``.
        shared_with_microsoft: consent to share with Microsoft's sellers.
    """
    inviter = (invited_by or "").lower()
    qualified = qualification or "None"
    if type_ == "Shared":
        # Shared with msft as inviter is outside the table; the list page calls it inbound co-sell.
        return "co_sell", "shared"
    if type_ != "Independent":
        return "other", "type-outside-the-table"
    if inviter in ("", _MICROSOFT) and qualified == "Direct":
        return "marketplace", "independent-direct-microsoft" if inviter else "independent-direct-no-inviter"
    if inviter == _MICROSOFT and qualified in ("SalesQualified", "MarketingQualified"):
        return "solution_provider", "independent-qualified-microsoft"
    own = bool(inviter) and inviter == (organization_id or "").lower()
    if (own or not inviter) and direction == "Outgoing" and (help_wanted or "").lower() in _NO_HELP:
        # The three deal kinds of the create page: private is not shared, partner-led is shared, co-sell asks for help.
        if shared_with_microsoft is False:
            return "private_deal", "outgoing-no-help-not-shared"
        if shared_with_microsoft is True:
            return "partner_led", "outgoing-no-help-shared"
    if inviter not in ("", _MICROSOFT) and qualified in ("SalesQualified", "None"):
        return "co_sell", "independent-own-organization" if own else "independent-inviting-partner"
    return "other", "outside-the-table"
