"""What is kept of every referral, generated or written: a few numbers each, for a million of them."""

from __future__ import annotations

from array import array
from bisect import bisect_left, insort

_ROW_BITS = 32


class ReferralTable:
    """Columns of referrals by row, and the rows in the order of their stamps."""

    def __init__(self) -> None:
        self.company_of = array("I")
        self.kind = bytearray()
        self.state = bytearray()
        self.created = array("q")
        self.updated = array("q")
        self.head = array("I")
        """The first row of its engagement."""
        self.by_updated: list[int] = []
        """Sorted keys ``ticks << 32 | row``; the same for ``by_created``."""
        self.by_created: list[int] = []

    def __len__(self) -> int:
        return len(self.kind)

    def append(self, company: int, kind: int, state: int, created: int, updated: int, head: int | None = None) -> int:
        """Take one more in, not yet in order; its row comes back."""
        row = len(self.kind)
        self.company_of.append(company)
        self.kind.append(kind)
        self.state.append(state)
        self.created.append(created)
        self.updated.append(max(created, updated))
        self.head.append(row if head is None else head)
        return row

    def sort(self) -> None:
        """Put all rows in order, after many were taken in."""
        self.by_updated = sorted(stamp << _ROW_BITS | row for row, stamp in enumerate(self.updated))
        self.by_created = sorted(stamp << _ROW_BITS | row for row, stamp in enumerate(self.created))

    def place(self, row: int) -> None:
        """Put one row in order."""
        insort(self.by_updated, self.updated[row] << _ROW_BITS | row)
        insort(self.by_created, self.created[row] << _ROW_BITS | row)

    def touch(self, row: int, when: int) -> None:
        """Give a row another stamp."""
        del self.by_updated[bisect_left(self.by_updated, self.updated[row] << _ROW_BITS | row)]
        self.updated[row] = when
        insort(self.by_updated, when << _ROW_BITS | row)
