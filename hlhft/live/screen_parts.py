"""What the terminal view is made of: signs, bars, and figures as people read them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from rich.text import Text

BAR_CELLS = 12
CURVE_CELLS = 24
LEANING_CELLS = 5  # on either side of the middle

_STAGE_STYLES = {"quoting": "bold white on green", "reducing": "bold black on yellow", "halted": "bold white on red"}


@dataclass(frozen=True, slots=True)
class Signs:
    """The letters that are not plain, and what stands for them where only ASCII can be shown."""

    is_ascii: bool = False

    @property
    def good(self) -> str:
        """In order."""
        return "+" if self.is_ascii else "●"

    @property
    def old(self) -> str:
        """Not fresh, not connected."""
        return "o" if self.is_ascii else "○"

    @property
    def bad(self) -> str:
        """Tripped, not covered."""
        return "!" if self.is_ascii else "✗"

    @property
    def waiting(self) -> str:
        """On its way to the venue."""
        return "~" if self.is_ascii else "…"

    @property
    def none(self) -> str:
        """Nothing there."""
        return "-" if self.is_ascii else "·"

    @property
    def steps(self) -> str:
        """The heights of a small curve, the lowest first."""
        return "_.-=^" if self.is_ascii else "▁▂▃▄▅▆▇█"

    @property
    def cells(self) -> tuple[str, str]:
        """A full and an empty cell of a bar."""
        return ("#", ".") if self.is_ascii else ("█", "░")


def money(usdc: float) -> str:
    """USDC with its sign; two decimals, and more for what would be nothing with them."""
    text = f"{usdc:+,.2f}"
    if text.strip("+-0.,") == "":
        text = f"{usdc:+,.4f}"
    return "0.00" if text.strip("+-0.,") == "" else text


def money_style(usdc: float) -> str:
    """Green for what was won, red for what was lost."""
    return "green" if usdc > 0 else "red" if usdc < 0 else "dim"


def latency(microseconds: float | None) -> str:
    """A time in the unit in which it has few digits."""
    if microseconds is None:
        return "-"
    if microseconds < 1000:
        return f"{microseconds:.3g} us" if microseconds < 100 else f"{microseconds:.0f} us"
    if microseconds < 1_000_000:
        return f"{microseconds / 1000:.1f} ms" if microseconds < 100_000 else f"{microseconds / 1000:.0f} ms"
    return f"{microseconds / 1_000_000:.1f} s"


def age(milliseconds: float | None) -> str:
    """How old something is."""
    return "-" if milliseconds is None else latency(milliseconds * 1000)


def duration(nanoseconds: int) -> str:
    """Hours, minutes and seconds."""
    seconds = max(nanoseconds, 0) // 1_000_000_000
    hours, minutes = seconds // 3600, seconds // 60 % 60
    return f"{hours}:{minutes:02}:{seconds % 60:02}" if hours else f"{minutes}:{seconds % 60:02}"


def clock(at_ns: int) -> str:
    """The time of day, UTC."""
    return datetime.fromtimestamp(at_ns // 1_000_000_000, UTC).strftime("%H:%M:%S")


def short_address(address: str, signs: Signs) -> str:
    """The ends of an address, by which one knows it again."""
    return address if len(address) < 20 else f"{address[:6]}{signs.waiting}{address[-4:]}"


def stage_style(stage: str, *, is_halted: bool) -> str:
    """The colours of a stage's word."""
    return _STAGE_STYLES["halted"] if is_halted else _STAGE_STYLES.get(stage, "bold white on blue")


def bar(share: float, signs: Signs) -> Text:
    """How much of something is used: a bar, and its percentage."""
    share = min(max(share, 0.0), 1.0)
    full, empty = signs.cells
    count = round(share * BAR_CELLS)
    style = "green" if share < 0.6 else "yellow" if share < 0.9 else "bold red"
    return Text.assemble((full * count, style), (empty * (BAR_CELLS - count), "dim"), f" {share:4.0%}")


def leaning(signed_usdc: float | None, largest_usdc: float | None, signs: Signs) -> Text:
    """A position against its cap: a bar from the middle, to the left for a short. Without a cap, nothing."""
    if signed_usdc is None or not largest_usdc:
        return Text("")
    full, empty = signs.cells
    share = min(abs(signed_usdc) / largest_usdc, 1.0)
    count = max(round(share * LEANING_CELLS), 1 if signed_usdc else 0)
    style = "cyan" if share < 0.6 else "yellow" if share < 0.9 else "bold red"
    left = right = (empty * LEANING_CELLS, "dim")
    filled, rest = (full * count, style), (empty * (LEANING_CELLS - count), "dim")
    if signed_usdc < 0:
        return Text.assemble(rest, filled, "|", right)
    return Text.assemble(left, "|", filled, rest)


def curve(values: Sequence[float], signs: Signs) -> Text:
    """A small curve of at most CURVE_CELLS values, the newest last; green where it ends above its beginning."""
    shown = list(values)[-CURVE_CELLS:]
    if len(shown) < 2:
        return Text("")
    low, high = min(shown), max(shown)
    last = len(signs.steps) - 1
    scale = last / (high - low) if high > low else 0.0
    cells = "".join(signs.steps[round((value - low) * scale)] for value in shown)
    return Text(cells, style=money_style(shown[-1] - shown[0]))
