"""The words in which a user names models: latency, queue and fees, each parsed in one place.

    latency   15 | constant:ENTRY[,REPLY[,CANCEL[,FILL]]] | sampled:MEDIAN,P99 | blocks[:MEDIAN,P99] | history:FILE
              | measured:FILE
    queue     risk-averse | power:N | power-total:N | power-complement:N | log | log-total | order-level
    fees      scenarios | tier:0 .. tier:6 | MAKER,TAKER

Latencies in milliseconds, fees in basis points. CANCEL is a cancel's way there (else ENTRY), FILL a fill's way back
(else REPLY), REPLY as long as ENTRY when it is not given. A power that is not given is 2. A history has request,
exchange and response time in ns: lines of three numbers with commas, or an array in an .npz file. It is interpolated in
time, so it must cover the recording; measured draws from the same figures whatever their time.
"""

from __future__ import annotations

import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from hlhft.backtest.latency import (
    block_quantiles,
    blocks,
    constant,
    empirical_quantiles,
    interpolated,
    lognormal_quantiles,
    sampled,
)
from hlhft.venue.queue import QueueModel

MS = 1_000_000
LATENCY_MS_MAX = 60_000.0
QUEUE_POWER, QUEUE_POWER_MAX = 2.0, 16.0
# Venue reference section 8 and appendix D: way to a block for a co-located client, publishing, and block spacing.
ENTRY_MEDIAN_MS, ENTRY_P99_MS = 200.0, 900.0
REPLY_MEDIAN_MS, REPLY_P99_MS = 100.0, 300.0
BLOCK_MEAN_MS, BLOCK_DEVIATION_MS, BLOCK_MINIMUM_MS, BLOCK_MAXIMUM_MS = 78, 30, 1, 215

# Venue reference section 10: maker and taker in basis points by tier.
TIERS_BP = ((1.5, 4.5), (1.2, 4.0), (0.8, 3.5), (0.4, 3.0), (0.0, 2.8), (0.0, 2.6), (0.0, 2.4))
_QUEUES = {
    "risk-averse": QueueModel.RISK_AVERSE,
    "power": QueueModel.POWER,
    "power-total": QueueModel.POWER_TOTAL,
    "power-complement": QueueModel.POWER_COMPLEMENT,
    "log": QueueModel.LOG,
    "log-total": QueueModel.LOG_TOTAL,
    "order-level": QueueModel.ORDER_LEVEL,
}
_WITH_POWER = (QueueModel.POWER, QueueModel.POWER_TOTAL, QueueModel.POWER_COMPLEMENT)


class ModelError(ValueError):
    """A latency, queue or fee specification that cannot be understood."""


@dataclass(frozen=True)
class FeeScenario:
    """What a fill costs: rates in 1e-9 of notional, negative for a rebate."""

    name: str
    maker_rate_e9: int
    taker_rate_e9: int


# Every backtest is run under these three, decisions re-made: a new account, tier 4, and the best rebate.
SCENARIOS = (
    FeeScenario("new account, maker +1.5 bp", 150_000, 450_000),
    FeeScenario("tier 4, maker 0 bp", 0, 280_000),
    FeeScenario("top rebate, maker -0.3 bp", -30_000, 240_000),
)


