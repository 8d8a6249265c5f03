"""A plan and its outcome in words, and as plain values for JSON: pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from hlhft.data.mining.costs import PRICES_OF, Cost, cost_of, size_text
from hlhft.data.mining.keys import FIRST_FILLS_DATE, HOUR_NS, What
from hlhft.data.mining.miner import Report
from hlhft.data.mining.plan import Missing, Plan, Wish

LINES_MAX = 12  # of missing hours, coins or failures; the rest is counted
NAMES_LENGTH_MAX = 200
_SECOND_NS = 1_000_000_000


def costs_of(plan: Plan, usd_per_gb: Decimal | None = None) -> dict[str, Cost]:
    """What the plan costs, by what its objects hold, and in "all"."""
    found = {
        what.value: cost_of((task.listed for task in plan.tasks if task.place.what is what), usd_per_gb)
        for what in What
    }
    found["all"] = cost_of((task.listed for task in plan.tasks), usd_per_gb)
    return found


def plan_lines(wish: Wish, plan: Plan, usd_per_gb: Decimal | None = None) -> list[str]:
    """What would be fetched, what it costs, and what will not be there, one sentence a line."""
    stretch = f"From {wish.first} to {wish.last}"
    if plan.tasks:
        coins = ", ".join(sorted({part.coin for task in plan.tasks for part in task.parts}))
        lines = [f"{stretch}, {_cut(coins, NAMES_LENGTH_MAX)}:"]
        lines += [
            f"  {name:<9} {cost.objects:>7,} objects {size_text(cost.size_bytes):>11}  about {cost.text}"
            for name, cost in costs_of(plan, usd_per_gb).items()
            if cost.objects
        ]
        given = f"${usd_per_gb} a gigabyte, as given" if usd_per_gb is not None else PRICES_OF
        lines.append(f"  ({given}; the bill is AWS's and goes to your account)")
    else:
        lines = [f"{stretch} there is nothing to fetch."]
    if plan.parts_held:
        lines.append(f"In the catalogue already, and not fetched again: {_counted(plan.parts_held, 'part')}.")
    lines += missing_lines(plan.missing)
    if plan.absent:
        lines.append(f"The archive has no books of {', '.join(plan.absent)} in this stretch: left out.")
    if plan.unspecified:
        names = _cut(", ".join(plan.unspecified), NAMES_LENGTH_MAX)
        lines.append(
            f"{len(plan.unspecified)} coins are not in the market specification and left out: {names} (--markets takes "
            "the venue's meta answer)."
        )
    if plan.without_fills is not None:
        first, last = plan.without_fills
        lines.append(
            f"From {first} to {last} there will be BOOKS ONLY: fills are archived since {FIRST_FILLS_DATE}. A backtest "
            "there has no trades and says so."
        )
    return lines


def missing_lines(missing: Sequence[Missing]) -> list[str]:
    """The hours that the archive lacks, joined where they follow one another, at most LINES_MAX lines and the rest."""
    runs = joined(missing)
    if not runs:
        return []
    hours = sum(end - begin for _, _, begin, end in runs) // HOUR_NS
    lines = [f"The archive lacks {_counted(hours, 'hour')} of these, then gaps of the catalogue:"]
    lines += [f"  {kind:<8} {coin:<8} {_time(begin)} to {_time(end)}" for kind, coin, begin, end in runs[:LINES_MAX]]
    if len(runs) > LINES_MAX:
        lines.append(f"  and {len(runs) - LINES_MAX} stretches more (--json names all)")
    return lines


def joined(missing: Iterable[Missing]) -> list[tuple[str, str, int, int]]:
    """(kind, coin, from ns, to ns) of stretches that are missing, neighbours joined, in order."""
    runs: list[tuple[str, str, int, int]] = []
    for kind, coin, begin, end in sorted((one.part.kind, one.part.coin, *one.stretch_ns) for one in missing):
        if runs and runs[-1][:2] == (kind, coin) and runs[-1][3] == begin:
            begin = runs.pop()[2]
        runs.append((kind, coin, begin, end))
    return runs


def plan_plain(wish: Wish, plan: Plan, usd_per_gb: Decimal | None = None) -> dict[str, Any]:
    """The plan as values that JSON has."""
    return {
        "first": wish.first.isoformat(),
        "last": wish.last.isoformat(),
        "coins": sorted({part.coin for task in plan.tasks for part in task.parts}),
        "costs": {
            name: {"objects": cost.objects, "bytes": cost.size_bytes, "usd": float(round(cost.usd, 6))}
            for name, cost in costs_of(plan, usd_per_gb).items()
        },
        "prices": PRICES_OF if usd_per_gb is None else f"{usd_per_gb} USD/GB, as given",
        "parts": sum(len(task.parts) for task in plan.tasks),
        "parts_held": plan.parts_held,
        "missing": [
            {"kind": kind, "coin": coin, "from": _time(begin), "to": _time(end)}
            for kind, coin, begin, end in joined(plan.missing)
        ],
        "absent": list(plan.absent),
        "unspecified": list(plan.unspecified),
        "without_fills": None if plan.without_fills is None else [day.isoformat() for day in plan.without_fills],
    }


def report_lines(report: Report) -> list[str]:
    """What came of it; every failure by name, LINES_MAX of them at most."""
    made = f"{_counted(report.parts, 'part')} with {_counted(report.rows, 'row')}"
    lines = [f"{_counted(report.objects, 'object')} became {made}."]
    if report.counts.get("torn_last_line"):
        lines.append(f"The last line was torn in {_counted(report.counts['torn_last_line'], 'part')} and left out.")
    lines += [f"  {failure}" for failure in report.failures[:LINES_MAX]]
    if len(report.failures) > LINES_MAX:
        lines.append(f"  and {len(report.failures) - LINES_MAX} more (--json names all)")
    return lines


def report_plain(report: Report) -> dict[str, Any]:
    """The outcome as values that JSON has."""
    return {
        "objects": report.objects,
        "parts": report.parts,
        "rows": report.rows,
        "counts": dict(sorted(report.counts.items())),
        "failures": sorted(report.failures),
    }


def _time(time_ns: int) -> str:
    return datetime.fromtimestamp(time_ns // _SECOND_NS, UTC).strftime("%Y-%m-%dT%H:%MZ")


def _cut(text: str, length: int) -> str:
    return text if len(text) <= length else f"{text[: length - 1]}…"


def _counted(value: int, noun: str) -> str:
    """A number of things: "1 part", "1,200 parts"."""
    return f"{value:,} {noun}" if value == 1 else f"{value:,} {noun}s"
