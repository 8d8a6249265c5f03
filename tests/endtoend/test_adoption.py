"""With `engine.leftovers = "adopt"` what a killed engine left keeps its place in the queue: it is not renewed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.endtoend.house import House, eventually

STRATEGY = Path(__file__).parent / "standing.py"


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """A house whose engine adopts, and quotes prices that stand."""
    settings = f'[strategy]\nname = "{STRATEGY}"\n'
    with House(tmp_path_factory.mktemp("adoption"), exchange=("--no-limits",), settings=settings) as there:
        text = there.config.read_text()
        there.config.write_text(text.replace("[engine]\n", '[engine]\nleftovers = "adopt"\n'))
        yield there


def test_a_restarted_engine_goes_on_with_the_orders_that_rest(house: House) -> None:
    engine = house.start_engine()
    house.quotes_within(60)
    before = {order["oid"] for order in house.own_orders()}
    assert len(before) == 2 * len(house.coins)
    engine.kill()
    assert {order["oid"] for order in house.own_orders()} == before
    house.start_engine()
    eventually(lambda: (told := house.status()) is not None and told.counters["frames scanned"] > 100, within_s=20)
    assert {order["oid"] for order in house.own_orders()} == before, house.engine and house.engine.output
    assert house.engine is not None
    assert house.engine.stop() == 0
    assert house.own_orders() == [], "a stop cancels them like any other"
