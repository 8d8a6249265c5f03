"""The words for models: every form, and one sentence for what is none."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import numpy as np
import pytest

from hlhft.backtest import models
from hlhft.backtest.latency import QUANTILES, LatencyKind, empirical_quantiles
from hlhft.backtest.models import (
    SCENARIOS,
    TIERS_BP,
    ModelError,
    parse_fees,
    parse_latency,
    parse_queue,
)
from hlhft.venue.queue import QueueModel

MS = 1_000_000


def latency(text: str):
    record, table = parse_latency(text, seed=3)
    assert record.shape == (1,) and table.dtype == np.int64 and len(table) == 5
    return record[0], table


def sentence(error: pytest.ExceptionInfo[ModelError]) -> str:
    text = str(error.value)
    assert "\n" not in text and len(text) < 300
    return text


@pytest.mark.parametrize(
    ("text", "figures"),
    [
        ("15", (15, 15, 15, 15)),
        ("0", (0, 0, 0, 0)),
        ("1.5", (1.5, 1.5, 1.5, 1.5)),
        ("10,12", (10, 12, 10, 12)),
        ("constant:15", (15, 15, 15, 15)),
        ("constant:10,12", (10, 12, 10, 12)),
        ("constant:10,12,3", (10, 12, 3, 12)),
        ("constant:10,12,3,1", (10, 12, 3, 1)),
        ("constant:60000", (60_000,) * 4),
    ],
)
def test_constant_latencies(text, figures):
    record, _ = latency(text)
    assert record["kind"] == LatencyKind.CONSTANT
    names = ("entry_ns", "reply_ns", "cancel_entry_ns", "fill_reply_ns")
    assert [int(record[name]) for name in names] == [round(figure * MS) for figure in figures]


def test_sampled_latencies():
    record, table = latency("sampled:200,900")
    assert (record["kind"], record["seed"]) == (LatencyKind.SAMPLED, 3)
    assert table.shape == (5, QUANTILES)
    for row in (0, 1, 3, 4):
        assert np.median(table[row]) == pytest.approx(200 * MS, rel=1e-3)


def test_blocks():
    record, table = latency("blocks")
    assert (record["kind"], record["seed"]) == (LatencyKind.BLOCKS, 3)
    # Venue reference appendix D: 200 ms there, 100 ms back, a block every 78 ms, none after more than 215.
    assert np.median(table[0]) == pytest.approx(200 * MS, rel=1e-3)
    assert np.median(table[1]) == pytest.approx(100 * MS, rel=1e-3)
    assert table[2].mean() == pytest.approx(78 * MS, rel=0.01)
    assert (table[2].min(), table[2].max()) == (MS, int(table[2][-1]))
    assert table[2].max() <= 215 * MS
    _, table = latency("blocks:40,50")
    assert np.median(table[0]) == pytest.approx(40 * MS, rel=1e-3)
    assert np.median(table[3]) == pytest.approx(40 * MS, rel=1e-3)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "give milliseconds"),
        ("fast", "give milliseconds"),
        ("constant:", "give milliseconds"),
        ("constant:10,", "give milliseconds"),
        ("constant:ten", "give milliseconds"),
        ("exact:10", "give milliseconds"),
        ("-1", "outside 0..60000 ms"),
        ("constant:10,-12", "outside 0..60000 ms"),
        ("60000.1", "outside 0..60000 ms"),
        ("nan", "outside 0..60000 ms"),
        ("inf", "outside 0..60000 ms"),
        ("constant:1,2,3,4,5", "has 5 figures"),
        ("sampled", "a median and a 99th percentile"),
        ("sampled:200", "a median and a 99th percentile"),
        ("sampled:200,900,1", "a median and a 99th percentile"),
        ("sampled:200,x", "give milliseconds"),
        ("sampled:200,100", "0 < median <= p99"),
        ("sampled:0,100", "0 < median <= p99"),
        ("blocks:", "a median and a 99th percentile"),
        ("blocks:9", "a median and a 99th percentile"),
        ("blocks:9,8", "0 < median <= p99"),
    ],
)
def test_a_latency_that_is_none(text, expected):
    with pytest.raises(ModelError, match="latency ") as error:
        parse_latency(text, seed=1)
    assert expected in sentence(error) and repr(text) in str(error.value)


HISTORY = [(100, 150, 180), (200, 270, 330)]


def archive(array: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, data=array)
    return buffer.getvalue()


def structured(rows: list[tuple[int, ...]], names: str) -> np.ndarray:
    return np.array(rows, [(name, np.int64) for name in names])


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("history.csv", b"100,150,180\n200,270,330\n"),
        ("history.txt", b"# request, exchange, response\n\n100,150,180 # first\n200,270,330"),
        ("history.npz", archive(np.array(HISTORY))),
        ("history.npz", archive(np.array(HISTORY, np.float64))),
        ("history.npz", archive(structured([(*row, 9) for row in HISTORY], "abcd"))),
    ],
)
def test_histories(tmp_path: Path, name, content):
    path = tmp_path / name
    path.write_bytes(content)
    record, table = latency(f"history:{path}")
    assert record["kind"] == LatencyKind.INTERPOLATED
    assert table.T.tolist() == [[100, 150, 180, 150, 180], [200, 270, 330, 270, 330]]


def empty_archive() -> bytes:
    buffer = io.BytesIO()
    zipfile.ZipFile(buffer, "w").close()
    return buffer.getvalue()


def plain_array() -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, np.array(HISTORY))
    return buffer.getvalue()


def damaged_archive() -> bytes:
    content = bytearray(archive(np.arange(3000).reshape(1000, 3)))
    content[400] ^= 255
    return bytes(content)


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("h.csv", b"", "it holds no line"),
        ("h.csv", b"# nothing\n\n", "it holds no line"),
        ("h.csv", b"1,2\n", "three columns"),
        (
            "h.csv",
            b"# times\n1,2,x\n",
            "line 2 holds something else than whole numbers with commas; it needs request, exchange",
        ),
        ("h.csv", b"1,2,3\n\n4,5\n", "line 3 has 2 numbers, the first has 3; it needs request, exchange"),
        ("h.csv", b"1,2,99999999999999999999\n", "request, exchange and response time in ns"),
        ("h.csv", b"\xff\xfe1,2,3", "request, exchange and response time in ns"),
        ("h.csv", b"5,6,7\n5,6,7\n", "request times must increase"),
        ("h.csv", b"5,4,7\n", "row 1 has it not"),
        ("h.npz", b"", "request, exchange and response time in ns"),
        ("h.npz", b"not an archive", "request, exchange and response time in ns"),
        ("h.npz", archive(np.array(HISTORY))[:90], "request, exchange and response time in ns"),
        ("h.npz", damaged_archive(), "request, exchange and response time in ns"),
        ("h.npz", empty_archive(), "no archive of arrays"),
        ("h.npz", plain_array(), "no archive of arrays"),
        ("h.npz", archive(np.array([["a", "b", "c"]])), "something else than numbers"),
        ("h.npz", archive(np.array([[1.0, np.nan, 3.0]])), "something else than numbers"),
        ("h.npz", archive(structured([(1, 2)], "ab")), "three columns"),
        ("h.npz", archive(np.arange(3)), "three columns"),
    ],
)
def test_a_history_that_is_none(tmp_path: Path, name, content, expected):
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(ModelError) as error:
        parse_latency(f"history:{path}", seed=1)
    assert str(error.value).startswith(f"latency history {path}: ")
    assert expected in sentence(error)


def test_a_history_that_is_not_there_is_the_files_own_error(tmp_path: Path):
    for name in ("none.csv", "none.npz"):
        with pytest.raises(FileNotFoundError):
            parse_latency(f"history:{tmp_path / name}", seed=1)


def test_measured_latencies_are_sampled_without_the_requests_that_were_lost(tmp_path: Path):
    path = tmp_path / "h.csv"
    path.write_text("10,15,24\n20,0,90\n30,37,46\n")
    record, table = parse_latency(f"measured:{path}", seed=4)
    assert (record[0]["kind"], record[0]["seed"]) == (LatencyKind.SAMPLED, 4)
    assert (table[0] == empirical_quantiles(np.array([5, 7], np.int64))).all() and set(table[1]) == {9}


@pytest.mark.parametrize(
    ("text", "model", "power"),
    [
        ("risk-averse", QueueModel.RISK_AVERSE, 2.0),
        ("power", QueueModel.POWER, 2.0),
        ("power:3", QueueModel.POWER, 3.0),
        ("power:0.5", QueueModel.POWER, 0.5),
        ("power-total:16", QueueModel.POWER_TOTAL, 16.0),
        ("power-complement:2", QueueModel.POWER_COMPLEMENT, 2.0),
        ("log", QueueModel.LOG, 2.0),
        ("log-total", QueueModel.LOG_TOTAL, 2.0),
        ("order-level", QueueModel.ORDER_LEVEL, 2.0),
    ],
)
def test_queue_models(text, model, power):
    assert parse_queue(text) == (model, power)


def test_every_queue_model_has_a_name():
    assert set(models._QUEUES.values()) == set(QueueModel)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "give one of risk-averse, power, "),
        ("fifo", "give one of risk-averse, power, "),
        ("POWER", "give one of risk-averse, power, "),
        ("power:", "'' is not a number"),
        ("power:two", "'two' is not a number"),
        ("power:0", "must lie in 0..16"),
        ("power:-1", "must lie in 0..16"),
        ("power:16.5", "must lie in 0..16"),
        ("power:nan", "must lie in 0..16"),
        ("log:2", "log takes no power"),
        ("risk-averse:", "risk-averse takes no power"),
        ("order-level:2", "order-level takes no power"),
    ],
)
def test_a_queue_model_that_is_none(text, expected):
    with pytest.raises(ModelError) as error:
        parse_queue(text)
    assert expected in sentence(error) and repr(text) in str(error.value)


def rates(text: str) -> list[tuple[int, int]]:
    return [(item.maker_rate_e9, item.taker_rate_e9) for item in parse_fees(text)]


def test_fees():
    # 1 bp is 100,000e-9. A new account, tier 4, and the best rebate.
    standard = [(150_000, 450_000), (0, 280_000), (-30_000, 240_000)]
    assert rates("scenarios") == standard
    assert rates("1.5,4.5") == standard
    assert rates("tier:0") == standard
    assert rates("tier:4") == [standard[1], standard[0], standard[2]]
    assert rates("tier:6") == [(0, 240_000), *standard]
    assert rates("-0.3,2.4") == [standard[2], standard[0], standard[1]]
    assert rates("0.25,10") == [(25_000, 1_000_000), *standard]
    assert rates("-100,1000") == [(-10_000_000, 100_000_000), *standard]


def test_fee_scenarios_have_names_of_their_own():
    for text in ("scenarios", "tier:3", "0.25,10"):
        names = [item.name for item in parse_fees(text)]
        assert len(set(names)) == len(names) >= len(SCENARIOS)
    assert parse_fees("tier:3")[0].name == "tier 3, maker +0.4 bp"
    assert parse_fees("-0.25,10")[0].name == "maker -0.25 bp, taker +10 bp"


def test_tiers_fall():
    assert list(TIERS_BP) == sorted(TIERS_BP, reverse=True)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "give scenarios, tier:0 or maker and taker"),
        ("1.5", "give scenarios, tier:0 or maker and taker"),
        ("1,2,3", "give scenarios, tier:0 or maker and taker"),
        ("low,high", "give scenarios, tier:0 or maker and taker"),
        ("tier:7", "tiers are tier:0 to tier:6"),
        ("tier:", "tiers are tier:0 to tier:6"),
        ("tier:-1", "tiers are tier:0 to tier:6"),
        ("-101,1", "outside -100..1000 bp"),
        ("1,1001", "outside -100..1000 bp"),
        ("nan,1", "outside -100..1000 bp"),
    ],
)
def test_fees_that_are_none(text, expected):
    with pytest.raises(ModelError) as error:
        parse_fees(text)
    assert expected in sentence(error) and repr(text) in str(error.value)
