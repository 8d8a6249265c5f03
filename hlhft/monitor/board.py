"""The dashboard in words of our own: its rows, what is drawn over its graphs, and every expression that it asks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from hlhft.monitor.board_detail import ALPHA, HOST, MARKET, SAFETY
from hlhft.monitor.board_trading import LATENCY, MONEY, ORDERS, OVERVIEW
from hlhft.monitor.panels import Annotation, Board, Colour, Panel, Variable
from hlhft.monitor.queries import ACCOUNT, RANGE, WINDOW, increase, select
from hlhft.monitor.queries import MARKET as MARKET_VARIABLE

# Grafana asks for annotations once a minute of the time shown, so each must be seen for that long.
_MINUTE = "1m"

# What fills each variable: the values that a label has in a selector's series.
VARIABLES: tuple[Variable, ...] = (
    Variable("account", "Account", "hlhft_halted", "account"),
    Variable("market", "Market", f'hlhft_quoting{{account="{ACCOUNT}"}}', "market", is_many=True),
)

HLHFT = Board(
    uid="hlhft",
    title="hlhft",
    description="What the market maker does, what it earns or loses and why, and what keeps it from it.",
    rows=(OVERVIEW, LATENCY, MONEY, ORDERS, SAFETY, MARKET, ALPHA, HOST),
    variables=VARIABLES,
    annotations=(
        Annotation(
            name="Halted",
            expression=f"max_over_time({select('halted')}[{_MINUTE}]) == 1",
            colour=Colour.BAD,
        ),
        Annotation(
            name="Deployed or restarted",
            expression=f"{select('build_info')} and on (instance, process) "
            f"(time() - {select('process_start_time_seconds')} < 60)",
            colour=Colour.PLAIN,
        ),
        Annotation(
            name="Gap in the recording",
            expression=f"{increase('recorder_gaps_total', _MINUTE)} > 0",
            colour=Colour.WARNING,
        ),
    ),
)
BOARDS: tuple[Board, ...] = (HLHFT,)

# Metrics that no panel shows: they answer questions that are asked by hand. Each says why.
ONLY_FOR_QUESTIONS: Mapping[str, str] = {}


def panels(board: Board) -> Iterator[Panel]:
    """All panels of a dashboard, in their order."""
    for row in board.rows:
        yield from row.panels


def filled(expression: str, *, account: str, market: str = ".*", window: str = "20s", range_: str = "1h") -> str:
    """The expression as Prometheus is asked once all variables have values.

    `market` is a regular expression of RE2, the windows are durations of Prometheus.
    """
    for name, value in {ACCOUNT: account, MARKET_VARIABLE: market, WINDOW: window, RANGE: range_}.items():
        expression = expression.replace(name, value)
    return expression


def expressions(*, account: str, market: str = ".*", window: str = "20s", range_: str = "1h") -> tuple[str, ...]:
    """Every PromQL expression of the dashboards, each once, filled with these values."""
    texts = [query.expression for board in BOARDS for panel in panels(board) for query in panel.queries]
    texts += [annotation.expression for board in BOARDS for annotation in board.annotations]
    return tuple(
        dict.fromkeys(filled(text, account=account, market=market, window=window, range_=range_) for text in texts)
    )
