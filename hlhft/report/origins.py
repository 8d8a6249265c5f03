"""What a model, a policy or a set of parameters was made from, and whether a backtest looks at the same time again.

Who fits, stops early, calibrates or chooses on a stretch of time has seen how it ends. A backtest of it, or of
what lies nearer to it than the embargo, shows what was learned by heart and not what was understood. Coins move
together, so another coin at the same time is the same time. Where nobody says what something was made from, nothing is
claimed.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec

from hlhft.report.numbers import duration, period

STAMP = "IN-SAMPLE"
TEST = "test"  # the one block that nothing was made from
_DONE = {"train": "fitted", "stop": "stopped early", "calibrate": "calibrated", "chosen": "chosen"}


class InSampleError(ValueError):
    """A backtest of a time that what it tests was made from."""


class Span(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A stretch of one coin's time, both ends included; the fields are those of a block's range of a data set."""

    coin: str
    from_ns: int
    to_ns: int


class Origin(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What something was made from. `blocks` by name: train, stop, calibrate, test, chosen; test is never in-sample."""

    what: str  # "model 1f0c…", "the parameters"
    blocks: dict[str, tuple[Span, ...]]
    embargo_ns: int = 0  # how much around a block still knows of it


def meetings(origins: Iterable[Origin], first_ns: int, last_ns: int) -> tuple[str, ...]:
    """A sentence without a full stop for every block that meets the time from `first_ns` to `last_ns`, ends included,
    with the first range of it that does; none when all of it is new to what is tested."""
    found = []
    for origin in origins:
        for block, spans in origin.blocks.items():
            met = [span for span in spans if _meets(span, origin.embargo_ns, first_ns, last_ns)]
            if met and block != TEST:
                found.append(_sentence(origin, block, met, first_ns, last_ns))
    return tuple(found)


def _meets(span: Span, embargo_ns: int, first_ns: int, last_ns: int) -> bool:
    return span.from_ns - embargo_ns <= last_ns and first_ns <= span.to_ns + embargo_ns


def _sentence(origin: Origin, block: str, met: Sequence[Span], first_ns: int, last_ns: int) -> str:
    span = met[0]
    apart = f" with an embargo of {duration(origin.embargo_ns)}" if origin.embargo_ns else ""
    return (
        f"{origin.what} was {_DONE.get(block, f'made ({block})')} on {span.coin}, {period(span.from_ns, span.to_ns)}"
        f"{apart}, and this backtest is of {period(first_ns, last_ns)}"
    )


def refuse(met: Sequence[str]) -> None:
    """Raises InSampleError with the first of `met`, where there is one."""
    if met:
        more = f" (and {len(met) - 1} more such)" if len(met) > 1 else ""
        raise InSampleError(
            f"{met[0]}{more}: what was learned from a time says nothing when it is tested on it; give a recording of"
            f" another time, or --in-sample to have every figure stamped {STAMP}"
        )
