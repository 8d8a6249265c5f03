"""Every answer of POST /info, from a table: request type -> structure of the body and function that answers.

Pure: the same chain, records and directory give the same bytes. What cannot be deserialised is answered 422 in plain
text, as the venue does (venue reference section 1); a market that is not listed as `InfoSettings` says.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import msgspec

from hlhft.exchange import requests as req
from hlhft.exchange.account_answers import RANGE_MAX, AccountAnswers
from hlhft.exchange.candles import INTERVAL_MS
from hlhft.exchange.directory import Directory
from hlhft.exchange.market_text import MarketView, margin_table, meta, spot_meta
from hlhft.exchange.records import Records
from hlhft.hyperliquid.wire import answer_number
from hlhft.venue.chain_state import Chain

UNPROCESSABLE = b"Failed to deserialize the JSON body into the target type"
_DELEGATOR = {"delegated": "0.0", "undelegated": "0.0", "totalPendingWithdrawal": "0.0", "nPendingWithdrawals": 0}
_REFERRAL: dict[str, object] = {
    "referredBy": None,
    "cumVlm": "0.0",
    "unclaimedRewards": "0.0",
    "claimedRewards": "0.0",
    "builderRewards": "0.0",
    "tokenToState": [],
    "referrerState": {"stage": "needToTrade", "data": {"required": "10000.0"}},
    "rewardHistory": [],
}
_AUCTION = {"startTimeSeconds": 0, "durationSeconds": 111_600, "startGas": "0.0", "currentGas": None, "endGas": "0.0"}
_LEGAL = {"ipAllowed": True, "acceptedTerms": True, "userAllowed": True}


@dataclass(frozen=True, slots=True, kw_only=True)
class InfoSettings:
    """How the venue answers what it does not have (unverified)."""

    unknown_coin_status: int = 500  # with the body `null`
    unknown_coin_of_a_book_status: int = 200  # l2Book says null
    unknown_dex_status: int = 500
    unknown_table_status: int = 500


class InfoAnswer(NamedTuple):
    """What an /info request gets."""

    status: int  # HTTP
    body: bytes  # JSON, or plain text at 422
    items: int  # elements of the answer when it is a list, for the IP weight

    @property
    def is_text(self) -> bool:
        """Whether the body is plain text."""
        return self.status == 422


class _Absent(Exception):
    """The request names something that is not listed; carries the HTTP status."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


