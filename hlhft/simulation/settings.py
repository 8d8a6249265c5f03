"""The settings of an engine and a watchdog that are simulated: runs differ in them, and not only in faults.

What matters to safety is drawn anew for each run; a third of the runs have the defaults.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from random import Random

from hlhft.simulation.account import ACCOUNT, EXPIRES_AFTER_MS, OWNER
from hlhft.simulation.market_pace import BUSY, LEAN

DEFAULT_SHARE = 1 / 3  # of runs
LEAN_SHARE = 3 / 4
LONG_MS = 8_000  # a watchdog sweeps twice in it, so that what it finds in between proves nothing
# By strategy, the name of the parameter that bounds its half spread from below; some have none.
STRATEGIES: dict[str, str] = {
    "two_sided": "half_spread_bp", "glft": "half_spread_bp_min", "avellaneda_stoikov": "",
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class RunSettings:
    """What differs between runs, named and in units as in docs/configuration.md where it comes from there."""

    strategy: str = "two_sided"
    half_spread_bp: float = 0.5  # there are fills: seven a minute
    leftovers: str = "cancel"
    amends: bool = False
    requote_bp: float = 0.0
    account_usdc: int = 100_000
    order_usdc: int = 2_000
    position_usdc: int = 20_000
    messages_per_minute: int = 2_000
    address_actions: int = 10_000  # that the exchange grants to an account that has traded nothing
    expires_after_ms: int = EXPIRES_AFTER_MS  # what the engine sends is executed until then, and often just before
    flattens: bool = False  # the watchdog closes the positions of an engine that is gone
    has_switch: bool = False  # the venue is told to cancel everything by itself
    may_switch: bool = True  # and allows it, whatever was traded
    paces: tuple[float, ...] = BUSY  # of the markets, as shares of what was recorded

    def text(self) -> str:
        """The settings of the engine as a user writes them."""
        spread = STRATEGIES[self.strategy]
        return f"""
[account]
network = "local"
base_url = "http://exchange"
address = "{ACCOUNT}"
owner = {OWNER}
[engine]
coins = ["BTC", "ETH"]
leftovers = "{self.leftovers}"
[strategy]
name = "{self.strategy}"
[strategy.params]
{f"{spread} = {self.half_spread_bp}" if spread else ""}
[journal]
segment_mib = 4
sync_ms = 100
checkpoint_steps = 1000
[risk]
order_notional_usdc_max = {self.order_usdc}
position_notional_usdc_max = {self.position_usdc}
[batch]
amend = {str(self.amends).lower()}
expires_after_ms = {self.expires_after_ms}
requote_bp_min = {self.requote_bp}
[limits]
messages_per_minute = {self.messages_per_minute}
address_actions = {self.address_actions}
"""


DEFAULT = RunSettings()


def drawn(seed: int) -> RunSettings:
    """The settings of the run of this seed."""
    random = Random(f"paces of {seed}")  # noqa: S311 - a run is to be repeated
    return replace(_drawn(seed), paces=LEAN if random.random() < LEAN_SHARE else BUSY)


def _drawn(seed: int) -> RunSettings:
    random = Random(f"settings of {seed}")  # noqa: S311 - a run is to be repeated
    if random.random() < DEFAULT_SHARE:
        return DEFAULT
    order_usdc = random.choice((500, 2_000, 5_000))
    return RunSettings(
        strategy=random.choice(("two_sided", "two_sided", *STRATEGIES)),
        half_spread_bp=random.choice((0.1, 0.5, 1.0, 5.0)),
        leftovers=random.choice(("cancel", "adopt")),
        amends=random.choice((False, True)),
        requote_bp=random.choice((0.0, 0.0, 0.5)),
        account_usdc=random.choice((100_000, 100_000, 10_000, 2_000)),
        order_usdc=order_usdc,
        position_usdc=random.choice((order_usdc + 200, 4 * order_usdc, 20_000)),
        messages_per_minute=random.choice((2_000, 2_000, 300)),
        address_actions=random.choice((10_000, 1_500, 1_100)),
        flattens=random.random() < 0.25,
        has_switch=random.random() < 0.25,
        may_switch=random.random() < 0.5,
        expires_after_ms=random.choice((EXPIRES_AFTER_MS, LONG_MS)),
    )
