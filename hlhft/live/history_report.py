"""The venue's own history as results: the same page, table and figures as a backtest and a session have.

What the venue does not say is absent and not guessed: where an order stood in the queue, how long it quoted, what it
refused. A market of which ticks and lots are not known is in the split and not among the figures.
"""

from __future__ import annotations

import importlib.metadata
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from hlhft.backtest.runs import empty_log, empty_records, replace_folder, write_run
from hlhft.core.state import LANE_DTYPE, POSITION_DTYPE
from hlhft.data.catalogue.reading import Catalogue
from hlhft.live.history_files import FOLDER_NAMES, Saved, history_of, save
from hlhft.report.attribution import FILL_KIND, FUNDING_KIND
from hlhft.report.markouts import HORIZONS_NS, markouts
from hlhft.report.metrics import LaneLog, measure
from hlhft.report.results import Results, ScenarioResult
from hlhft.report.venue_checks import MEANING, Findings, check, text
from hlhft.report.venue_mids import recorded_mids, with_mids
from hlhft.report.venue_records import DECIMALS, GRAINS_PER_MICRO, UNIT, History, Mids, PastFill
from hlhft.report.venue_split import Point, Split, split
from hlhft.units import Market

TITLE_CHARACTERS = 10  # of the address
_TAKER, _LIQUIDATED = 4, 5  # hlhft.report.markouts.REASONS; how a maker was reached, the venue does not say
_MICRO_UNITS = UNIT // 10**6


def venue_results(
    history: History, owners: Mapping[int, str] | None = None, *, title: str = "", is_whole: bool = True
) -> Results:
    """The results of an account's past; `owners` names strategies by the owner's number in their client ids.

    `is_whole` says that asking for it was not interrupted. Raises nothing for what does not fit: it is in `past`.
    """
    made = split(history, owners)
    found = check(history, made)
    title = title or f"history of {history.address[:TITLE_CHARACTERS]}…"
    return Results(
        title=title,
        scenarios=(_scenario(history, made),),
        identity={
            "version": importlib.metadata.version("hlhft"),
            "address": history.address,
            "settings": {"strategy": ", ".join(made.by_strategy) or "none", "owners": dict(owners or {})},
        },
        models={},
        snapshots=True,
        interrupted=not is_whole,
        events=len(history.fills) + len(history.fundings) + len(history.flows),
        levels_outside=0,
        is_live=True,
        past=past_of(history, made, found),
    )


def write_past(
    saved: Saved, folder: Path, owners: Mapping[int, str] | None = None, catalogue: Path | None = None
) -> Results:
    """Writes the report of what was told, and what was told, into one folder, and returns the results; mids come from
    `catalogue` where it has any. What was in the folder stays until all is written. Raises HistoryError, RunError,
    DataError and OSError."""
    history = history_of(saved)
    if catalogue is not None:
        history = with_mids(history, recorded_mids(Catalogue(catalogue), history))
    results = venue_results(history, owners, is_whole=saved.manifest.is_whole)

    def write(fresh: Path) -> None:
        write_run(fresh, results)
        save(saved, fresh)

    replace_folder(folder, FOLDER_NAMES, write)
    return results


def past_of(history: History, made: Split, found: Findings) -> dict[str, Any]:
    """What a history rests on and what does not fit, as JSON-ready values; money in exact USDC, sizes in coins."""
    usdc = made.attribution.usdc_text
    return {
        "address": history.address,
        "mids_from": history.mids_from,
        "without_mids": list(made.trading_only),
        "is_checked": bool(made.checked),
        "transfers": usdc(made.flows),
        "checked": [
            {"ts_ns": one.ts_ns, "equity_change": usdc(one.equity_change), "parts": usdc(one.parts),
             "residual": usdc(one.residual)}
            for one in made.checked
        ],
        "positions": {coin: {"start": text(made.starts[coin]), "end": text(made.ends[coin])} for coin in made.starts},
        "findings": [
            {
                "kind": str(one.kind), "meaning": MEANING[one.kind], "sentence": one.sentence, "market": one.coin,
                "ts_ns": one.ts_ns, "tid": one.tid, "size": None if one.size is None else text(one.size),
                "usdc": None if one.grains is None else usdc(one.grains),
            }
            for one in found.kept
        ],
        "findings_left_out": {str(kind): count for kind, count in found.left_out.items()},
    }  # fmt: skip


def _scenario(history: History, made: Split) -> ScenarioResult:
    coins = [coin for coin in made.starts if coin in history.markets]
    log = np.concatenate([empty_log(0), *(_log(history, made, coin, row) for row, coin in enumerate(coins))])
    log = log[np.argsort(log["ts_local_ns"], kind="stable")]
    lane = _lane(history, made, coins, log)
    later = _later_mids(history, coins, log)
    # Without a market of known ticks there is no path to show, and all figures but the split are empty.
    shown = made.attribution if coins else replace(made.attribution, markets=())
    return ScenarioResult(
        name="as the venue booked it",
        maker_rate_e9=_rate_e9(lane, 1),
        taker_rate_e9=_rate_e9(lane, 0),
        lane=lane,
        split=shown,
        metrics=measure(lane, shown),
        markouts=markouts(log, later, lane.value_usdc(log)),
        mid_half_ticks=later,
        by_strategy=made.by_strategy,
    )


