"""What an action becomes: the legs that a block executes, and how its answer is made of what came of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum

import numpy as np

from hlhft.exchange.addresses import Addresses
from hlhft.exchange.client_ids import ClientIds
from hlhft.exchange.listing import Listing

Leg = Mapping[str, int]  # fields of ACTION_DTYPE; what is not named is 0


class Form(Enum):
    """Which answer an action gets (venue reference section 4.4)."""

    ORDER = "order"
    CANCEL = "cancel"
    MODIFY = "modify"
    TWAP_ORDER = "twapOrder"
    TWAP_CANCEL = "twapCancel"
    CREATE_SUB_ACCOUNT = "createSubAccount"
    DEFAULT = "default"


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """The legs of an action, and for each item of its answer the leg that decides it or the error that it has already.

    `detail` is what some answers say besides: the address of a new sub-account, the minutes of a TWAP. `after` is done
    when the block has executed the action and refused no leg of it.
    """

    form: Form
    legs: Sequence[Leg] = ()
    items: Sequence[int | str] = ()
    detail: str = ""
    after: Callable[[], object] | None = None


@dataclass(frozen=True, slots=True)
class Refused:
    """The whole action is refused, in the venue's words, and nothing is executed."""

    text: str


@dataclass(slots=True, kw_only=True)
class Scope:
    """For whom and when an action is planned: the account it acts on, who signed, and the block's time."""

    listing: Listing
    addresses: Addresses
    client_ids: ClientIds
    account: int
    signer_account: int  # of the signer's master: what user-signed actions act on
    now_ms: int
    volume_micro: int  # traded by the signer's account since it was opened
    masters: np.ndarray  # int64[A]: whose fee tier an account has, the kernel's own
    reserve_requests: Callable[[int, int], None]  # account, how many
    post_only: bool = False  # the network was upgraded just now, and orders that could take are refused
