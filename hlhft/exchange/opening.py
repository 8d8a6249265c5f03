"""What an exchange opens with: its coins, their prices and margin tiers, its order flow, and a funded test account."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import replace

import msgspec

from hlhft.data.markets import known
from hlhft.data.sources import Source
from hlhft.exchange.flow.live import MAINNET_URL, LiveFlow
from hlhft.exchange.flow.parameters import shipped
from hlhft.exchange.flow.replay import RecordedFlow, first_mids
from hlhft.exchange.known_account import test_signer
from hlhft.exchange.listing import Listed, Listing
from hlhft.exchange.machine import Flow, Machine
from hlhft.exchange.settings import ExchangeSettings
from hlhft.exchange.synthetic_flow import SyntheticFlow
from hlhft.hyperliquid.wire import ms_of
from hlhft.units import MICRO, Market, MarketKind

# Between them these call all that is compiled and only read.
WARMING = ("l2Book", "metaAndAssetCtxs", "clearinghouseState", "spotClearinghouseState", "activeAssetData")
SERVED_BLOCKS_MAX = 250  # at once: clients are served between the parts of what is caught up
# Account 0 is the insurance vault; the flow comes first, so that clients are behind it whenever they come.
FLOW_ACCOUNT = 1
LEDGER_DECIMALS = 6
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


def named(names: Sequence[str]) -> list[Market]:
    """The shipped markets of these coins. Raises OpeningError when a coin is unknown or given twice, or without any."""
    available = coins()
    for name in names:
        if name not in available:
            near = difflib.get_close_matches(name.upper(), available, n=1, cutoff=0.0)
            raise OpeningError(
                f"coin {name} cannot be listed, the nearest is {near[0]}: known are {', '.join(available)}"
            )
    if not names or len(set(names)) < len(names):
        raise OpeningError(f"an exchange lists each coin once and at least one, not {', '.join(names) or 'none'}")
    return [known()[name] for name in names]


def open_settings(
    names: Sequence[str], *, seed: int, start_ns: int, with_limits: bool = True, with_delays: bool = True
) -> ExchangeSettings:
    """An exchange of these coins at the prices of their recordings. Raises OpeningError as `named`."""
    flows = shipped()
    markets = named(names)
    prices = [_ticks(market, flows[market.name].start_price) for market in markets]
    return settings_of(markets, prices, seed=seed, start_ns=start_ns, with_limits=with_limits, with_delays=with_delays)


def settings_of(
    markets: Sequence[Market],
    reference_ticks: Sequence[int],
    *,
    seed: int,
    start_ns: int,
    with_limits: bool = True,
    with_delays: bool = True,
) -> ExchangeSettings:
    """An exchange of these perpetuals at these prices. Asset ids are places in this list.

    Raises OpeningError for what is no perpetual, or one whose prices times sizes are finer than the ledger.
    """
    for market in markets:
        if market.kind is not MarketKind.PERPETUAL or market.price_decimals + market.size_decimals > LEDGER_DECIMALS:
            raise OpeningError(
                f"{market.name} cannot be listed: an exchange lists perpetuals whose decimals of price and size are at"
                f" most {LEDGER_DECIMALS} together"
            )
    placed = [replace(market, asset_id=place) for place, market in enumerate(markets)]
    return ExchangeSettings(
        listing=Listing(tuple(Listed(market=market, tiers=TIERS.get(market.name, ())) for market in placed)),
        reference_ticks=tuple(reference_ticks),
        seed=seed,
        start_ns=start_ns,
        with_limits=with_limits,
        with_delays=with_delays,
        blocks_per_advance_max=SERVED_BLOCKS_MAX,
    )


def synthetic_flow(settings: ExchangeSettings) -> SyntheticFlow:
    """The synthetic order flow of the listed coins, which are among `coins`."""
    flows = shipped()
    markets = listed(settings)
    return SyntheticFlow(
        markets, [flows[market.name] for market in markets], first_account=FLOW_ACCOUNT, seed=settings.seed
    )


def of_recording(source: Source, names: Sequence[str]) -> tuple[list[Market], list[int]]:
    """The markets of a recording, those `names` or with none all of them, and their first prices in ticks.

    Raises OpeningError when it does not hold one of them, and DataError when a market of it has no price.
    """
    held = [market.name for market in source.markets]
    for name in names:
        if name not in held:
            raise OpeningError(f"{source.name} holds no {name}: there are {', '.join(held)}")
    prices = first_mids(source)
    places = [held.index(name) for name in names or held]
    return [source.markets[place] for place in places], [prices[place] for place in places]


def replayed_flow(settings: ExchangeSettings, source: Source, *, repeat: bool = True) -> RecordedFlow:
    """A recording as the order flow of an exchange that was opened with `of_recording`."""
    return RecordedFlow(source, listed(settings), first_account=FLOW_ACCOUNT, repeat=repeat)


def live_flow(settings: ExchangeSettings, base_url: str = MAINNET_URL) -> LiveFlow:
    """The public streams of the venue at `base_url`, for all coins listed. Raises ValueError when it is no base URL."""
    return LiveFlow(
        listed(settings), listed(settings), first_account=FLOW_ACCOUNT, seed=settings.seed, base_url=base_url
    )


def listed(settings: ExchangeSettings) -> list[Market]:
    """The markets in the order of the listing."""
    return [one.market for one in settings.listing.markets]


def open_machine(settings: ExchangeSettings, *, synthetic: bool = False, flow: Flow | None = None) -> Machine:
    """An exchange with the synthetic order flow, another one, or with nobody but its clients; and a funded test
    account."""
    machine = Machine(settings, flow=synthetic_flow(settings) if synthetic else flow)
    machine.deposit(test_signer(settings.seed).address, TEST_FUNDS_MICRO)
    return machine


def warm(machine: Machine) -> None:
    """Asks what clients will ask, so that compiled code is there before one of them has to wait for it. Nothing at the
    exchange changes."""
    user, coin = test_signer(machine.settings.seed).address, machine.settings.listing.names[0]
    for kind in WARMING:
        body = msgspec.json.encode({"type": kind, "user": user, "coin": coin})
        machine.answers.answer_bytes(body, ms_of(machine.time_ns))
    machine.answers.markets.touches()


def _ticks(market: Market, price: float) -> int:
    return market.quantise(price * 10**market.price_decimals, side=1)
