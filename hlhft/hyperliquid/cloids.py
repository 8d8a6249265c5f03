"""Client order ids that say whose order it is: owner, session, order and revision in 128 bits, never the same twice.

| bits | field | range |
| --- | --- | --- |
| 127 .. 104 | owner | 1 .. 2^24 - 1: one number for each program that trades on an account, from its configuration |
| 103 .. 72 | session | 1 .. 2^32 - 1: one number for each start of that program; it is on disk before the first order |
| 71 .. 64 | revision | 0 .. 255: how often the order was modified; every modification makes a new order at the venue |
| 63 .. 0 | order id | 1 .. 2^63 - 1: the order's number in the core, which grows within a session |

Whether the venue lets the id of a finished order be used again is unverified (venue reference section 13), so no id is:
sessions never repeat, order ids never repeat within one, and an order of 255 modifications is cancelled and placed
anew. Read back, an id names the order before anything else is known of it; what has no owner or session is not ours.
"""

from __future__ import annotations

from typing import NamedTuple

OWNER_MAX = 2**24 - 1
SESSION_MAX = 2**32 - 1
REVISION_MAX = 2**8 - 1
ORDER_ID_MAX = 2**63 - 1
_OWNER_SHIFT, _SESSION_SHIFT, _REVISION_SHIFT = 104, 72, 64


class CloidError(ValueError):
    """A field of a client order id outside its range."""


class Cloid(NamedTuple):
    """What a client order id of ours says."""

    owner: int
    session: int
    order_id: int
    revision: int = 0

    def number(self) -> int:
        """The id as a number of 128 bits; `hlhft.hyperliquid.wire.cloid_text` writes it. Raises CloidError when a field
        is out of range."""
        require(owner=self.owner, session=self.session)
        if not 1 <= self.order_id <= ORDER_ID_MAX:
            raise CloidError(f"an order id lies in 1..2^63-1, not {self.order_id}")
        if not 0 <= self.revision <= REVISION_MAX:
            raise CloidError(f"a revision lies in 0..{REVISION_MAX}, not {self.revision}")
        high = self.owner << _OWNER_SHIFT | self.session << _SESSION_SHIFT
        return high | self.revision << _REVISION_SHIFT | self.order_id


def require(*, owner: int, session: int) -> None:
    """Raises CloidError when an owner or a session is out of range."""
    if not 1 <= owner <= OWNER_MAX:
        raise CloidError(f"an owner lies in 1..{OWNER_MAX}, not {owner}")
    if not 1 <= session <= SESSION_MAX:
        raise CloidError(f"a session lies in 1..{SESSION_MAX}, not {session}")


def parse(number: int) -> Cloid | None:
    """What the id says, from the number that `hlhft.hyperliquid.wire.read_cloid` reads; None when it is none of ours:
    foreign ids are small, random or all zeros, and only a random one may look like ours, which its owner then tells."""
    if not 0 <= number < 1 << 128:
        return None
    read = Cloid(
        owner=number >> _OWNER_SHIFT,
        session=number >> _SESSION_SHIFT & SESSION_MAX,
        order_id=number & (1 << _REVISION_SHIFT) - 1,
        revision=number >> _REVISION_SHIFT & REVISION_MAX,
    )
    return read if read.owner and read.session and 1 <= read.order_id <= ORDER_ID_MAX else None
