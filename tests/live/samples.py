"""A status with everything in it, as an engine that quotes two markets gives it."""

from __future__ import annotations

from hlhft.live.view import (
    BreakerView,
    BudgetView,
    ConnectionView,
    Cover,
    Equity,
    Happening,
    Latency,
    MarketView,
    PolicyView,
    Profit,
    Quote,
    Status,
)

NOW_NS = 1_790_000_000_000_000_000
SECOND_NS = 1_000_000_000


def market(name: str, bid: str, ask: str, **changes: object) -> MarketView:
    values: dict[str, object] = {
        "name": name,
        "is_fresh": True,
        "age_ms": 180.0,
        "bid": bid,
        "bid_size": "1.25",
        "ask": ask,
        "ask_size": "0.75",
        "quotes": [
            Quote(side=1, price=bid, size="0.05"),
            Quote(side=-1, price=ask, size="0.04", state="cancel_sent"),
        ],
        "position": "-0.125",
        "notional_usdc": 8_125.0,
        "notional_usdc_max": 20_000.0,
        "profit_usdc": 1.375,
        "fills": 17,
    }
    return MarketView(**{**values, **changes})  # type: ignore[arg-type]


def full_status(**changes: object) -> Status:
    """Every field has a value."""
    values: dict[str, object] = {
        "version": "0.4.0",
        "session": 12,
        "stage": "quoting",
        "network": "local",
        "base_url": "http://127.0.0.1:3001",
        "account": "0x" + "ab" * 20,
        "strategy": "glft",
        "now_ns": NOW_NS,
        "started_ns": NOW_NS - 75 * SECOND_NS,
        "equity": Equity(
            usdc=100_004.25, start_usdc=100_000.0, peak_usdc=100_010.0, drawdown_share=0.0001, drawdown_share_max=0.03
        ),
        "profit": Profit(total=4.25, spread=6.5, inventory=-1.0, basis=0.25, fees=-1.75, funding=0.25),
        "markets": [
            market(
                "BTC", "64999", "65001", signal_bp=1.25, signal_deviation_bp=0.5,
                policy=PolicyView(gamma=2.0, signal=0.5, spread=1.25, asymmetry=-0.1, left_s=3.5),
            ),
            market(
                "ETH", "3120.5", "3120.6", is_fresh=False, age_ms=4200.0, quotes=[], position="0", notional_usdc=0.0,
                profit_usdc=-0.5, note="its data are old",
            ),
        ],
        "latencies": [
            Latency(name="tick to trade", count=5120, p50_us=96.0, p90_us=140.0, p99_us=420.0, max_us=2100.0),
            Latency(name="order answered", count=310, p50_us=205_000.0, p90_us=390_000.0, p99_us=870_000.0,
                    max_us=910_000.0),
            Latency(name="loop lateness", count=0),
        ],
        "budgets": [
            BudgetView(name="IP weight", used=120, limit=960),
            BudgetView(name="posts in flight", used=77, limit=80),
            BudgetView(name="address actions", used=4_000, limit=10_000),
        ],
        "breakers": [
            BreakerView(name="tick to trade", is_tripped=False, value="0.1 ms", limit="150 ms"),
            BreakerView(name="drawdown", is_tripped=False, value="0.01 %", limit="3 %"),
            BreakerView(name="stale data", is_tripped=True, value="4.2 s", limit="3 s"),
        ],
        "connections": [
            ConnectionView(name="feed", state="live", age_ms=80.0),
            ConnectionView(name="trading 0", state="live", age_ms=400.0, reconnects=1),
            ConnectionView(name="trading 1", state="backing_off", age_ms=1200.0, reconnects=3),
        ],
        "covers": [
            Cover(loss="the engine dies", is_covered=True, by="watchdog on this host"),
            Cover(loss="the host dies", is_covered=False, by="a watchdog on another host, or scheduleCancel"),
        ],
        "counters": {"frames": 91_234, "orders": 5_120, "fills": 17, "rejected post-only": 40},
        "happenings": [
            Happening(at_ns=NOW_NS - 70 * SECOND_NS, text="reconciled: 2 markets, no leftovers"),
            Happening(at_ns=NOW_NS - 4 * SECOND_NS, text="ETH: data are old, quotes pulled", level="warning"),
        ],
    }  # fmt: skip
    return Status(**{**values, **changes})  # type: ignore[arg-type]
