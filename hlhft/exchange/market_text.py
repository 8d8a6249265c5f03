"""What the markets are and how they stand, as the venue writes it (venue reference section 3.1)."""

from __future__ import annotations

from collections.abc import Sequence

from hlhft.exchange.fill_records import MICRO_DECIMALS, rate_text
from hlhft.exchange.listing import LISTED_TABLES_FROM, Listed, Listing, MarginMode
from hlhft.exchange.records import Records
from hlhft.hyperliquid.wire import answer_number
from hlhft.ladder import ASK_NONE, BID_NONE
from hlhft.venue.chain_state import Chain
from hlhft.venue.depth import new_levels
from hlhft.venue.funding import RATE_NONE, hourly_rate_e12, impact_price_e6
from hlhft.venue.handle import ChainHandle

LEVELS_MAX = 20  # venue reference section 3.1
FAST_LEVELS = 5  # section 6.2
HOUR_MS = 3_600_000
_E6 = 1_000_000
Level = tuple[int, int, int]  # ticks, lots, orders
Touch = tuple[Level | None, Level | None]  # best bid and ask, None for an empty side


def meta(listing: Listing) -> dict[str, object]:
    """The shape of `meta`."""
    universe = []
    tables: dict[int, dict[str, object]] = {}
    for row, number, tiers in listing.margin_tables():
        listed = listing.markets[row]
        entry: dict[str, object] = {
            "szDecimals": listed.market.size_decimals,
            "name": listed.market.name,
            "maxLeverage": listed.market.maximum_leverage,
            "marginTableId": number,
        }
        if listed.margin_mode is not MarginMode.ANY:
            entry["onlyIsolated"] = True
            entry["marginMode"] = listed.margin_mode.value
        if listed.is_delisted:
            entry["isDelisted"] = True
        universe.append(entry)
        if len(tiers) > 1:
            tables[number] = _table(f"tiered {tiers[0][1]}x", tiers)
    return {"universe": universe, "marginTables": [[number, tables[number]] for number in tables], "collateralToken": 0}


def margin_table(listing: Listing, number: int) -> dict[str, object] | None:
    """The shape of `marginTable`: a table of `meta`, or the flat one that a number below those is; else None."""
    if 0 < number < LISTED_TABLES_FROM:
        return _table("", ((0, number),))
    found = (tiers for _, listed, tiers in listing.margin_tables() if listed == number)
    return next((_table(f"tiered {tiers[0][1]}x", tiers) for tiers in found), None)


def _table(description: str, tiers: Sequence[tuple[int, int]]) -> dict[str, object]:
    shown = [{"lowerBound": answer_number(bound, MICRO_DECIMALS), "maxLeverage": most} for bound, most in tiers]
    return {"description": description, "marginTiers": shown}


def spot_meta(listing: Listing) -> dict[str, object]:
    """The shape of `spotMeta`."""
    tokens = [
        {
            "name": token.name,
            "szDecimals": token.size_decimals,
            "weiDecimals": token.wei_decimals,
            "index": token.index,
            "tokenId": token.token_id,
            "isCanonical": True,
            "evmContract": None,
            "fullName": None,
            "deployerTradingFeeShare": "0.0",
        }
        for token in listing.tokens
    ]
    universe = [
        {
            "tokens": [listing.markets[row].base_token, listing.markets[row].quote_token],
            "name": listing.names[row],
            "index": listing.markets[row].spot_index,
            "isCanonical": True,
        }
        for row in listing.spots
    ]
    return {"universe": universe, "tokens": tokens}


