"""The answers of /info about an account (venue reference section 3.2).

An address that is no account of this exchange, an agent's too, gets the empty answer of its kind, not an error.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice

import msgspec

from hlhft.exchange import requests as req
from hlhft.exchange.account_text import AccountView, usd
from hlhft.exchange.directory import Agent, Directory
from hlhft.exchange.fee_text import user_fees
from hlhft.exchange.fill_records import FillRecord, trade_id_shown
from hlhft.exchange.ledger_records import UNITS_DECIMALS
from hlhft.exchange.memory import AccountRecords
from hlhft.exchange.order_records import OrderRecord
from hlhft.exchange.records import Records
from hlhft.hyperliquid.wire import answer_number
from hlhft.venue.chain_state import Chain
from hlhft.venue.spot import balance_units, held_units

FILLS_MAX = 2000  # in one answer; venue reference section 3.2
LEVERAGE_AT_FIRST = 20  # of an account that set none, or the market's maximum (unverified)
RANGE_MAX = 500  # elements of a time range; section 3
PORTFOLIO_PERIODS = ("day", "week", "month", "allTime", "perpDay", "perpWeek", "perpMonth", "perpAllTime")

_ZEROS = {"accountValue": "0.0", "totalNtlPos": "0.0", "totalRawUsd": "0.0", "totalMarginUsed": "0.0"}


class AccountAnswers:
    """Answers about accounts, each from what the chain and the records have now."""

    def __init__(self, chain: Chain, records: Records, directory: Directory) -> None:
        self.chain = chain
        self.records = records
        self.directory = directory

    def account(self, address: str) -> int | None:
        """The account of an address in any case; None when it is none."""
        return self.directory.account_of(address.lower())

    def _records(self, address: str) -> AccountRecords:
        account = self.account(address)
        return self.records.account(-1 if account is None else account)

    # Positions and balances.

    def clearinghouse_state(self, request: req.OfUser, now_ms: int) -> object:
        """clearinghouseState. A dex that does not exist here is empty."""
        account = self.account(request.user)
        if account is None or request.dex:
            return {
                "marginSummary": _ZEROS,
                "crossMarginSummary": _ZEROS,
                "crossMaintenanceMarginUsed": "0.0",
                "withdrawable": "0.0",
                "assetPositions": [],
                "time": now_ms,
            }
        return AccountView(self.chain, self.records, account).state(now_ms)

    def spot_state(self, request: req.OfUser, now_ms: int) -> object:
        """spotClearinghouseState."""
        account = self.account(request.user)
        return {"balances": [] if account is None else self.balances(account)}

    def balances(self, account: int) -> list[dict[str, object]]:
        """The spot balances of an account, those it never had left out; token 0 is USDC."""
        exchange = self.chain.exchange
        shown = []
        for token in self.records.listing.tokens[: exchange.tokens.shape[1]]:
            total = int(balance_units(exchange, account, token.index))
            held = int(held_units(exchange, account, token.index))
            if total == 0 and held == 0:
                continue
            shown.append(
                {
                    "coin": token.name,
                    "token": token.index,
                    "total": answer_number(total, UNITS_DECIMALS),
                    "hold": answer_number(held, UNITS_DECIMALS),
                    "entryNtl": self._entry_notional(account, token.index),
                }
            )
        return shown

    def _entry_notional(self, account: int, token: int) -> str:
        """What the account paid for a token, by the records of the pair that trades it; "0.0" for USDC."""
        listing = self.records.listing
        for row in listing.spots:
            listed = listing.markets[row]
            entry = self.records.account(account).entries.get(row)
            if listed.base_token == token and entry is not None:
                return answer_number(entry.basis_quanta, listed.quanta_decimals)
        return "0.0"

    def active_asset_data(self, request: req.OfUserCoin, now_ms: int) -> object:
        """activeAssetData; null for a market that is not listed."""
        account, row = self.account(request.user), self.records.listing.row_of(request.coin)
        if row is None:
            return None
        if account is None:
            market = self.records.listing.markets[row].market
            return {
                "user": request.user.lower(),
                "coin": market.name,
                "leverage": {"type": "cross", "value": min(LEVERAGE_AT_FIRST, market.maximum_leverage)},
                "maxTradeSzs": ["0.0", "0.0"],
                "availableToTrade": ["0.0", "0.0"],
                "markPx": answer_number(int(self.chain.exchange.marks[row]), market.price_decimals),
            }
        return AccountView(self.chain, self.records, account).active_asset(row, request.user.lower())

    def web_data(self, request: req.OfUser, now_ms: int) -> dict[str, object]:
        """The data of the channel webData3."""
        account = self.account(request.user)
        deposits = 0 if account is None else self.records.account(account).deposited_micro
        unnamed = next((agent for agent in self._agents(request.user, now_ms) if not agent.name), None)
        state = {
            "agentAddress": None if unnamed is None else unnamed.address,
            "agentValidUntil": None if unnamed is None else unnamed.valid_until_ms,
            "cumLedger": usd(deposits),
            "serverTime": now_ms,
            "isVault": False,
            "user": request.user.lower(),
            "abstraction": self.abstraction(request, now_ms),
        }
        return {"userState": state, "perpDexStates": [{"totalVaultEquity": "0.0"}]}

    def portfolio(self, request: req.OfUser, now_ms: int) -> object:
        """portfolio: the account's value now, in every period, and what it traded; earlier values are not kept."""
        account = self.account(request.user)
        value, volume = "0.0", 0
        if account is not None:
            view = AccountView(self.chain, self.records, account)
            held = [row for row in self.records.listing.perpetuals if view.lots(row) and view.is_isolated(row)]
            value = usd(view.cross_equity + sum(view.isolated_equity(row) for row in held))
            volume = self._records(request.user).volumes.total_micro
        history = {"accountValueHistory": [[now_ms, value]], "pnlHistory": [[now_ms, "0.0"]], "vlm": usd(volume)}
        return [[period, history] for period in PORTFOLIO_PERIODS]

    # Orders.

    def _open(self, request: req.OfUser) -> list[OrderRecord]:
        """Open orders, the youngest first."""
        if request.dex:
            return []
        found = [order for order in self._records(request.user).open.values() if order.status == "open"]
        return found[::-1]

    def open_orders(self, request: req.OfUser, now_ms: int) -> object:
        """openOrders."""
        return [order.basic(order.lots) for order in self._open(request)]

    def frontend_open_orders(self, request: req.OfUser, now_ms: int) -> object:
        """frontendOpenOrders."""
        return [order.frontend(order.lots) for order in self._open(request)]

    def order_status(self, request: req.StatusRequest, now_ms: int) -> object:
        """orderStatus, by the venue's id or the client's."""
        account = self.account(request.user)
        order = None
        if account is not None and isinstance(request.oid, str):
            client_id = self.directory.client_id_of(account, int(request.oid, 16))
            order = self.records.order_by_client_id(account, client_id)
        elif account is not None and isinstance(request.oid, int):
            order = self.records.order(account, request.oid)
        if order is None:
            return {"status": "unknownOid"}
        shown = {"order": order.frontend(order.lots), "status": order.status, "statusTimestamp": order.status_ms}
        return {"status": "order", "order": shown}

    def historical_orders(self, request: req.OfUser, now_ms: int) -> object:
        """historicalOrders: one entry a status reached, the youngest first."""
        return [update.frontend() for update in reversed(self._records(request.user).statuses)]

    # Fills.

    def user_fills(self, request: req.FillsRequest, now_ms: int) -> object:
        """userFills: the youngest, youngest first."""
        newest = list(islice(reversed(self._records(request.user).fills), FILLS_MAX))
        return merged(newest) if request.aggregate_by_time else [fill.json() for fill in newest]

    def user_fills_by_time(self, request: req.FillsRange, now_ms: int) -> object:
        """userFillsByTime: ascending from the start, or the youngest first when `reversed`."""
        end_ms = _end(request.end_time)
        found = [fill for fill in self._records(request.user).fills if request.start_time <= fill.time_ms <= end_ms]
        if request.reversed:
            found.reverse()
        chosen = found[:FILLS_MAX]
        return merged(chosen) if request.aggregate_by_time else [fill.json() for fill in chosen]

    def twap_slice_fills(self, request: req.OfUser, now_ms: int) -> object:
        """userTwapSliceFills: the youngest, youngest first."""
        slices = (fill for fill in reversed(self._records(request.user).fills) if fill.twap_id is not None)
        return [{"fill": fill.json(), "twapId": fill.twap_id} for fill in islice(slices, FILLS_MAX)]

    def twap_slice_fills_by_time(self, request: req.UserRange, now_ms: int) -> object:
        """userTwapSliceFillsByTime: ascending from the start."""
        end_ms = _end(request.end_time)
        fills = self._records(request.user).fills
        found = (fill for fill in fills if fill.twap_id is not None and request.start_time <= fill.time_ms <= end_ms)
        return [{"fill": fill.json(), "twapId": fill.twap_id} for fill in islice(found, FILLS_MAX)]

    def twap_history(self, request: req.OfUser, now_ms: int) -> object:
        """twapHistory: the youngest first."""
        return [status.history() for status in reversed(self._records(request.user).twaps)]

    def twap_states(self, request: req.OfUser) -> list[object]:
        """The TWAPs that run, as [id, state], the oldest first."""
        running = {} if request.dex else self._records(request.user).latest_twaps
        return [[twap_id, status.running()] for twap_id, status in sorted(running.items())]

    # Money.

    def user_funding(self, request: req.UserRange, now_ms: int) -> object:
        """userFunding: ascending from the start."""
        end_ms = _end(request.end_time)
        payments = self._records(request.user).fundings
        found = (payment for payment in payments if request.start_time <= payment.time_ms <= end_ms)
        return [payment.delta() for payment in islice(found, RANGE_MAX)]

    def ledger_updates(self, request: req.UserRange, now_ms: int) -> object:
        """userNonFundingLedgerUpdates: ascending from the start."""
        end_ms = _end(request.end_time)
        updates = self._records(request.user).ledger
        found = (update for update in updates if request.start_time <= update.time_ms <= end_ms)
        return [update.shape() for update in islice(found, RANGE_MAX)]

    def user_fees(self, request: req.OfUser, now_ms: int) -> object:
        """userFees, with the rates of the account's first market, which are those of all perpetuals."""
        account = self.account(request.user)
        holdings = self.chain.exchange.holdings
        if account is None:
            first = self.chain.exchange.markets[0]
        else:
            first = holdings[account][0]
        return user_fees(
            self.records,
            self._records(request.user),
            taker_rate_e9=int(first["taker_rate_e9"]),
            maker_rate_e9=int(first["maker_rate_e9"]),
            now_ms=now_ms,
        )

    def rate_limit(self, request: req.OfUser, now_ms: int) -> object:
        """userRateLimit."""
        account = self.account(request.user)
        if account is None:
            return {"cumVlm": "0.0", "nRequestsUsed": 0, "nRequestsCap": 10_000, "nRequestsSurplus": 0}
        budget = self.directory.budget_of(account)
        return {
            "cumVlm": usd(budget.volume_micro),
            "nRequestsUsed": budget.used,
            "nRequestsCap": budget.allowed,
            "nRequestsSurplus": budget.surplus,
        }

    # Who is who.

    def extra_agents(self, request: req.OfUser, now_ms: int) -> object:
        """extraAgents: those with a name; the unnamed one is told by webData3."""
        return [
            {"name": agent.name, "address": agent.address, "validUntil": agent.valid_until_ms}
            for agent in self._agents(request.user, now_ms)
            if agent.name
        ]

    def _agents(self, address: str, now_ms: int) -> list[Agent]:
        account = self.account(address)
        return [] if account is None else self.directory.agents_of(account, now_ms)

    def user_role(self, request: req.OfUser, now_ms: int) -> object:
        """userRole."""
        role, of = self.directory.role_of(request.user.lower())
        if role == "agent":
            return {"role": role, "data": {"user": of}}
        return {"role": role, "data": {"master": of}} if role == "subAccount" else {"role": role}

    def sub_accounts(self, request: req.OfUser, now_ms: int) -> object:
        """subAccounts; null without any."""
        account = self.account(request.user)
        if account is None:
            return None
        return [
            {
                "name": sub.name,
                "subAccountUser": sub.address,
                "master": request.user.lower(),
                "clearinghouseState": AccountView(self.chain, self.records, sub.account).state(now_ms),
                "spotState": {"balances": self.balances(sub.account)},
            }
            for sub in self.directory.sub_accounts_of(account)
        ] or None

    def builder_fee(self, request: req.BuilderRequest, now_ms: int) -> object:
        """maxBuilderFee in tenths of a basis point."""
        account = self.account(request.user)
        return 0 if account is None else self.directory.builder_rate_of(account, request.builder.lower())

    def abstraction(self, request: req.OfUser, now_ms: int) -> object:
        """userAbstraction."""
        account = self.account(request.user)
        return "default" if account is None else self.directory.abstraction_of(account)


