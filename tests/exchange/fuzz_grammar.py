"""What the fuzz sends: valid requests of every kind, and what becomes of them when they are bent.

Everything is drawn from one `random.Random`, so that a seed tells all. A sentence of the grammar is an `Input`: which
door it is for and its bytes. Most are well-formed, since what is refused at the door tests only the door.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass
from typing import Any, NamedTuple

from hlhft.exchange.actions import hashed
from hlhft.hyperliquid.signing import Signer, SigningError, action_hash, l1_digest, user_signed_digest
from tests.exchange.clients import CHAIN

ZERO_ADDRESS = "0x" + "0" * 40
STRANGER = "0x" + "ee" * 20
COINS = ("BTC", "ETH", "ILL", "PURR/USDC")
PRICES = (110_000.0, 4_000.0, 12.0, 0.25)
ASSETS = (0, 1, 2, 10_000)
SIZES = ((1_000, 3), (50, 2), (2, 1), (0.05, 0))  # a whole number divided by the first, at so many decimals
INTERVALS = ("1m", "3m", "5m", "15m", "30m", "1h", "2h", "4h", "8h", "12h", "1d", "3d", "1w", "1M")
DAY_MS = 86_400_000
TOKENS = ("PURR",)
CLOIDS = 40  # few, so that they meet again

INFO_OF_USER = (
    "clearinghouseState",
    "spotClearinghouseState",
    "openOrders",
    "frontendOpenOrders",
    "userFills",
    "userFees",
    "userRateLimit",
    "userRole",
    "extraAgents",
    "historicalOrders",
    "portfolio",
    "userTwapSliceFills",
    "twapHistory",
    "userVaultEquities",
    "referral",
    "subAccounts",
    "userToMultiSigSigners",
    "userDexAbstraction",
    "userAbstraction",
    "delegatorSummary",
    "delegations",
    "delegatorRewards",
    "delegatorHistory",
)
INFO_PLAIN = (
    "meta",
    "allPerpMetas",
    "spotMeta",
    "metaAndAssetCtxs",
    "spotMetaAndAssetCtxs",
    "allMids",
    "perpDexs",
    "exchangeStatus",
    "perpsAtOpenInterestCap",
    "predictedFundings",
    "maxMarketOrderNtls",
    "perpDeployAuctionStatus",
    "vaultSummaries",
    "liquidatable",
)
CHANNELS_OF_USER = (
    "userEvents",
    "userFills",
    "orderUpdates",
    "userFundings",
    "userNonFundingLedgerUpdates",
    "notification",
    "webData2",
    "webData3",
    "openOrders",
    "clearinghouseState",
    "spotState",
    "twapStates",
    "userHistoricalOrders",
    "userTwapSliceFills",
    "userTwapHistory",
    "allDexsClearinghouseState",
)

# Values that have broken decoders before.
ODD: tuple[Any, ...] = (
    None,
    True,
    False,
    0,
    -1,
    1,
    2**31,
    2**32 - 1,
    2**53 + 1,
    2**63 - 1,
    2**63,
    2**64,
    10**30,
    -(2**63),
    1.5,
    -0.0,
    1e308,
    float("nan"),
    float("inf"),
    "",
    "0",
    "-0",
    "-1",
    "00",
    "1.",
    ".5",
    "1e5",
    "+1",
    " 1",
    "NaN",
    "Infinity",
    "1" * 31,
    "0." + "0" * 29 + "1",
    "9" * 30,
    "0x",
    ZERO_ADDRESS,
    "0x" + "F" * 40,
    "0x" + "f" * 32,
    "\u0661\u0662",
    "\x00",
    "\U0001f600",
    "\ud800",
    "x" * 5_000,
    [],
    {},
    [[]],
    [None] * 300,
    {"": {}},
)


class Input(NamedTuple):
    """One thing that is sent: `door` is "info", "exchange" or "frame"."""

    door: str
    body: bytes


@dataclass(slots=True)
class Person:
    """Somebody who signs: for `account`, or with `vault` for another."""

    signer: Signer
    nonce: int


class Grammar:
    """Draws inputs. `oids` and `addresses` are what exists at the exchange, told by the caller as it comes."""

    def __init__(self, draw: random.Random, *, people: int, now_ms: int) -> None:
        self.draw = draw
        self.now_ms = now_ms
        self.people = [Person(Signer(bytes([number + 1]) * 32), now_ms) for number in range(people)]
        self.oids = [1]
        self.twaps = [1]
        self.addresses = [person.signer.address for person in self.people]
        self.sub_accounts: list[str] = []
        self._old: list[bytes] = []
        self._actions: tuple[Callable[[], dict[str, Any]], ...] = (
            *(self.order_action,) * 8,
            *(self.cancel_action,) * 3,
            *(self.modify_action,) * 3,
            self.schedule_action,
            self.twap_action,
            self.account_action,
            self.account_action,
            self.money_action,
            self.money_action,
            self.user_signed_action,
            self.user_signed_action,
        )

    # Words.

    def pick(self, *choices: Any) -> Any:
        """One of them."""
        return self.draw.choice(choices)

    def chance(self, percent: float) -> bool:
        """True this often."""
        return self.draw.random() * 100 < percent

    def asset(self) -> int:
        """An asset, seldom one that there is not."""
        return int(self.pick(0, 1, 1, 1, 2, 10_000) if not self.chance(2) else self.pick(3, 10_001, 110_000, 2**32 - 1))

    def price(self, asset: int) -> str:
        """A price near the market's, mostly on its grid."""
        price = PRICES[place(asset)] * (1 + self.draw.randrange(-30, 31) / 1_000)
        return f"{price:.6f}" if self.chance(4) else f"{price:.4g}" if price < 1_000 else str(round(price))

    def size(self, asset: int) -> str:
        """A size, seldom a huge or a tiny one."""
        if self.chance(4):
            return str(self.pick("0", "0.00001", "100000", "0.000000001", "1000000000000"))
        divisor, decimals = SIZES[place(asset)]
        return f"{self.draw.randrange(1, 200) / divisor:.{decimals}f}"

    def cloid(self) -> str:
        """One of a few client order ids."""
        return f"0x{self.draw.randrange(CLOIDS):032x}"

    def oid(self) -> int:
        """An order that may be there."""
        return int(self.draw.choice(self.oids[-60:]))

    def user(self) -> str:
        """An address, mostly of somebody who has an account."""
        return str(self.draw.choice(self.addresses)) if not self.chance(5) else self.pick(STRANGER, ZERO_ADDRESS)

    def coin(self) -> str:
        """A coin, seldom an unknown one."""
        return str(self.draw.choice(COINS)) if not self.chance(4) else str(self.pick("DOGE", "", "@1", "xyz:X", "btc"))

    def amount(self) -> str:
        """USDC as text."""
        return str(self.pick("1", "10.5", "0.000001", "1000", "100000000", "0", "-1"))

    # Orders.

    def one_order(self) -> dict[str, Any]:
        """An order of any kind."""
        asset = self.asset()
        kind: dict[str, Any] = {"limit": {"tif": self.pick("Alo", "Alo", "Gtc", "Ioc", "FrontendMarket")}}
        if self.chance(15):
            kind = {
                "trigger": {"isMarket": self.chance(50), "triggerPx": self.price(asset), "tpsl": self.pick("tp", "sl")}
            }
        made = {
            "a": asset,
            "b": self.chance(50),
            "p": self.price(asset),
            "s": self.size(asset),
            "r": self.chance(10),
            "t": kind,
        }
        return {**made, "c": self.cloid()} if self.chance(30) else made

    def order_action(self) -> dict[str, Any]:
        """One or several orders."""
        count = 1 if self.chance(70) else self.draw.randrange(0, 6) if self.chance(97) else self.pick(200, 201)
        grouping: Any = "na"
        if self.chance(12):
            grouping = self.pick("normalTpsl", "positionTpsl", {"p": self.draw.randrange(2_000)})
        made = {"type": "order", "orders": [self.one_order() for _ in range(count)], "grouping": grouping}
        if self.chance(5):
            made["builder"] = {"b": self.user(), "f": self.draw.randrange(120)}
        return made

    def cancel_action(self) -> dict[str, Any]:
        """Cancels by either id."""
        count = self.draw.randrange(1, 4)
        if self.chance(50):
            made: dict[str, Any] = {
                "type": "cancel",
                "cancels": [{"a": self.asset(), "o": self.oid()} for _ in range(count)],
            }
        else:
            cancels = [{"asset": self.asset(), "cloid": self.cloid()} for _ in range(count)]
            made = {"type": "cancelByCloid", "cancels": cancels}
        return {**made, "f": True} if self.chance(30) else made

    def modify_action(self) -> dict[str, Any]:
        """One or several modifications."""

        def target() -> Any:
            return self.oid() if self.chance(70) else self.cloid()

        if self.chance(40):
            made: dict[str, Any] = {"type": "modify", "oid": target(), "order": self.one_order()}
        else:
            modifies = [{"oid": target(), "order": self.one_order()} for _ in range(self.draw.randrange(1, 4))]
            made = {"type": "batchModify", "modifies": modifies}
        return {**made, "a": True} if self.chance(20) else made

    def schedule_action(self) -> dict[str, Any]:
        """A scheduled cancel, or a noop."""
        if self.chance(30):
            return {"type": "noop"}
        made: dict[str, Any] = {"type": "scheduleCancel"}
        return {**made, "time": self.now_ms + self.draw.randrange(-1_000, 20_000)} if self.chance(80) else made

    def twap_action(self) -> dict[str, Any]:
        """A TWAP begins or ends."""
        asset = self.asset()
        if self.chance(30):
            return {"type": "twapCancel", "a": asset, "t": int(self.draw.choice(self.twaps[-10:]))}
        twap = {
            "a": asset,
            "b": self.chance(50),
            "s": self.size(asset),
            "r": self.chance(20),
            "m": self.draw.choice((1, 5, 30, 1440, 100_000)),
            "t": self.chance(50),
        }
        return {"type": "twapOrder", "twap": twap}

    # The account.

    def account_action(self) -> dict[str, Any]:
        """Leverage, margin, sub-accounts and what is nothing here."""
        asset = self.asset()
        leverage = self.draw.choice((0, 1, 3, 10, 25, 40, 1000))
        return dict(
            self.pick(
                {"type": "updateLeverage", "asset": asset, "isCross": self.chance(60), "leverage": leverage},
                {"type": "updateLeverage", "asset": asset, "isCross": self.chance(60), "leverage": leverage},
                {
                    "type": "updateIsolatedMargin",
                    "asset": asset,
                    "isBuy": True,
                    "ntli": self.draw.randrange(-(10**9), 10**9),
                },
                {"type": "topUpIsolatedOnlyMargin", "asset": asset, "leverage": "3"},
                {"type": "createSubAccount", "name": f"sub {self.draw.randrange(20)}"},
                {"type": "reserveRequestWeight", "weight": self.draw.randrange(10_000)},
                {"type": "setReferrer", "code": "FRIEND"},
                {"type": "agentSetAbstraction", "abstraction": self.pick("i", "u", "p")},
                {"type": "agentEnableDexAbstraction"},
                {"type": "gossipPriorityBid", "slotId": 0, "ip": "1.2.3.4", "maxGas": 1},
                {"type": "evmUserModify", "usingBigBlocks": True},
                {"type": "claimRewards"},
            )
        )

    def money_action(self) -> dict[str, Any]:
        """Money between accounts, signed as orders are."""
        sub = self.draw.choice(self.sub_accounts) if self.sub_accounts and self.chance(80) else self.user()
        usd = self.draw.choice((0, 1, 5_000_000, 10**12, 2**62))
        return dict(
            self.pick(
                {"type": "subAccountTransfer", "subAccountUser": sub, "isDeposit": self.chance(60), "usd": usd},
                {
                    "type": "subAccountSpotTransfer",
                    "subAccountUser": sub,
                    "isDeposit": self.chance(60),
                    "token": self.pick("USDC", *TOKENS),
                    "amount": self.amount(),
                },
                {"type": "vaultTransfer", "vaultAddress": self.user(), "isDeposit": True, "usd": usd},
                {
                    "type": "agentSendAsset",
                    "destination": self.user(),
                    "sourceDex": self.pick("", "spot"),
                    "destinationDex": self.pick("", "spot"),
                    "token": "USDC",
                    "amount": self.amount(),
                    "fromSubAccount": "",
                    "nonce": self.now_ms,
                },
            )
        )

    def user_signed_action(self) -> dict[str, Any]:
        """What only the owner of an account signs."""
        time, nonce = {"time": 0}, {"nonce": 0}
        route = {"sourceDex": self.pick("", "spot"), "destinationDex": self.pick("", "spot")}
        token = self.pick("USDC", "USDC:0x6d1e7cde53ba9467b783cb7c530ce054", *TOKENS, "HYPE")
        agent = self.pick(
            STRANGER, ZERO_ADDRESS, f"0x{self.draw.randrange(2**32):040x}", self.people[-1].signer.address
        )
        made = self.pick(
            {"type": "usdSend", "destination": self.user(), "amount": self.amount(), **time},
            {"type": "spotSend", "destination": self.user(), "token": token, "amount": self.amount(), **time},
            {"type": "withdraw3", "destination": self.user(), "amount": self.amount(), **time},
            {"type": "usdClassTransfer", "amount": self.amount(), "toPerp": self.chance(50), **nonce},
            {"type": "usdClassTransfer", "amount": self.amount(), "toPerp": self.chance(50), **nonce},
            {
                "type": "sendAsset",
                "destination": self.user(),
                **route,
                "token": token,
                "amount": self.amount(),
                "fromSubAccount": "",
                **nonce,
            },
            {"type": "approveAgent", "agentAddress": agent, "agentName": self.pick("", "a", "b", "long " * 9), **nonce},
            {
                "type": "approveBuilderFee",
                "maxFeeRate": self.pick("0.01%", "0%", "9%", "x"),
                "builder": self.user(),
                **nonce,
            },
            {"type": "userSetAbstraction", "user": self.user(), "abstraction": "disabled", **nonce},
            {"type": "userDexAbstraction", "user": self.user(), "enabled": True, **nonce},
            {"type": "tokenDelegate", "validator": self.user(), "wei": 1, "isUndelegate": False, **nonce},
        )
        return {**made, **CHAIN}

    # Reading.

    def info_request(self) -> dict[str, Any]:
        """An info request of any kind."""
        user, coin = self.user(), self.coin()
        start = self.now_ms - self.draw.randrange(DAY_MS)
        request = {"coin": coin, "interval": self.draw.choice(INTERVALS), "startTime": start, "endTime": self.now_ms}
        return dict(
            self.pick(
                {"type": self.draw.choice(INFO_OF_USER), "user": user},
                {"type": self.draw.choice(INFO_OF_USER), "user": user, "dex": ""},
                {"type": self.draw.choice(INFO_PLAIN)},
                {"type": "l2Book", "coin": coin},
                {
                    "type": "l2Book",
                    "coin": coin,
                    "nSigFigs": self.draw.randrange(2, 6),
                    "mantissa": self.pick(None, 1, 2, 5),
                },
                {"type": "recentTrades", "coin": coin},
                {"type": "candleSnapshot", "req": request},
                {"type": "fundingHistory", "coin": coin, "startTime": start},
                {"type": "userFunding", "user": user, "startTime": start, "endTime": self.now_ms},
                {"type": "userNonFundingLedgerUpdates", "user": user, "startTime": start, "endTime": None},
                {"type": "userFillsByTime", "user": user, "startTime": start, "aggregateByTime": self.chance(50)},
                {"type": "orderStatus", "user": user, "oid": self.oid() if self.chance(60) else self.cloid()},
                {"type": "activeAssetData", "user": user, "coin": coin},
                {"type": "maxBuilderFee", "user": user, "builder": self.user()},
            )
        )

    def subscription(self) -> dict[str, Any]:
        """A subscription of any kind."""
        user, coin = self.user(), self.coin()
        return dict(
            self.pick(
                {"type": self.draw.choice(CHANNELS_OF_USER), "user": user},
                {"type": self.draw.choice(CHANNELS_OF_USER), "user": user},
                {"type": self.pick("allMids", "fastAssetCtxs", "allDexsAssetCtxs")},
                {"type": self.pick("trades", "bbo", "activeAssetCtx", "l2Book"), "coin": coin},
                {"type": "l2Book", "coin": coin, "nSigFigs": self.pick(None, 2, 5), "mantissa": self.pick(None, 2, 5)},
                {"type": "l2Book", "coin": coin, "fast": True},
                {"type": "candle", "coin": coin, "interval": self.draw.choice(INTERVALS)},
                {"type": "activeAssetData", "user": user, "coin": coin},
            )
        )

    # Sentences.

    def next(self) -> Input:
        """The next input."""
        door = self.pick("info", "exchange", "exchange", "frame")
        if door == "exchange":
            body = self.signed()
        elif door == "info":
            body = self.written(self.info_request())
        else:
            body = self.frame()
        if self.chance(4):
            body = self.torn(body)
        return Input(door, body)

    def written(self, request: dict[str, Any]) -> bytes:
        """The request as bytes, now and then bent."""
        return encoded(self.bent(request) if self.chance(15) else request)

    def frame(self) -> bytes:
        """A message over the socket."""
        method = self.pick("ping", "subscribe", "subscribe", "unsubscribe", "post", "post", "post")
        if method == "ping":
            return self.written({"method": "ping"})
        if method != "post":
            return self.written({"method": method, "subscription": self.subscription()})
        number = self.draw.randrange(1_000)
        if self.chance(50):
            request = {"type": "info", "payload": self.info_request()}
            return self.written({"method": "post", "id": number, "request": request})
        text = self.written({"method": "post", "id": number, "request": {"type": "action", "payload": "HERE"}})
        return text.replace(b'"HERE"', self.signed())

    def signed(self) -> bytes:
        """The body of an action, mostly signed by who may."""
        if self._old and self.chance(2):
            return self.draw.choice(self._old)  # what was sent before, again
        person = self.draw.choice(self.people)
        action = self.draw.choice(self._actions)()
        if self.chance(12):
            action = self.bent(action)
        person.nonce = max(person.nonce + 1, self.now_ms)
        nonce = person.nonce
        if self.chance(2):
            nonce = self.draw.choice((0, nonce - 3 * DAY_MS, nonce + 2 * DAY_MS, 2**63 - 1, nonce - 1))
        for name in ("time", "nonce"):
            if action.get(name) == 0:
                action[name] = nonce
        vault = self.draw.choice(self.sub_accounts) if self.sub_accounts and self.chance(10) else None
        expires = self.now_ms + self.draw.randrange(-5_000, 50_000) if self.chance(10) else None
        if "signatureChainId" in action:
            vault = expires = None
        body = {
            "action": action,
            "nonce": nonce,
            "signature": self.signature(person, action, nonce, vault, expires),
            "vaultAddress": vault,
            "expiresAfter": expires,
        }
        if self.chance(3):
            body = self.bent(body)
        made = encoded(body)
        if len(self._old) < 200:
            self._old.append(made)
        return made

    def signature(
        self, person: Person, action: Any, nonce: int, vault: str | None, expires: int | None
    ) -> dict[str, Any]:
        """A signature over it; over something else where it cannot be hashed, and now and then anyway."""
        digest = bytes(32)
        if not self.chance(2):
            try:
                if "signatureChainId" in action:
                    digest = user_signed_digest(action)
                else:
                    plain = hashed(action)
                    connection_id = action_hash(plain, nonce=nonce, vault_address=vault, expires_after_ms=expires)
                    digest = l1_digest(connection_id, mainnet=False)
            except (SigningError, KeyError, TypeError, ValueError, AttributeError, OverflowError):
                pass  # it is none that can be signed
        return dict(person.signer.sign(digest).wire())

    # Bending.

    def bent(self, value: dict[str, Any]) -> dict[str, Any]:
        """A copy with one to three places changed."""
        copy: dict[str, Any] = deepcopy(value)
        for _ in range(self.draw.randrange(1, 4)):
            self._bend(copy)
        return copy

    def _bend(self, root: Any) -> None:
        """Goes down to some place and changes it."""
        node = root
        while True:
            keys = list(node) if isinstance(node, dict) else list(range(len(node)))
            if not keys:
                return
            key = self.draw.choice(keys)
            if isinstance(node[key], dict | list) and node[key] and self.chance(80):
                node = node[key]
                continue
            break
        change = self.draw.randrange(10)
        if change == 0:
            del node[key]
        elif change == 1 and isinstance(node, dict):
            node[self.pick("extra", "", "type", "__class__", "x" * 300)] = deepcopy(self.draw.choice(ODD))
        elif change == 2 and isinstance(node, list):
            node.extend(deepcopy(node[key]) for _ in range(self.draw.choice((1, 3, 250))))
        elif change == 3:
            deep: Any = node[key]
            for _ in range(self.draw.choice((3, 60))):
                deep = [deep] if self.chance(50) else {"a": deep}
            node[key] = deep
        else:
            node[key] = deepcopy(self.draw.choice(ODD))

    def torn(self, body: bytes) -> bytes:
        """The same bytes, hurt."""
        place = self.draw.randrange(len(body)) if body else 0
        kind = self.draw.randrange(8)
        if kind == 0:
            return body[:place]
        if kind == 1:
            return body[:place] + bytes([self.draw.randrange(256)]) + body[place + 1 :]
        if kind == 2:
            return body[:place] + body[place:] * 2
        if kind == 3:
            return b"[" * self.draw.choice((10, 2_000, 100_000)) + body
        if kind == 4:
            return b'{"a":' * self.draw.choice((10, 5_000)) + body
        if kind == 5:
            return b"\xef\xbb\xbf" + body
        if kind == 6:
            return body + b" " * self.draw.choice((1, 200_000)) + b"x" * self.draw.choice((0, 1))
        return bytes(self.draw.randrange(256) for _ in range(self.draw.randrange(60)))


def place(asset: int) -> int:
    """Which price and size an asset has, known or not."""
    return ASSETS.index(asset) if asset in ASSETS else 1


def encoded(value: Any) -> bytes:
    """JSON as a careless client writes it: NaN and lone surrogates included."""
    return json.dumps(value, separators=(",", ":")).encode()
