"""The kinds of referral in the world: rows of the contract's category table (section 3) in their states (section 4)."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import accumulate

STATES = (
    ("New", "Pending"),
    ("New", "Received"),
    ("Active", "Accepted"),
    ("Closed", "Won"),
    ("Closed", "Lost"),
    ("Closed", "Declined"),
    ("Closed", "Expired"),
    ("None", "None"),
)
"""Status and substatus; their place here is the compact state of a row."""
NEW_STATES = (0, 1)
STATE_NUMBER = {state: number for number, state in enumerate(STATES)}

TRANSITIONS = {
    "None": ("None", "New", "Active", "Closed"),
    "New": ("New", "Active", "Closed"),
    "Active": ("Active", "Closed"),
    "Closed": ("Closed",),
}
"""Which status may follow which (contract, section 4). Nothing is reopened."""
SUBSTATUS = {
    "None": ("None",),
    "New": ("Pending", "Received"),
    "Active": ("Accepted",),
    "Closed": ("Won", "Lost", "Declined", "Expired"),
}


@dataclass(frozen=True, slots=True)
class Kind:
    """``invited`` names who invited: msft, own, partner or None. ``category`` is what the contract's table says."""

    name: str
    weight: int
    state: int
    type: str
    qualification: str
    direction: str
    invited: str | None
    category: str


KINDS = (
    Kind("marketplace_new", 6, 0, "Independent", "Direct", "Incoming", "msft", "marketplace"),
    Kind("marketplace_active", 3, 2, "Independent", "Direct", "Incoming", None, "marketplace"),
    Kind("qualified_new", 8, 0, "Independent", "MarketingQualified", "Incoming", "msft", "solution_provider"),
    Kind("qualified_sales_new", 6, 0, "Independent", "SalesQualified", "Incoming", "msft", "solution_provider"),
    Kind("qualified_active", 9, 2, "Independent", "SalesQualified", "Incoming", "msft", "solution_provider"),
    Kind("cosell_in_pending", 8, 0, "Shared", "SalesQualified", "Incoming", "msft", "cosell"),
    Kind("cosell_in_received", 5, 1, "Shared", "SalesQualified", "Incoming", "msft", "cosell"),
    Kind("cosell_in_active", 12, 2, "Shared", "SalesQualified", "Incoming", "msft", "cosell"),
    Kind("cosell_out_active", 8, 2, "Shared", "SalesQualified", "Outgoing", "own", "cosell"),
    Kind("partner_led_active", 6, 2, "Independent", "SalesQualified", "Outgoing", "own", "partner_led"),
    Kind("private_active", 5, 2, "Independent", "SalesQualified", "Outgoing", "own", "private"),
    Kind("partner_to_partner_new", 3, 0, "Shared", "None", "Incoming", "partner", "cosell"),
    Kind("cosell_won", 6, 3, "Shared", "SalesQualified", "Incoming", "msft", "cosell"),
    Kind("cosell_lost", 4, 4, "Shared", "SalesQualified", "Incoming", "msft", "cosell"),
    Kind("qualified_declined", 3, 5, "Independent", "SalesQualified", "Incoming", "msft", "solution_provider"),
    Kind("qualified_expired", 3, 6, "Independent", "MarketingQualified", "Incoming", "msft", "solution_provider"),
    Kind("marketplace_expired", 2, 6, "Independent", "Direct", "Incoming", "msft", "marketplace"),
    Kind("sparse_new", 3, 0, "Independent", "SalesQualified", "Incoming", "msft", "solution_provider"),
    Kind("microsoft_side", 0, 0, "Shared", "SalesQualified", "Outgoing", "own", "cosell"),
)
"""``microsoft_side`` is the second row of an outgoing co-sell engagement and is never drawn by weight."""
KIND_NUMBER = {kind.name: number for number, kind in enumerate(KINDS)}
_BOUNDS = tuple(accumulate(kind.weight for kind in KINDS))
DRAW = tuple(next(n for n, bound in enumerate(_BOUNDS) if roll < bound) for roll in range(_BOUNDS[-1]))
"""Kind numbers, each as often as its weight: index with a random number modulo the length."""
LIVE = tuple(number for number in DRAW if STATES[KINDS[number].state][0] != "Closed")
"""The same for referrals that come into being now: none of them is closed at birth."""
