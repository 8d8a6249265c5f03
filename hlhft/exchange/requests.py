"""The bodies of /info, typed: a structure for each shape, unknown fields ignored, wrong types refused.

Source: venue reference section 3 and appendix A. Addresses are read in any case.
"""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct

Address = Annotated[str, Meta(pattern="^0x[0-9a-fA-F]{40}$")]
Coin = Annotated[str, Meta(max_length=64)]
Dex = Annotated[str, Meta(max_length=64)]
Milliseconds = Annotated[int, Meta(ge=0, le=2**53)]
OrderId = Annotated[int, Meta(ge=0, le=2**63 - 1)] | Annotated[str, Meta(pattern="^0x[0-9a-fA-F]{32}$")]


TIME_END_MS = 2**53  # beyond every time


class Nothing(Struct, rename="camel"):
    """A request without parameters."""


class OfDex(Struct, rename="camel"):
    """A request about a dex; "" is the main one."""

    dex: Dex | None = None


class OfCoin(Struct, rename="camel"):
    """A request about a market."""

    coin: Coin


class OfTable(Struct, rename="camel"):
    """marginTable."""

    id: Annotated[int, Meta(ge=0, le=2**31 - 1)]


class BookRequest(Struct, rename="camel"):
    """l2Book."""

    coin: Coin
    n_sig_figs: Annotated[int, Meta(ge=2, le=5)] | None = None
    mantissa: int | None = None


class CandleRange(Struct, rename="camel"):
    """The body inside candleSnapshot."""

    coin: Coin
    interval: Annotated[str, Meta(max_length=4)]
    start_time: Milliseconds
    end_time: Milliseconds | None = None


class CandleRequest(Struct, rename="camel"):
    """candleSnapshot."""

    req: CandleRange


class CoinRange(Struct, rename="camel"):
    """A request about a market and a time range."""

    coin: Coin
    start_time: Milliseconds
    end_time: Milliseconds | None = None


class OfUser(Struct, rename="camel"):
    """A request about an account."""

    user: Address
    dex: Dex | None = None


class OfUserCoin(Struct, rename="camel"):
    """A request about an account and a market."""

    user: Address
    coin: Coin


class UserRange(Struct, rename="camel"):
    """A request about an account and a time range."""

    user: Address
    start_time: Milliseconds = 0
    end_time: Milliseconds | None = None


class FillsRequest(Struct, rename="camel"):
    """userFills."""

    user: Address
    aggregate_by_time: bool | None = None


class FillsRange(Struct, rename="camel"):
    """userFillsByTime."""

    user: Address
    start_time: Milliseconds
    end_time: Milliseconds | None = None
    aggregate_by_time: bool | None = None
    reversed: bool | None = None


class StatusRequest(Struct, rename="camel"):
    """orderStatus."""

    user: Address
    oid: OrderId


class BuilderRequest(Struct, rename="camel"):
    """maxBuilderFee."""

    user: Address
    builder: Address