def _lane(history: History, made: Split, coins: Sequence[str], log: np.ndarray) -> LaneLog:
    points = [(row, coin, point) for row, coin in enumerate(coins) for point in made.paths[coin]]
    records = empty_records(len(points))
    for place, (row, coin, point) in enumerate(points):
        _record(records[place], history.markets[coin], row, point)
    records = records[np.argsort(records["ts_ns"], kind="stable")]
    positions = np.zeros(len(coins), POSITION_DTYPE)
    for row, coin in enumerate(coins):
        positions[row]["position_lots"] = _lots(history.markets[coin], made.ends[coin])
    times = [point.ts_ns for _, _, point in points] or [0]
    opening = 0 if history.opening is None else history.opening.equity_grains
    came = sum(max(one.amount or 0, 0) for one in history.flows) // _MICRO_UNITS
    return LaneLog(
        markets=[history.markets[coin] for coin in coins],
        log=log,
        records=records,
        lane=np.zeros(1, LANE_DTYPE),
        positions=positions,
        first_ns=min(times),
        last_ns=max(times),
        capital_micro=opening // GRAINS_PER_MICRO or came,
    )


def _record(record: np.void, market: Market, row: int, point: Point) -> None:
    twice = _half_ticks(market, point.mid_double)
    record["ts_ns"], record["market"], record["mark_ticks"] = (
        point.ts_ns,
        row,
        _half_ticks(market, point.mark_double) // 2,
    )
    record["best_bid_ticks"], record["best_ask_ticks"] = twice // 2, twice - twice // 2
    record["position_lots"] = _lots(market, point.position)


def _log(history: History, made: Split, coin: str, row: int) -> np.ndarray:
    """The fills and payments of a market as a replay would have logged them, REPLY_DTYPE."""
    market, fills = history.markets[coin], made.fills.get(coin, ())
    paid = [one for one in history.fundings if one.coin == coin]
    mids = history.mids.get(coin, Mids())
    log = empty_log(len(fills) + len(paid))
    log["market"] = row
    for entry, fill in zip(log, fills, strict=False):
        _log_fill(entry, market, fill, mids)
    for entry, one in zip(log[len(fills) :], paid, strict=True):
        entry["kind"], entry["ts_exch_ns"], entry["ts_local_ns"] = FUNDING_KIND, one.ts_ns, one.ts_ns
        entry["aux0"] = one.amount // _MICRO_UNITS
    return log


def _log_fill(entry: np.void, market: Market, fill: PastFill, mids: Mids) -> None:
    entry["kind"], entry["side"], entry["order_id"] = FILL_KIND, fill.side, fill.oid
    entry["ts_exch_ns"] = entry["ts_local_ns"] = entry["placed_ns"] = fill.ts_ns
    entry["price_ticks"] = _half_ticks(market, 2 * fill.price) // 2
    entry["size_lots"], entry["maker"] = _lots(market, fill.size), not fill.is_taker
    entry["aux1"] = 0 if fill.is_fee_in_coin else fill.fee // _MICRO_UNITS
    entry["mid_half_ticks"] = _half_ticks(market, mids.at(fill.ts_ns))
    entry["reason"] = _LIQUIDATED if fill.is_liquidation else _TAKER if fill.is_taker else 0


def _half_ticks(market: Market, double: int) -> int:
    """Twice a price in 1e-12 as half ticks, to the nearest."""
    unit = 10 ** (DECIMALS - market.price_decimals)
    return (double + unit // 2) // unit


def _lots(market: Market, size: int) -> int:
    """A size in lots, cut toward zero: spot balances hold dust."""
    unit = 10 ** (DECIMALS - market.size_decimals)
    return size // unit if size >= 0 else -(-size // unit)


def _later_mids(history: History, coins: Sequence[str], log: np.ndarray) -> np.ndarray:
    """Twice the mid so long after each entry, int64[F, H]; 0 where the mids are too coarse to say, or at an end."""
    found = np.zeros((len(log), len(HORIZONS_NS)), np.int64)
    for place, entry in enumerate(log):
        mids = history.mids.get(coins[int(entry["market"])], Mids())
        if not mids.ts_ns:
            continue
        market = history.markets[coins[int(entry["market"])]]
        for column, horizon_ns in enumerate(HORIZONS_NS):
            wanted = int(entry["ts_exch_ns"]) + horizon_ns
            if horizon_ns >= history.mids_every_ns and mids.ts_ns[0] <= wanted <= mids.ts_ns[-1]:
                found[place, column] = _half_ticks(market, mids.at(wanted))
    return found


def _rate_e9(lane: LaneLog, maker: int) -> int:
    """The rate of fees in USDC that was paid on average, in 1e-9; 0 without such a fill."""
    fills = lane.fills()
    fills = fills[fills["maker"] == maker]
    value = float(lane.value_usdc(fills).sum())
    return round(float(fills["aux1"].sum()) * 1e3 / value) if value else 0
