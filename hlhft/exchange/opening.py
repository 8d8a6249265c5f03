"""What an exchange opens with: its coins, their prices and margin tiers, its order flow, and a funded test account."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import replace

from hlhft.data.markets import known
from hlhft.exchange.flow.parameters import shipped
from hlhft.exchange.listing import Listed, Listing
from hlhft.exchange.machine import Flow, Machine
from hlhft.exchange.settings import ExchangeSettings
from hlhft.exchange.synthetic_flow import SyntheticFlow
from hlhft.hyperliquid.signing import Signer, keccak
from hlhft.units import MICRO, Market

SERVED_BLOCKS_MAX = 250  # at once: clients are served between the parts of what is caught up
TEST_FUNDS_MICRO = 100_000 * MICRO
# Lower bound in micro-USDC and maximum leverage (venue reference section 10, mainnet); others have one flat tier.
TIERS: Mapping[str, tuple[tuple[int, int], ...]] = {
    "BTC": ((0, 40), (150_000_000 * MICRO, 20)),
    "ETH": ((0, 25), (100_000_000 * MICRO, 15)),
    "SOL": ((0, 20), (70_000_000 * MICRO, 10)),
}


class OpeningError(ValueError):
    """A coin or an order flow that an exchange cannot open with."""


def coins() -> tuple[str, ...]:
    """The coins that an exchange can list: those whose order flow was fitted and whose specification is shipped."""
    specified = known()
    return tuple(coin for coin in shipped() if coin in specified)


def open_settings(
    names: Sequence[str], *, seed: int, start_ns: int, with_limits: bool = True, with_delays: bool = True
) -> ExchangeSettings:
    """An exchange of these coins at the prices of their recordings. Asset ids are places in this list.

    Raises OpeningError when a coin is unknown or given twice, or when there is none.
    """
    available = coins()
    for name in names:
        if name not in available:
            near = difflib.get_close_matches(name.upper(), available, n=1, cutoff=0.0)
            raise OpeningError(f"coin {name} cannot be listed, the nearest is {near[0]}: known are {available}")
    if not names or len(set(names)) < len(names):
        raise OpeningError(f"an exchange lists each coin once and at least one, not {', '.join(names) or 'none'}")
    flows = shipped()
    markets = [replace(known()[name], asset_id=place) for place, name in enumerate(names)]
    listing = Listing(tuple(Listed(market=market, tiers=TIERS.get(market.name, ())) for market in markets))
    return ExchangeSettings(
        listing=listing,
        reference_ticks=tuple(_ticks(market, flows[market.name].start_price) for market in markets),
        seed=seed,
        start_ns=start_ns,
        with_limits=with_limits,
        with_delays=with_delays,
        blocks_per_advance_max=SERVED_BLOCKS_MAX,
    )


def open_machine(settings: ExchangeSettings, *, synthetic: bool) -> Machine:
    """An exchange with the synthetic order flow, or with nobody but its clients, and a funded test account."""
    flow: Flow | None = None
    if synthetic:
        flows = shipped()
        markets = [listed.market for listed in settings.listing.markets]
        numbers = [flows[market.name] for market in markets]
        # Account 0 is the insurance vault; the flow comes first, so that clients are behind it whenever they come.
        flow = SyntheticFlow(markets, numbers, first_account=1, seed=settings.seed)
    machine = Machine(settings, flow=flow)
    machine.deposit(test_signer(settings.seed).address, TEST_FUNDS_MICRO)
    return machine


def test_key(seed: int) -> bytes:
    """A key that everybody knows who knows the seed: 32 bytes."""
    return keccak(b"hlhft exchange, test account of seed " + str(seed).encode())


def test_signer(seed: int) -> Signer:
    """The signer of the test account."""
    return Signer(test_key(seed))


def _ticks(market: Market, price: float) -> int:
    return market.quantise(price * 10**market.price_decimals, side=1)
