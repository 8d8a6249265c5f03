"""What the venue told is kept byte for byte: it reads back as it was, and anything else is refused with a sentence."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from hlhft.live.history_files import (
    FILLS_REACH,
    INTERRUPTED,
    LISTS,
    MANIFEST,
    Manifest,
    Saved,
    Told,
    history_of,
    load,
    merged,
    save,
    time_of,
)
from hlhft.report.venue_records import UNIT, HistoryError
from tests.live.told import ADDRESS, META, SPOT_META, START_MS, fill, payment, state

HOUR_MS = 3_600_000


def raw(value: Any) -> bytes:
    return json.dumps(value).encode()


def reading(value: dict[str, Any], **balances: str) -> bytes:
    spot = {"balances": [{"coin": coin, "total": total} for coin, total in balances.items()]}
    return msgspec.json.encode(Told(states=[msgspec.Raw(raw(value))], spot=msgspec.Raw(raw(spot))))


def candles(coin: str, *closes: str, every_ms: int = 60_000) -> bytes:
    told = [
        {"t": START_MS + n * every_ms, "T": START_MS + (n + 1) * every_ms - 1, "c": close}
        for n, close in enumerate(closes)
    ]
    return raw({"coin": coin, "every_ms": every_ms, "candles": told})


def saved(**changes: Any) -> Saved:
    """Two buys of 0.0001 BTC, a payment, a deposit, and a look at the end."""
    facts = {"address": ADDRESS, "base_url": "http://x", "from_ms": 0, "until_ms": START_MS + 100_000, "is_whole": True}
    deposit = {"time": START_MS - 1_000, "hash": "0x1", "delta": {"type": "deposit", "usdc": "100.0"}}
    lines = {
        "fills": [raw(fill(0)), raw(fill(1))],
        "fundings": [raw(payment(5, START_MS + 50_000))],
        "transfers": [raw(deposit)],
        "readings": [reading(state("100.02", START_MS + 100_000, "0.0002", "20.02", "0.02"), USDC="0.0")],
        "candles": [candles("BTC", "100000.0", "100050.0")],
        "listing": [raw({"meta": META}), raw({"spot": SPOT_META})],
    }
    manifest = {**facts, "is_from_the_beginning": True, **changes.pop("manifest", {})}
    return Saved(manifest=Manifest(**manifest), lines={**lines, **changes})


def test_it_reads_back_as_it_was(tmp_path: Path) -> None:
    one = saved()
    save(one, tmp_path / "past")
    again = load(tmp_path / "past")
    assert {name: list(again.of(name)) for name in LISTS} == {name: list(one.of(name)) for name in LISTS}
    assert msgspec.structs.replace(again.manifest, hashes={}) == one.manifest
    assert set(again.manifest.hashes) == set(LISTS)
    save(saved(fills=[]), tmp_path / "past")
    assert load(tmp_path / "past").of("fills") == []


@pytest.mark.parametrize("name", LISTS)
def test_a_file_that_was_changed_is_refused(name: str, tmp_path: Path) -> None:
    save(saved(), tmp_path)
    path = tmp_path / f"{name}.jsonl"
    path.write_bytes(path.read_bytes()[:-1] + b" \n")
    with pytest.raises(HistoryError, match=f"{name}.jsonl: not what history.json says"):
        load(tmp_path)


def test_a_manifest_that_is_none_or_of_another_schema(tmp_path: Path) -> None:
    save(saved(), tmp_path)
    (tmp_path / MANIFEST).write_bytes(b"[]")
    with pytest.raises(HistoryError, match="no record of a history"):
        load(tmp_path)
    save(saved(manifest={"schema": 9}), tmp_path)
    with pytest.raises(HistoryError, match="schema 9"):
        load(tmp_path)
    with pytest.raises(FileNotFoundError):
        load(tmp_path / "nowhere")


def test_the_records_are_those_that_were_told() -> None:
    history = history_of(saved())
    assert [one.start for one in history.fills] == [0, UNIT // 10_000]
    assert (len(history.fundings), len(history.flows)) == (1, 1)
    assert history.opening is not None
    assert (history.opening.ts_ns, history.opening.cash) == (0, 0)
    assert [one.cash for one in history.readings] == [10_002 * UNIT // 100]
    assert history.mids["BTC"].double == (200_000 * UNIT, 200_100 * UNIT)
    assert history.mids_every_ns == 60 * 10**9
    assert history.mids_from == "the last trade of each candle of 1 min"
    assert set(history.markets) == {"BTC", "GONE", "@1"}
    assert history.cuts == []


def test_a_line_that_is_none_names_itself() -> None:
    with pytest.raises(HistoryError, match=r"fills\.jsonl line 2"):
        history_of(saved(fills=[raw(fill(0)), b"{}"]))
    for name in ("fundings", "transfers", "readings", "candles", "listing"):
        with pytest.raises(HistoryError, match=f"{name}.jsonl line 1"):
            history_of(saved(**{name: [b"[1]"]}))


def test_what_is_too_fine_for_us_has_no_market(tmp_path: Path) -> None:
    meta = {"universe": [{"name": "FINE", "szDecimals": 7, "maxLeverage": 3}]}
    spot = {
        "tokens": [{"name": "USDC", "index": 0, "szDecimals": 8}, {"name": "DUST", "index": 1, "szDecimals": 9}],
        "universe": [{"name": "@1", "index": 1, "tokens": [1, 0]}, {"name": "@9", "index": 9, "tokens": [7, 0]}],
    }
    history = history_of(saved(listing=[raw({"meta": meta}), raw({"spot": spot}), raw({"dex": "xyz", "place": 3})]))
    assert history.markets == {}


def test_a_file_that_is_too_long_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save(saved(), tmp_path)
    monkeypatch.setattr("hlhft.live.history_files.FILE_BYTES_MAX", 10)
    with pytest.raises(HistoryError, match="more than 10: ask for a shorter time"):
        load(tmp_path)


def test_pairs_in_another_currency_are_left_out_and_said() -> None:
    history = history_of(saved(fills=[raw(fill(0)), raw(fill(1, coin="@2"))]))
    assert [one.coin for one in history.fills] == ["BTC"]
    assert history.cuts == ["1 fills of pairs that are not quoted in USDC are left out: @2"]


def test_without_the_beginning_the_first_reading_opens() -> None:
    looks = [reading(state("5.0", START_MS + 500), USDC="1.0"), *saved().of("readings")]
    opened = history_of(saved(manifest={"is_from_the_beginning": False}, readings=looks))
    assert opened.opening is not None
    assert (opened.opening.cash, len(opened.readings)) == (6 * UNIT, 1)
    assert opened.cuts == ["1 fills before the first reading of the account are left out: its worth then is not known"]
    once = history_of(saved(manifest={"is_from_the_beginning": False}))
    assert once.opening is None
    assert len(once.readings) == 1


def test_two_histories_become_one_with_every_record_once() -> None:
    first = saved()
    later = saved(
        manifest={"from_ms": START_MS + 1_000, "until_ms": START_MS + HOUR_MS, "is_from_the_beginning": False,
                  "cuts": ("said",)},
        fills=[raw(fill(1)), raw(fill(2))], fundings=[raw(payment(5, START_MS + 50_000))], transfers=[],
        readings=[reading(state("100.0", START_MS + HOUR_MS))], candles=[candles("BTC", "100000.0", "1.0", "2.0")],
    )  # fmt: skip
    both = merged(later, first)
    assert list(both.of("fills")) == [raw(fill(number)) for number in range(3)]
    assert (len(both.of("fundings")), len(both.of("transfers")), len(both.of("readings"))) == (1, 1, 2)
    manifest = both.manifest
    assert (manifest.from_ms, manifest.until_ms, manifest.is_from_the_beginning, manifest.cuts) == (
        0, START_MS + HOUR_MS, True, ("said",),
    )  # fmt: skip
    mids = history_of(both).mids["BTC"]
    assert [double // (2 * UNIT) for double in mids.double] == [100_000, 1, 2], "what was told later stands"


def test_what_an_interrupted_asking_did_not_come_to_is_kept() -> None:
    first, stopped = saved(), {"is_whole": False, "is_from_the_beginning": False, "cuts": (INTERRUPTED,)}
    nothing = saved(
        manifest={**stopped, "from_ms": START_MS, "until_ms": 0}, fills=[raw(fill(0))], fundings=[], transfers=[],
        readings=[], candles=[], listing=[],
    )  # fmt: skip
    both = merged(nothing, first)
    assert {name: list(both.of(name)) for name in LISTS} == {name: list(first.of(name)) for name in LISTS}
    assert (both.manifest.is_whole, both.manifest.until_ms) == (False, first.manifest.until_ms)
    assert both.manifest.cuts == (INTERRUPTED,)
    again = merged(saved(), both)
    assert list(again.of("fills")) == list(first.of("fills"))
    assert (again.manifest.is_whole, again.manifest.is_from_the_beginning, again.manifest.cuts) == (True, True, ())
    assert not merged(saved(manifest={"from_ms": 1}), both).manifest.is_whole, "what was before is not asked again"


def test_what_the_venue_no_longer_tells_is_kept() -> None:
    told = [raw(fill(number)) for number in range(1, FILLS_REACH + 1)]
    both = merged(saved(fills=told, manifest={"is_from_the_beginning": False}), saved())
    assert list(both.of("fills")) == [raw(fill(0)), *told]


def test_what_was_told_before_stays_where_asking_again_was_interrupted() -> None:
    first = saved()
    later = saved(
        manifest={"from_ms": START_MS - 5_000, "is_whole": False}, fills=[raw(fill(1)), raw(fill(2))], fundings=[],
        transfers=[], readings=[], listing=[],
    )  # fmt: skip
    both = merged(later, first)
    assert list(both.of("fills")) == [raw(fill(number)) for number in range(3)]
    assert (len(both.of("fundings")), len(both.of("transfers")), len(both.of("listing"))) == (1, 1, 2)
    assert not both.manifest.is_whole
    mended = merged(saved(), both)
    assert mended.manifest == saved().manifest
    assert list(mended.of("fills")) == list(saved().of("fills"))


def test_a_record_without_a_time() -> None:
    assert time_of(b'{"time":5}') == 5
    with pytest.raises(HistoryError, match="no time"):
        time_of(b"{}")
