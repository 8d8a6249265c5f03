"""What a catalogue holds and lacks: overlaps count once, reasons are those of the parts around."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hlhft.data.catalogue.layout import DAY_NS
from hlhft.data.catalogue.manifest import Clock, Gap, Manifest
from hlhft.data.catalogue.reading import Catalogue
from hlhft.data.errors import DataError
from hlhft.data.holdings import calendar, catalogue_at, chosen, holdings, is_catalogue, missing, silences
from tests.data.catalogue.making import NOON, put
from tests.data.making import BTC, ETH, SECOND, ListSource, trade

HOUR = 3600 * SECOND


def part(
    name: str, begin: int, end: int, *, gaps: tuple[Gap, ...] = (), source: str = "archive", **more: object
) -> Manifest:
    """A part of trades that covers [NOON + begin, NOON + end)."""
    fields = {
        "version": 1, "kind": "trade", "coin": "BTC", "date": "2026-04-01", "name": name, "source": source,
        "origin": name, "market": BTC, "snapshots": True, "rows": 10, "bytes": 160, "first_exch_ns": NOON + begin,
        "last_exch_ns": NOON + end - 1, "first_local_ns": 1, "last_local_ns": 2, "covers": (NOON + begin, NOON + end),
        "gaps": tuple(Gap(NOON + gap.from_ns, NOON + gap.to_ns, gap.reason) for gap in gaps),
        "clock": Clock("measured", "the test"), "counts": {}, "content_hash": "",
    }  # fmt: skip
    return Manifest(**(fields | more))  # type: ignore[arg-type]


def lacking(parts: list[Manifest], least: int = 1, within: tuple[int, int] | None = None) -> list[tuple[object, ...]]:
    bounds = None if within is None else (NOON + within[0], NOON + within[1])
    found = missing(parts, least_ns=least, within=bounds)
    return [(one.coin, one.kind, one.from_ns - NOON, one.to_ns - NOON, one.reasons) for one in found]


def test_an_entry_a_coin_and_kind_in_their_order() -> None:
    found = holdings([part("a", 0, 10), part("b", 10, 30, source="recorder"), part("c", 0, 5, kind="book"),
                      part("d", 0, 5, coin="AAVE", clock=Clock("modelled", "a delay", 7))])  # fmt: skip
    assert [(one.coin, one.kind, one.parts, one.rows, one.bytes) for one in found] == [
        ("AAVE", "trade", 1, 10, 160), ("BTC", "book", 1, 10, 160), ("BTC", "trade", 2, 20, 320),
    ]  # fmt: skip
    assert (found[0].clocks, found[2].sources) == (("modelled",), ("archive", "recorder"))
    assert (found[2].first_ns, found[2].last_ns, found[2].missing) == (NOON, NOON + 30, 0)


def test_days_are_shares_and_the_calendar_a_letter_each() -> None:
    (one,) = holdings([part("a", 0, DAY_NS), part("b", 12 * HOUR, 36 * HOUR), part("c", 40 * DAY_NS, 41 * DAY_NS)])
    days = {"2026-04-01": 0.5, "2026-04-02": 1.0, "2026-05-11": 0.5, "2026-05-12": 0.5}
    assert one.days == days
    assert calendar(days) == [("2026-04", "+#" + "." * 29), ("2026-05", "." * 10 + "++" + "." * 19)]
    assert (one.missing, one.missing_ns) == (1, 40 * DAY_NS - 36 * HOUR)


def test_a_gap_that_another_source_fills_is_none() -> None:
    gap = Gap(20, 60, "disconnected")
    holey = part("a", 0, 100, gaps=(gap,), source="recorder")
    assert lacking([holey]) == [("BTC", "trade", 21, 60, ("disconnected",))]
    assert lacking([holey, part("b", 10, 50)]) == [("BTC", "trade", 50, 60, ("disconnected",))]
    assert lacking([holey, part("b", 10, 60)]) == []


def test_seams_of_hourly_parts_are_no_gaps_of_a_holding() -> None:
    minute = 60 * SECOND
    (one,) = holdings(
        [part("a", 0, HOUR - minute + 1), part("b", HOUR, 2 * HOUR), part("c", 2 * HOUR + minute, DAY_NS)]
    )
    assert (one.missing, one.missing_ns) == (1, minute)


def test_a_part_without_rows_says_nothing_of_the_clock() -> None:
    nobody = Clock("modelled", "nobody", 0)
    lost = part("b", HOUR, 2 * HOUR, rows=0, clock=nobody, gaps=(Gap(HOUR, 2 * HOUR, "missing-hour"),))
    assert [one.clocks for one in holdings([part("a", 0, HOUR), lost])] == [("measured",)]


def test_between_parts_nothing_says_why() -> None:
    parts = [part("a", 0, 10), part("b", 20, 30), part("c", 30, 40), part("d", 41, 50, kind="book")]
    assert lacking(parts) == [("BTC", "trade", 10, 20, ("no-part",))]
    assert lacking(parts, least=11) == []


def test_of_a_stretch_the_ends_count_too() -> None:
    parts = [part("a", 0, 10), part("b", 20, 30)]
    assert lacking(parts, within=(-5, 25)) == [
        ("BTC", "trade", -5, 0, ("no-part",)), ("BTC", "trade", 10, 20, ("no-part",))
    ]  # fmt: skip
    assert lacking(parts, within=(2, 9)) == []


@settings(max_examples=60)
@given(st.lists(st.tuples(st.integers(0, 40), st.integers(1, 20), st.sampled_from(["recorder", "archive", "import"])),
                min_size=1, max_size=6))  # fmt: skip
def test_what_is_missing_is_what_no_part_covers(spans: list[tuple[int, int, str]]) -> None:
    parts = [part(f"p{place}", begin, begin + length, source=source)
             for place, (begin, length, source) in enumerate(spans)]  # fmt: skip
    known = np.zeros(80, dtype=np.bool_)
    for begin, length, _ in spans:
        known[begin : begin + length] = True
    lacks = np.ones(80, dtype=np.bool_)
    lacks[: np.flatnonzero(known)[0]] = False
    lacks[np.flatnonzero(known)[-1] + 1 :] = False
    expected = lacks & ~known
    found = np.zeros(80, dtype=np.bool_)
    for _, _, begin, end, _ in lacking(parts):
        found[begin:end] = True  # type: ignore[misc]
    assert (found == expected).all()


def test_silences_of_a_recording_by_market() -> None:
    rows = [trade(0, 1, 1, 1), trade(5, 1, 1, 1, market=1), trade(100, 1, 1, 1), trade(90, 1, 1, 1, local=2000),
            trade(140, 1, 1, 1, market=1, local=3000)]  # fmt: skip
    found = silences(ListSource(rows, [BTC, ETH]), least_ns=100)
    assert [(one.coin, one.kind, one.from_ns, one.to_ns) for one in found] == [
        ("BTC", "any", 0, 100), ("ETH", "any", 5, 140)
    ]  # fmt: skip
    assert [one.coin for one in silences(ListSource(rows, [BTC, ETH]), least_ns=101)] == ["ETH"]


def test_names_choose_coins_and_stretches(tmp_path: Path) -> None:
    put(tmp_path, "trade", "a", [trade(NOON, 1, 100, 1)])
    put(tmp_path, "trade", "b", [trade(NOON + DAY_NS, 1, 100, 1)], date="2026-04-02")
    put(tmp_path, "trade", "c", [trade(NOON, 1, 100, 1)], market=ETH)
    catalogue = catalogue_at(tmp_path)

    def names(*asked: str) -> list[list[str]]:
        return [[manifest.name for manifest in manifests] for _, manifests in chosen(catalogue, asked)]

    assert names() == [["a", "b", "c"]]
    assert names("BTC", "2026-04-01/BTC", "2026-04-01..2026-04-02/BTC,ETH") == [["a", "b"], ["a"], ["a", "b", "c"]]
    (asked, _), *_ = chosen(catalogue, ["2026-04-01T12/BTC"])
    assert asked is not None
    assert (asked.begin_ns, asked.end_ns) == (NOON, NOON + HOUR)
    with pytest.raises(DataError, match="there is nothing of coin BTX in this catalogue, the nearest it holds is BTC"):
        names("BTX")


def test_a_folder_that_is_none_is_one_sentence(tmp_path: Path) -> None:
    assert not is_catalogue(tmp_path)
    with pytest.raises(DataError, match="there is no such folder"):
        catalogue_at(tmp_path / "none")
    with pytest.raises(DataError, match="the folder is no catalogue"):
        catalogue_at(tmp_path)
    (tmp_path / "kind=book").mkdir()
    assert is_catalogue(tmp_path)
    assert isinstance(catalogue_at(tmp_path), Catalogue)
    assert chosen(catalogue_at(tmp_path), []) == [(None, [])]
    with pytest.raises(DataError, match="nothing of coin BTC in this catalogue, it is empty"):
        chosen(catalogue_at(tmp_path), ["BTC"])