def parse_latency(text: str, *, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """The latency record and table that `text` names. Raises ModelError, and OSError for a history that cannot be
    read."""
    kind, colon, rest = text.partition(":")
    if kind == "history":
        return _history(Path(rest))
    if kind == "measured":
        return _measured(Path(rest), seed)
    if kind == "blocks":
        median, p99 = _pair(text, rest) if colon else (ENTRY_MEDIAN_MS, ENTRY_P99_MS)
        spacing = block_quantiles(
            mean_ns=BLOCK_MEAN_MS * MS,
            deviation_ns=BLOCK_DEVIATION_MS * MS,
            minimum_ns=BLOCK_MINIMUM_MS * MS,
            maximum_ns=BLOCK_MAXIMUM_MS * MS,
        )
        reply = lognormal_quantiles(round(REPLY_MEDIAN_MS * MS), round(REPLY_P99_MS * MS))
        return blocks(_lognormal(text, median, p99), reply, spacing, mean_ns=BLOCK_MEAN_MS * MS, seed=seed)
    if kind == "sampled":
        quantiles = _lognormal(text, *_pair(text, rest))
        return sampled(quantiles, quantiles, seed=seed)
    parts = (rest if kind == "constant" else text).split(",")
    if len(parts) > 4:
        raise ModelError(f"latency {text!r} has {len(parts)} figures, at most entry, reply, cancel and fill are known")
    figures = [round(_milliseconds(text, part) * MS) for part in parts]
    entry_ns, reply_ns, cancel_ns, fill_ns = figures + [None] * (4 - len(figures))
    assert entry_ns is not None
    return constant(
        entry_ns=entry_ns,
        reply_ns=entry_ns if reply_ns is None else reply_ns,
        cancel_entry_ns=cancel_ns,
        fill_reply_ns=fill_ns,
    )


def _lognormal(text: str, median_ms: float, p99_ms: float) -> np.ndarray:
    try:
        return lognormal_quantiles(round(median_ms * MS), round(p99_ms * MS))
    except ValueError as error:
        raise ModelError(f"latency {text!r}: {error}") from None


def _pair(text: str, numbers: str) -> tuple[float, float]:
    parts = numbers.split(",")
    if len(parts) != 2:
        raise ModelError(f"latency {text!r} needs a median and a 99th percentile, as in sampled:200,900")
    return _milliseconds(text, parts[0]), _milliseconds(text, parts[1])


def _milliseconds(text: str, number: str) -> float:
    try:
        value = float(number)
    except ValueError:
        raise ModelError(
            f"latency {text!r} is none: give milliseconds (15), constant:10,12, sampled:200,900, blocks, "
            "history:FILE or measured:FILE"
        ) from None
    if not 0.0 <= value <= LATENCY_MS_MAX:
        raise ModelError(f"latency {text!r}: {number} ms is outside 0..{LATENCY_MS_MAX:g} ms")
    return value


def _history(path: Path) -> tuple[np.ndarray, np.ndarray]:
    try:
        table = _read_npz(path) if path.suffix == ".npz" else _read_csv(path)
    except (ValueError, OverflowError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        # A library's first sentence says what is wrong; what it then advises is meant for its own callers.
        reason = str(error).splitlines()[0].partition(". ")[0] if str(error) else "it is empty"
        raise ModelError(
            f"latency history {path}: {reason}; it needs request, exchange and response time in ns"
        ) from None
    try:
        return interpolated(table)
    except ValueError as error:
        raise ModelError(f"latency history {path}: {error}") from None


def _read_csv(path: Path) -> np.ndarray:
    rows: list[list[int]] = []
    for number, line in enumerate(path.read_text("utf-8").splitlines(), 1):
        text = line.partition("#")[0].strip()
        if not text:
            continue
        try:
            row = [int(part) for part in text.split(",")]
        except ValueError:
            raise ValueError(f"line {number} holds something else than whole numbers with commas") from None
        if rows and len(row) != len(rows[0]):
            raise ValueError(f"line {number} has {len(row)} numbers, the first has {len(rows[0])}")
        rows.append(row)
    if not rows:
        raise ValueError("it holds no line")
    return np.array(rows, np.int64)


def _read_npz(path: Path) -> np.ndarray:
    with path.open("rb") as handle:
        archive = np.load(handle, allow_pickle=False)
        if not isinstance(archive, np.lib.npyio.NpzFile) or not archive.files:
            raise ValueError("it is no archive of arrays")
        table = archive[archive.files[0]]
    if table.dtype.names:
        table = np.stack([table[name] for name in table.dtype.names[:3]], axis=-1)
    if table.dtype.kind not in "iuf" or (table.dtype.kind == "f" and not np.isfinite(table).all()):
        raise ValueError("it holds something else than numbers")
    return table.astype(np.int64)


def _measured(path: Path, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """A sampled latency from the requests of a history that arrived."""
    _, table = _history(path)
    request, exchange, response = table[:3, table[1] > 0]
    return sampled(empirical_quantiles(exchange - request), empirical_quantiles(response - exchange), seed=seed)


def parse_queue(text: str) -> tuple[QueueModel, float]:
    """The queue model and its power. Raises ModelError."""
    name, colon, number = text.partition(":")
    if name not in _QUEUES:
        raise ModelError(f"queue model {text!r} is none: give one of {', '.join(_QUEUES)}, with a power as in power:2")
    model = _QUEUES[name]
    if not colon:
        return model, QUEUE_POWER
    if model not in _WITH_POWER:
        raise ModelError(f"queue model {text!r}: {name} takes no power")
    try:
        power = float(number)
    except ValueError:
        raise ModelError(f"queue model {text!r}: {number!r} is not a number") from None
    if not 0.0 < power <= QUEUE_POWER_MAX:
        raise ModelError(f"queue model {text!r}: the power must lie in 0..{QUEUE_POWER_MAX:g}")
    return model, power


def parse_fees(text: str) -> list[FeeScenario]:
    """The scenarios to run, the user's first; the three standard ones are always among them. Raises ModelError."""
    if text == "scenarios":
        return list(SCENARIOS)
    if text.startswith("tier:"):
        number = text.removeprefix("tier:")
        if number not in {str(tier) for tier in range(len(TIERS_BP))}:
            raise ModelError(f"fees {text!r}: tiers are tier:0 to tier:{len(TIERS_BP) - 1}")
        maker, taker = TIERS_BP[int(number)]
        return _with_standard(
            FeeScenario(f"tier {number}, maker {maker:+g} bp", _rate(text, maker), _rate(text, taker))
        )
    parts = text.split(",")
    try:
        maker, taker = (float(part) for part in parts)
    except ValueError:
        raise ModelError(
            f"fees {text!r} are none: give scenarios, tier:0 or maker and taker in bp as in 1.5,4.5"
        ) from None
    return _with_standard(
        FeeScenario(f"maker {maker:+g} bp, taker {taker:+g} bp", _rate(text, maker), _rate(text, taker))
    )


def _rate(text: str, basis_points: float) -> int:
    if not -100.0 <= basis_points <= 1000.0:
        raise ModelError(f"fees {text!r}: {basis_points} bp is outside -100..1000 bp")
    return round(basis_points * 100_000)


def _with_standard(first: FeeScenario) -> list[FeeScenario]:
    rates = (first.maker_rate_e9, first.taker_rate_e9)
    return [first, *(item for item in SCENARIOS if (item.maker_rate_e9, item.taker_rate_e9) != rates)]
