"""What a backtest assumes, in sentences, each with the side it errs on: latency, queue, feed, matching.

The texts are the specifications that `hlhft.backtest.models` reads.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from hlhft.report.numbers import listed

_QUEUE_FORMULAS = {
    "power": "f(back) / (f(back) + f(front)) with f(x) = x^{n}",
    "power-total": "f(back) / f(back + front) with f(x) = x^{n}",
    "power-complement": "1 - f(front / (front + back)) with f(x) = x^{n}",
    "log": "f(back) / (f(back) + f(front)) with f(x) = ln(1 + x)",
    "log-total": "f(back) / f(back + front) with f(x) = ln(1 + x)",
}


@dataclass(frozen=True)
class Assumption:
    """One of the model's choices: what it is, and whom it favours."""

    subject: str
    text: str
    bias: str


def assumptions(
    *, latency: str, queue: str, profile: str, snapshots: bool, without_trades: Sequence[str] = ()
) -> list[Assumption]:
    """Every assumption of a run.

    `snapshots`: some market's book was recorded as snapshots only; `without_trades`: markets of which no trade was.
    """
    found = [_latency(latency), _queue(queue)]
    if without_trades:
        found.append(
            Assumption(
                "Fills",
                f"{without_trades_words(without_trades)[0].upper()}{without_trades_words(without_trades)[1:]}.",
                "Against us: the fills left are those after which the price went on through our order.",
            )
        )
    found.append(
        Assumption(
            "Matching",
            "Recorded orders and trades do not react to ours, and what we take stays in the recorded book. An order is "
            "filled by what traded past its queue, through its price, or came to rest across it.",
            "Favours us where our size would have moved the market.",
        )
    )
    if snapshots:
        found.append(
            Assumption(
                "Book",
                "The book was recorded as snapshots. Between two of them it is taken as unchanged but for trades and "
                "best prices; what differs arrives with the next one.",
                "Unknown: cancels between snapshots are seen late, by the venue's side too.",
            )
        )
    found.append(_feed(profile))
    return found


def fill_model(without_trades: Sequence[str]) -> str:
    """What fills of resting orders were made from, in a word or two."""
    return "book alone" if without_trades else "book and trades"


def without_trades_words(markets: Sequence[str]) -> str:
    """What a recording without trades of these markets means for fills, without a capital or a full stop."""
    return (
        f"there are no trades of {listed(list(markets))}, so resting orders are filled by the book alone: when the "
        "other side comes to rest at their price or through it"
    )


def _latency(text: str) -> Assumption:
    kind, _, rest = text.partition(":")
    if kind == "history":
        sentence = f"Interpolated from recorded acknowledgements ({rest})."
        return Assumption("Latency", sentence, "None, if our orders had met the same delays.")
    if kind == "measured":
        return Assumption(
            "Latency",
            f"Drawn for each message from recorded acknowledgements ({rest}), whatever their time.",
            "Favours us a little: each message is drawn by itself, while real delays come in spells.",
        )
    if kind == "blocks":
        way = "{} ms in the median, {} ms at the 99th percentile".format(*(rest or "200,900").split(","))
        return Assumption(
            "Latency",
            f"Hyperliquid's way: to the venue {way}, then the next block (every 78 ms on average), where post-only "
            "orders and cancels go ahead of orders that take.",
            "Favours us a little: each message is drawn by itself, while real delays come in spells.",
        )
    if kind == "sampled":
        median, _, p99 = rest.partition(",")
        return Assumption(
            "Latency",
            f"Drawn for each message: {median} ms in the median, {p99} ms at the 99th percentile, each way.",
            "Favours us a little: each message is drawn by itself, while real delays come in spells.",
        )
    entry, *others = (rest if kind == "constant" else text).split(",")
    reply = others[0] if others else entry
    apart = [f", {name} {figure} ms" for name, figure in zip(("cancels there", "fills back"), others[1:], strict=False)]
    return Assumption(
        "Latency",
        f"Always {entry} ms to the venue and {reply} ms back{''.join(apart)}.",
        "Favours us: real delays are longest when the market moves.",
    )


def _queue(text: str) -> Assumption:
    name, _, power = text.partition(":")
    if name == "risk-averse":
        return Assumption(
            "Queue",
            "Our order moves forward only by trades at its price; every cancel is taken to come from behind it.",
            "Against us: fills come as late as the record allows.",
        )
    if name == "order-level":
        return Assumption(
            "Queue",
            "Exact where the recording says whose order a change is; elsewhere every cancel is taken to come from "
            "behind ours.",
            "None on order-level recordings, against us on others.",
        )
    return Assumption(
        "Queue",
        "A level that shrinks without a trade loses orders before and behind ours, with probability "
        f"{_QUEUE_FORMULAS[name].format(n=power or '2')} behind.",
        "Unknown: price levels do not show whose orders left. --queue risk-averse is the pessimistic end.",
    )


def _feed(profile: str) -> Assumption:
    if profile == "recorded":
        return Assumption("Feed", "We see everything that was recorded.", "Favours us if today's feed is slower.")
    return Assumption(
        "Feed",
        f"What we see is thinned to the live feed of {profile}: best prices at each change, 5 levels every 0.5 s, 20 "
        "every 5 s. The venue's side keeps everything.",
        "None known.",
    )