class Info:
    """Answers /info. `types` are the request types it knows."""

    def __init__(
        self, chain: Chain, records: Records, directory: Directory, settings: InfoSettings | None = None
    ) -> None:
        self.chain = chain
        self.records = records
        self.listing = records.listing
        self.settings = settings or InfoSettings()
        self.markets = MarketView(chain, records)
        self.accounts = AccountAnswers(chain, records, directory)
        self._meta = msgspec.Raw(msgspec.json.encode(meta(self.listing)))
        self._spot_meta = msgspec.Raw(msgspec.json.encode(spot_meta(self.listing)))
        self._table: dict[str, tuple[type[msgspec.Struct], Callable[[Any, int], object]]] = {
            **self._market_table(),
            **self._account_table(),
            **self._empty_table(),
        }

    @property
    def types(self) -> tuple[str, ...]:
        """The request types that are answered."""
        return tuple(self._table)

    def answer_bytes(self, body: bytes, now_ms: int) -> InfoAnswer:
        """The answer to a body as it came."""
        try:
            decoded = msgspec.json.decode(body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return InfoAnswer(422, UNPROCESSABLE, 0)
        return self.answer(decoded, now_ms)

    def answer(self, body: object, now_ms: int) -> InfoAnswer:
        """The answer to a decoded body at `now_ms`, which is the time of the latest block."""
        kind = body.get("type") if isinstance(body, dict) else None
        entry = self._table.get(kind) if isinstance(kind, str) else None
        if entry is None:
            return InfoAnswer(422, UNPROCESSABLE, 0)
        shape, function = entry
        try:
            request = msgspec.convert(body, type=shape)
        except msgspec.ValidationError:
            return InfoAnswer(422, UNPROCESSABLE, 0)
        try:
            data = function(request, now_ms)
        except _Absent as absent:
            return InfoAnswer(absent.status, b"null", 0)
        return InfoAnswer(200, msgspec.json.encode(data), len(data) if isinstance(data, list) else 0)

    # The table.

    def _market_table(self) -> dict[str, tuple[type[msgspec.Struct], Callable[[Any, int], object]]]:
        return {
            "meta": (req.OfDex, self._meta_of),
            "marginTable": (req.OfTable, self._margin_table),
            "allPerpMetas": (req.Nothing, lambda request, now_ms: [self._meta]),
            "spotMeta": (req.Nothing, lambda request, now_ms: self._spot_meta),
            "metaAndAssetCtxs": (req.OfDex, self._meta_and_contexts),
            "spotMetaAndAssetCtxs": (req.Nothing, self._spot_meta_and_contexts),
            "allMids": (req.OfDex, self._mids),
            "l2Book": (req.BookRequest, self._book),
            "recentTrades": (req.OfCoin, self._recent_trades),
            "candleSnapshot": (req.CandleRequest, self._candles),
            "fundingHistory": (req.CoinRange, self._funding_history),
            "predictedFundings": (req.Nothing, lambda request, now_ms: self.markets.predicted(now_ms)),
            "perpDexs": (req.Nothing, lambda request, now_ms: [None]),
            "perpsAtOpenInterestCap": (req.OfDex, lambda request, now_ms: []),
            "exchangeStatus": (req.Nothing, lambda request, now_ms: {"time": now_ms, "specialStatuses": None}),
            "maxMarketOrderNtls": (req.Nothing, self._largest_orders),
        }

    def _account_table(self) -> dict[str, tuple[type[msgspec.Struct], Callable[[Any, int], object]]]:
        accounts = self.accounts
        return {
            "clearinghouseState": (req.OfUser, accounts.clearinghouse_state),
            "spotClearinghouseState": (req.OfUser, accounts.spot_state),
            "activeAssetData": (req.OfUserCoin, accounts.active_asset_data),
            "openOrders": (req.OfUser, accounts.open_orders),
            "frontendOpenOrders": (req.OfUser, accounts.frontend_open_orders),
            "orderStatus": (req.StatusRequest, accounts.order_status),
            "historicalOrders": (req.OfUser, accounts.historical_orders),
            "userFills": (req.FillsRequest, accounts.user_fills),
            "userFillsByTime": (req.FillsRange, accounts.user_fills_by_time),
            "userTwapSliceFills": (req.OfUser, accounts.twap_slice_fills),
            "userTwapSliceFillsByTime": (req.UserRange, accounts.twap_slice_fills_by_time),
            "twapHistory": (req.OfUser, accounts.twap_history),
            "userFunding": (req.UserRange, accounts.user_funding),
            "userNonFundingLedgerUpdates": (req.UserRange, accounts.ledger_updates),
            "userFees": (req.OfUser, accounts.user_fees),
            "userRateLimit": (req.OfUser, accounts.rate_limit),
            "extraAgents": (req.OfUser, accounts.extra_agents),
            "userRole": (req.OfUser, accounts.user_role),
            "subAccounts": (req.OfUser, accounts.sub_accounts),
            "maxBuilderFee": (req.BuilderRequest, accounts.builder_fee),
            "userAbstraction": (req.OfUser, accounts.abstraction),
            "portfolio": (req.OfUser, accounts.portfolio),
        }

    def _empty_table(self) -> dict[str, tuple[type[msgspec.Struct], Callable[[Any, int], object]]]:
        """What this exchange does not have: staking, vaults, referrals, multi-sig, auctions, dexs of builders."""
        return {
            "userVaultEquities": (req.OfUser, lambda request, now_ms: []),
            "delegatorSummary": (req.OfUser, lambda request, now_ms: _DELEGATOR),
            "delegations": (req.OfUser, lambda request, now_ms: []),
            "delegatorRewards": (req.OfUser, lambda request, now_ms: []),
            "delegatorHistory": (req.OfUser, lambda request, now_ms: []),
            "referral": (req.OfUser, lambda request, now_ms: _REFERRAL),
            "userToMultiSigSigners": (req.OfUser, lambda request, now_ms: None),
            "userDexAbstraction": (req.OfUser, lambda request, now_ms: None),
            "perpDeployAuctionStatus": (req.Nothing, lambda request, now_ms: _AUCTION),
            "spotPairDeployAuctionStatus": (req.Nothing, lambda request, now_ms: _AUCTION),
            "perpDexLimits": (req.OfDex, lambda request, now_ms: None),
            "perpDexStatus": (req.OfDex, lambda request, now_ms: {"totalNetDeposit": "0.0"}),
            "vaultDetails": (req.Nothing, lambda request, now_ms: None),
            "vaultSummaries": (req.Nothing, lambda request, now_ms: []),
            "leadingVaults": (req.OfUser, lambda request, now_ms: []),
            "isVip": (req.OfUser, lambda request, now_ms: False),
            "legalCheck": (req.OfUser, lambda request, now_ms: _LEGAL),
            "liquidatable": (req.Nothing, lambda request, now_ms: []),
            "gossipRootIps": (req.Nothing, lambda request, now_ms: []),
            "gossipPriorityAuctionStatus": (req.Nothing, lambda request, now_ms: [[None, None], []]),
        }

    # Markets.

    def row(self, coin: str, *, of_a_book: bool = False) -> int:
        """The kernel's row of a coin."""
        row = self.listing.row_of(coin)
        if row is None:
            settings = self.settings
            raise _Absent(settings.unknown_coin_of_a_book_status if of_a_book else settings.unknown_coin_status)
        return row

    def _check_dex(self, request: req.OfDex) -> None:
        if request.dex:
            raise _Absent(self.settings.unknown_dex_status)

    def _meta_of(self, request: req.OfDex, now_ms: int) -> object:
        self._check_dex(request)
        return self._meta

    def _margin_table(self, request: req.OfTable, now_ms: int) -> object:
        """An entry of `marginTables`, or the flat table that a number below 50 stands for (section 3.1)."""
        found = margin_table(self.listing, request.id)
        if found is None:
            raise _Absent(self.settings.unknown_table_status)
        return found

    def _meta_and_contexts(self, request: req.OfDex, now_ms: int) -> object:
        self._check_dex(request)
        return [self._meta, self.markets.contexts(now_ms)]

    def _spot_meta_and_contexts(self, request: req.Nothing, now_ms: int) -> object:
        return [self._spot_meta, [self.markets.spot_context(row, now_ms) for row in self.listing.spots]]

    def _mids(self, request: req.OfDex, now_ms: int) -> object:
        self._check_dex(request)
        return self.markets.mids()

    def _book(self, request: req.BookRequest, now_ms: int) -> object:
        figures, mantissa = request.n_sig_figs or 0, request.mantissa or 0
        if request.mantissa is not None and (figures != 5 or mantissa not in (2, 5)):
            raise _Absent(500)  # venue reference section 1: 500 for some invalid combinations
        row = self.row(request.coin, of_a_book=True)
        return self.markets.book(row, now_ms, figures=figures, mantissa=mantissa or 1)

    def _recent_trades(self, request: req.OfCoin, now_ms: int) -> object:
        row = self.row(request.coin)
        return [trade.json() for trade in reversed(self.records.markets[row].trades)]

    def _candles(self, request: req.CandleRequest, now_ms: int) -> object:
        wanted = request.req
        row = self.row(wanted.coin)
        if wanted.interval not in INTERVAL_MS:
            raise _Absent(500)
        end_ms = req.TIME_END_MS if wanted.end_time is None else wanted.end_time
        return self.records.markets[row].candles.between(wanted.interval, wanted.start_time, end_ms)

    def _funding_history(self, request: req.CoinRange, now_ms: int) -> object:
        row = self.row(request.coin)
        end_ms = req.TIME_END_MS if request.end_time is None else request.end_time
        return self.markets.rates(row, request.start_time, end_ms, RANGE_MAX)

    def _largest_orders(self, request: req.Nothing, now_ms: int) -> object:
        """[least maximum leverage, largest market order in USDC], the highest leverage first (shape unverified)."""
        rules = self.chain.exchange.rules[0]
        return [
            [leverage, answer_number(int(rules[f"value_max_leverage_{leverage}_micro"]), 6)]
            for leverage in (25, 20, 10, 1)
        ]
