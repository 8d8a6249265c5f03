"""What the Parquet files hold: every fill and payment, exact, with nulls for what is unknown."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from pyarrow import parquet

from hlhft.report.blotter import blotter, column, records, words, write_columns
from hlhft.report.markouts import HORIZONS_NS
from tests.report.histories import FINE, PERPETUAL, SECOND, History, scenario


def made() -> History:
    history = History([PERPETUAL, FINE])
    history.quote(0, 618_078, 618_080)
    history.record()
    history.fill(1, 618_079, 2, fee=18_542, mid=1_236_161, order_id=9, reason=2, front=-3.0, front_at_entry=89.0)
    history.wait(SECOND)
    history.fund(-7, market=1)
    history.fill(-1, 10**7, 5, market=1, maker=0, reason=4)
    history.record()
    return history


def read(path: Path) -> dict[str, list]:
    return parquet.read_table(path).to_pydict()


def test_every_fill_and_payment_of_every_scenario(tmp_path: Path) -> None:
    scenarios = [scenario(made(), "one"), scenario(made(), "two")]
    write_columns(tmp_path / "b", blotter(scenarios))
    found = read(tmp_path / "b")
    assert found["scenario"] == ["one"] * 3 + ["two"] * 3
    assert found["market"][:3] == ["BTC", "FINE", "FINE"]
    assert found["kind"][:3] == ["fill", "funding", "fill"]
    assert found["side"][:3] == ["buy", "none", "sell"]
    assert found["reason"][:3] == ["traded through", "none", "taker"]
    assert found["maker"][:3] == [True, None, False]
    assert found["price"][:3] == [61807.9, 1e-7, 1.0]
    assert found["size"][:3] == [0.00002, 1e-6, 5e-6]
    assert (found["price_ticks"][0], found["size_lots"][0], found["order_id"][0]) == (618_079, 2, 9)
    assert found["fee_micro"][:3] == [18_542, None, 0]
    assert found["funding_micro"][:3] == [None, -7, None]
    assert found["queue_ahead_at_entry_lots"][:3] == [89.0, None, None]
    assert found["queue_ahead_at_fill_lots"][:3] == [0.0, None, None]
    assert found["placed_ns"][1:3] == [None, None]
    assert found["mid"][:3] == [61808.05, None, None]
    for horizon_ns in HORIZONS_NS:
        assert found[f"mid_after_{horizon_ns // 1_000_000}_ms"][:3] == [61808.05, None, None]


def test_records_keep_their_fields(tmp_path: Path) -> None:
    write_columns(tmp_path / "r", records([scenario(made(), "one")]))
    found = read(tmp_path / "r")
    assert found["market"] == ["BTC", "FINE", "BTC", "FINE"]
    assert found["position_lots"] == [0, 0, 2, -5]
    assert found["best_bid_ticks"] == [618_078, 0, 618_078, 0]
    assert "lane" not in found


def test_nothing_is_an_empty_table(tmp_path: Path) -> None:
    empty = [scenario(History([PERPETUAL]), "one")]
    write_columns(tmp_path / "b", blotter(empty))
    write_columns(tmp_path / "r", records(empty))
    assert read(tmp_path / "b")["price"] == []
    assert read(tmp_path / "r")["ts_ns"] == []


@pytest.mark.parametrize(
    "values",
    [np.arange(11), np.arange(11, dtype=np.int32), np.linspace(0, 1, 11), np.arange(11) % 3 == 0],
    ids=lambda values: str(values.dtype),
)
def test_columns_of_every_type_keep_values_and_nulls(values: np.ndarray) -> None:
    known = np.arange(11) % 4 != 1
    assert column(values).to_pylist() == values.tolist()
    expected = [value if there else None for value, there in zip(values.tolist(), known, strict=True)]
    assert column(values, known).to_pylist() == expected


def test_words_stand_for_codes() -> None:
    assert words(np.array([3, -1, 3]), {3: "drei", -1: "é"}).to_pylist() == ["drei", "é", "drei"]


def test_the_same_columns_are_the_same_bytes(tmp_path: Path) -> None:
    for name in ("a", "b"):
        write_columns(tmp_path / name, blotter([scenario(made(), "one")]))
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_writing_does_not_import_pandas(tmp_path: Path) -> None:
    """Where it is installed, pyarrow would import it, which takes longer than a replay."""
    script = (
        "import sys; from pathlib import Path; import numpy as np\n"
        "from hlhft.report.blotter import column, words, write_columns\n"
        f"write_columns(Path({str(tmp_path / 'x')!r}), "
        "{'a': column(np.arange(3), np.arange(3) > 1), 'b': words(np.arange(3), {0: 'x', 1: 'y', 2: 'z'})})\n"
        "assert 'pandas' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True, cwd=Path(__file__).parents[2])