def _end(end_ms: int | None) -> int:
    return req.TIME_END_MS if end_ms is None else end_ms


def merged(fills: Sequence[FillRecord]) -> list[msgspec.Raw | dict[str, object]]:
    """Fills with those of one order in one block put together: sizes, fees and profits added, the price their average
    cut off at the market's decimals, the rest of the first (which one the venue shows is unverified)."""
    groups: list[list[FillRecord]] = []
    for fill in fills:
        if groups and groups[-1][0].oid == fill.oid and groups[-1][0].time_ms == fill.time_ms:
            groups[-1].append(fill)
        else:
            groups.append([fill])
    shown: list[msgspec.Raw | dict[str, object]] = []
    for group in groups:
        first = group[0]
        if len(group) == 1:
            shown.append(first.json())
            continue
        market = first.listed.market
        lots = sum(fill.lots for fill in group)
        average = sum(fill.ticks * fill.lots for fill in group) // lots
        earliest = min(group, key=lambda fill: fill.trade_id)
        shape = earliest.shape()
        shape["px"] = answer_number(average, market.price_decimals)
        shape["sz"] = answer_number(lots, market.size_decimals)
        shape["closedPnl"] = answer_number(sum(fill.closed_quanta for fill in group), first.listed.quanta_decimals)
        shape["fee"] = usd(sum(fill.fee_micro for fill in group))
        shape["tid"] = trade_id_shown(earliest.trade_id)
        builder = sum(fill.builder_fee_micro for fill in group)
        if builder:
            shape["builderFee"] = usd(builder)
        shown.append(shape)
    return shown
