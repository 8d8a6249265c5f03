"""The numbers of a gateway, which a user may set."""

from __future__ import annotations

from dataclasses import dataclass

from hlhft.hyperliquid import gateway_mode
from hlhft.hyperliquid.backoff import DEFAULTS, MILLISECOND_NS, SECOND_NS, BackoffSettings

_ASK_BACKOFF = BackoffSettings(longest_ns=4 * SECOND_NS)


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewaySettings:
    """The numbers of a gateway. The limits of an IP address are shared with others: these are the engine's parts."""

    account: str  # the address that is traded for, as orders are asked about
    answer_ns: int = 3 * SECOND_NS  # until an action's fate counts as unknown
    repeat_ns: int = 250 * MILLISECOND_NS  # until a cancel is sent again
    repeats_max: int = 3  # of one cancel, or none; then it is asked about
    late_ns: int = 30 * SECOND_NS  # how long an answer is waited for after the nonce is known to be used
    resend_margin_ms: int = 500  # an order is posted again only with so long to its expiry
    posts_max: int = 60  # in flight, of placements; the venue allows an address 100 (venue reference section 7)
    posts_kept: int = 20  # on top, for what takes risk away: half of them for cancels alone
    messages_kept: int = 100  # of the messages of a minute, as of posts
    asks_per_minute: int = 120  # questions about orders, of IP weight 2
    fill_asks_per_minute: int = 6  # questions about fills, of IP weight 20
    ask_ns: int = 250 * MILLISECOND_NS  # between two looks for orders in doubt
    mark_ns: int = 2 * SECOND_NS  # between two looks whether nonces are to be reserved
    mode: gateway_mode.ModeSettings = gateway_mode.DEFAULTS
    backoff: BackoffSettings = DEFAULTS  # between two tries to settle an action
    ask_backoff: BackoffSettings = _ASK_BACKOFF  # between two questions about the same order

    def __post_init__(self) -> None:
        for name in self.__slots__:
            value = getattr(self, name)
            least = 0 if name == "repeats_max" else 1
            if isinstance(value, int) and value < least:
                raise ValueError(f"{name} of the gateway is {value}, and must be at least {least}")
        if self.repeat_ns >= self.answer_ns:
            raise ValueError(f"repeat_ns is {self.repeat_ns}: a cancel is repeated before answer_ns, {self.answer_ns}")