class MarketView:
    """The markets as the chain and the records have them now."""

    def __init__(self, chain: Chain, records: Records) -> None:
        self.chain = chain
        self._handle = ChainHandle(chain)
        self.records = records
        self.listing = records.listing
        self._levels = new_levels(LEVELS_MAX)
        self._touches = new_levels(2 * len(self.listing.markets)).reshape(-1, 2)

    def _price(self, listed: Listed, ticks: int) -> str:
        return answer_number(ticks, listed.market.price_decimals)

    def touch(self, row: int) -> tuple[int, int]:
        """Best bid and ask in ticks, 0 where a side is empty."""
        ladder = self.chain.exchange.ladders[row]
        bid, ask = int(ladder["best_bid_ticks"]), int(ladder["best_ask_ticks"])
        return (0 if bid == BID_NONE else bid, 0 if ask == ASK_NONE else ask)

    def mid(self, row: int) -> str | None:
        """The middle of the book; None when a side is empty."""
        bid, ask = self.touch(row)
        if not bid or not ask:
            return None
        return answer_number((bid + ask) * 5, self.listing.markets[row].market.price_decimals + 1)

    def mids(self) -> dict[str, str]:
        """The shape of `allMids`: the mid, the last trade when a side is empty, the mark before the first; a market
        without any of these is left out."""
        shown = {}
        for row, listed in enumerate(self.listing.markets):
            mid = self.mid(row)
            if mid is None:
                ticks = self.records.markets[row].last_ticks or int(self.chain.exchange.marks[row])
                mid = self._price(listed, ticks) if ticks else None
            if mid is not None:
                shown[listed.market.name] = mid
        return shown

    def marks_and_mids(self) -> dict[str, dict[str, str]]:
        """Mark and mid of every market, each where there is one."""
        shown: dict[str, dict[str, str]] = {}
        for row, listed in enumerate(self.listing.markets):
            mark, mid = int(self.chain.exchange.marks[row]), self.mid(row)
            values = {} if mark <= 0 else {"markPx": self._price(listed, mark)}
            if mid is not None:
                values["midPx"] = mid
            shown[listed.market.name] = values
        return shown

    # Books.

    def levels(self, row: int, count: int, *, figures: int = 0, mantissa: int = 1) -> list[list[dict[str, object]]]:
        """Bids and asks, at most `count` a side, as they are or grouped."""
        market = self.listing.markets[row].market
        sides: list[list[dict[str, object]]] = []
        for side in range(2):
            found = self._handle.read_levels(row, side, figures, mantissa, self._levels[:count])
            sides.append(
                [
                    {
                        "px": answer_number(ticks, market.price_decimals),
                        "sz": answer_number(lots, market.size_decimals),
                        "n": orders,
                    }
                    for ticks, lots, orders in self._levels[:found].tolist()
                ]
            )
        return sides

    def touches(self) -> list[Touch]:
        """Best bid and ask of every market. All at once: a call of compiled code costs more than what it reads."""
        self._handle.read_touches(self._touches)
        return [(bid if bid[0] else None, ask if ask[0] else None) for bid, ask in self._touches.tolist()]

    def book(
        self, row: int, time_ms: int, *, figures: int = 0, mantissa: int = 1, levels_max: int = LEVELS_MAX
    ) -> dict[str, object]:
        """The shape of `l2Book`; grouped books also say their spread."""
        levels = self.levels(row, levels_max, figures=figures, mantissa=mantissa)
        shape: dict[str, object] = {"coin": self.listing.names[row], "time": time_ms, "levels": levels}
        if figures:
            shape["spread"] = self._spread(row, figures, mantissa)
        return shape

    def _spread(self, row: int, figures: int, mantissa: int) -> str:
        best = []
        for side in range(2):
            found = self._handle.read_levels(row, side, figures, mantissa, self._levels[:1])
            best.append(int(self._levels[0]["price_ticks"]) if found else 0)
        return self._price(self.listing.markets[row], best[1] - best[0] if min(best) > 0 else 0)

    # Contexts.

    def rate_e12(self, row: int) -> int:
        """The hourly funding rate that would be paid now: from the premiums of this hour, else of the last one."""
        funding = self.chain.funding[row]
        samples = int(funding["samples"])
        if samples:
            premiums = int(funding["premium_sum_e12"])
            average = abs(premiums) // samples * (1 if premiums >= 0 else -1)
            return int(hourly_rate_e12(average))
        rate = int(self.chain.prices[row]["hourly_rate_e12"])
        return 0 if rate == RATE_NONE else rate

    def impact_ticks(self, row: int) -> tuple[int, int] | None:
        """The impact prices in ticks; None when the book is too thin for them."""
        exchange = self.chain.exchange
        market = self.listing.markets[row].market
        unit = market.micro(1, 1)
        quanta = int(exchange.terms[row]["impact_notional_micro"]) // unit if unit else 0
        bid, ask = self.touch(row)
        if not bid or not ask or quanta < ask:
            return None
        prices = [int(impact_price_e6(exchange.ladders[row], exchange.cells[row], side, quanta)) for side in range(2)]
        return None if min(prices) <= 0 else (prices[0] // _E6, prices[1] // _E6)

    def open_interest_lots(self, row: int) -> int:
        """Lots that are long, which are as many as are short."""
        return int(self.chain.exchange.holdings["position_lots"][:, row].clip(min=0).sum())

    def context(self, row: int, time_ms: int) -> dict[str, object]:
        """The context of a perpetual."""
        listed = self.listing.markets[row]
        day = self.records.markets[row].day
        day.forget(time_ms)
        price = self.chain.prices[row]
        premium = int(price["premium_e12"])
        impact = self.impact_ticks(row)
        mark = int(self.chain.exchange.marks[row])
        return {
            "funding": rate_text(self.rate_e12(row)),
            "openInterest": answer_number(self.open_interest_lots(row), listed.market.size_decimals),
            "prevDayPx": self._price(listed, day.previous_ticks() or mark),
            "dayNtlVlm": answer_number(day.quanta, listed.quanta_decimals),
            "premium": None if premium == RATE_NONE else rate_text(premium),
            "oraclePx": self._price(listed, int(price["oracle_ticks"])),
            "markPx": self._price(listed, mark),
            "midPx": self.mid(row),
            "impactPxs": None if impact is None else [self._price(listed, ticks) for ticks in impact],
            "dayBaseVlm": answer_number(day.lots, listed.market.size_decimals),
        }

    def spot_context(self, row: int, time_ms: int) -> dict[str, object]:
        """The context of a spot pair."""
        listed = self.listing.markets[row]
        day = self.records.markets[row].day
        day.forget(time_ms)
        mark = int(self.chain.exchange.marks[row]) or self.records.markets[row].last_ticks
        return {
            "prevDayPx": self._price(listed, day.previous_ticks() or mark),
            "dayNtlVlm": answer_number(day.quanta, listed.quanta_decimals),
            "markPx": self._price(listed, mark),
            "midPx": self.mid(row),
            "circulatingSupply": "0.0",
            "coin": listed.market.name,
            "totalSupply": "0.0",
            "dayBaseVlm": answer_number(day.lots, listed.market.size_decimals),
        }

    def contexts(self, time_ms: int) -> list[dict[str, object]]:
        """The contexts of all perpetuals in the order of `meta`."""
        return [self.context(row, time_ms) for row in self.listing.perpetuals]

    def predicted(self, time_ms: int) -> list[object]:
        """The shape of `predictedFundings`; other venues are not known here."""
        following = time_ms - time_ms % HOUR_MS + HOUR_MS
        return [
            [
                self.listing.names[row],
                [
                    [
                        "HlPerp",
                        {
                            "fundingRate": rate_text(self.rate_e12(row)),
                            "nextFundingTime": following,
                            "fundingIntervalHours": 1,
                        },
                    ]
                ],
            ]
            for row in self.listing.perpetuals
        ]

    def rates(self, row: int, start_ms: int, end_ms: int, most: int) -> list[dict[str, object]]:
        """The shape of `fundingHistory`: the first `most` in start_ms .. end_ms."""
        name = self.listing.names[row]
        found = [
            {"coin": name, "fundingRate": rate_text(rate), "premium": rate_text(premium), "time": time_ms}
            for time_ms, rate, premium in self.records.markets[row].rates
            if start_ms <= time_ms <= end_ms
        ]
        return found[:most]
