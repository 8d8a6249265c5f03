"""Signal tracks on disk: what is written is read back, and nothing that a replay could not do with gets in."""

from __future__ import annotations

import pickle
import zipfile
from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hlhft.backtest import signals
from hlhft.backtest.recordings import Recording
from hlhft.backtest.signals import TrackMeta, read_track, valid_ns, write_track
from hlhft.core.signals import POLICY_LIFE_NS_MAX
from hlhft.data.errors import DataError
from hlhft.events import EVENT_DTYPE, EventKind
from hlhft.report.origins import Origin, Span
from hlhft.units import Market
from tests.core.worlds import SECOND, START, event

MARKETS = (Market.perpetual("BTC", asset_id=0, size_decimals=5), Market.perpetual("ETH", asset_id=1, size_decimals=4))
ORIGIN = Origin(what="model 5", blocks={"train": (Span(coin="BTC", from_ns=1, to_ns=2),)}, embargo_ns=3)
META = TrackMeta(
    recording="a recording", fingerprint="f" * 32, profile="2026", markets=("BTC", "ETH"), model_ids=(5, 2**63 - 1),
    origins=(ORIGIN,), compute_ns=400_000, transport_ns=150_000, latency="measured", schema_hash="s" * 32,
)  # fmt: skip
RECORDING = Recording(
    name="a recording", fingerprint="f" * 32, profile="2026", markets=MARKETS, files=(), events=0, counts={}
)  # fmt: skip


def signal(at_s: float, move: int = 100, *, life_s: float = 1.0, market: int = 0) -> np.ndarray:
    now = START + round(at_s * SECOND)
    return event(EventKind.SIGNAL, now, price_ticks=move, size_lots=5, aux0=now + round(life_s * SECOND), market=market)


def policy(at_s: float, *, life_s: float = 5.0, market: int = 0) -> np.ndarray:
    now = START + round(at_s * SECOND)
    values = {"price_ticks": 2_000_000, "size_lots": 1_000_000, "order_id": 1_000_000}
    return event(EventKind.POLICY, now, aux0=now + round(life_s * SECOND), market=market, **values)


def some() -> np.ndarray:
    return np.concatenate([signal(0), policy(0), signal(1, market=1), signal(1.5), policy(5)])


def test_a_track_is_read_back_as_it_was_written(tmp_path: Path) -> None:
    path = tmp_path / "one.npz"
    digest = write_track(path, some(), META)
    track = read_track(path)
    assert (track.name, track.digest, track.meta) == ("one.npz", digest, META)
    assert track.events.tobytes() == some().tobytes() and track.events.dtype == EVENT_DTYPE
    assert len(digest) == 32
    with np.load(path, allow_pickle=False) as plain:
        assert plain["events"].tobytes() == some().tobytes()
        assert msgspec.json.decode(plain["meta"].tobytes(), type=TrackMeta) == META


def test_an_empty_track_is_one(tmp_path: Path) -> None:
    write_track(tmp_path / "none.npz", some()[:0], META)
    assert len(read_track(tmp_path / "none.npz").events) == 0


def test_equal_tracks_are_equal_files_and_any_change_is_another_digest(tmp_path: Path) -> None:
    first, again = tmp_path / "first.npz", tmp_path / "again.npz"
    digest = write_track(first, some(), META)
    assert write_track(again, some(), META) == digest and again.read_bytes() == first.read_bytes()
    other = some()
    other["order_id"][2] += 1
    assert write_track(again, other, META) != digest
    assert write_track(again, some(), msgspec.structs.replace(META, compute_ns=1)) != digest
    assert sorted(path.name for path in tmp_path.iterdir()) == ["again.npz", "first.npz"]


def test_a_track_that_cannot_be_written_leaves_the_earlier_one(tmp_path: Path) -> None:
    path = tmp_path / "one.npz"
    write_track(path, some(), META)
    before = path.read_bytes()
    with pytest.raises(DataError, match="above it"):
        write_track(path, some()[::-1].copy(), META)
    with pytest.raises(DataError, match="cannot be written"):
        write_track(tmp_path / "missing" / "one.npz", some(), META)
    assert path.read_bytes() == before


def changed(**fields: int) -> np.ndarray:
    """`some` with these fields of its third event."""
    events = some()
    for name, value in fields.items():
        events[name][2] = value
    return events


LEAST, MOST = -(2**63), 2**63 - 1


@pytest.mark.parametrize(
    ("events", "words"),
    [
        (changed(kind=int(EventKind.TIMER)), "neither a signal nor a policy"),
        (changed(kind=int(EventKind.OPERATOR_COMMAND)), "neither a signal nor a policy"),
        (changed(market=2), "none of the track's"),
        (changed(ts_exch_ns=-1), "times are none"),
        (changed(ts_local_ns=2**62), "times are none"),
        (changed(ts_exch_ns=START + 2 * SECOND), "before the data"),
        (changed(ts_local_ns=START - 1, ts_exch_ns=START - 2), "before the event above it"),
        (changed(price_ticks=LEAST), "no number"),
        (changed(size_lots=MOST), "no number"),
        (changed(aux0=MOST), "no number"),
        (changed(price_ticks=10**9 + 1), "exceeds the mid"),
        (changed(size_lots=-1), "below 0"),
    ],
)
def test_an_event_that_no_track_holds_is_refused_by_its_place(events: np.ndarray, words: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=words) as raised:
        write_track(tmp_path / "one.npz", events, META)
    assert raised.value.line == "event 2"


def put(path: Path, **members: bytes | np.ndarray) -> Path:
    """An archive of these members, arrays as they are saved."""
    with zipfile.ZipFile(path, "w") as archive:
        for name, value in members.items():
            with archive.open(f"{name}.npy", "w") as stream:
                if isinstance(value, bytes):
                    stream.write(value)
                else:
                    np.lib.format.write_array(stream, value, allow_pickle=True)
    return path


def meta_bytes(**changes: object) -> np.ndarray:
    return np.frombuffer(msgspec.json.encode({**msgspec.to_builtins(META), **changes}), np.uint8)


@pytest.mark.parametrize(
    ("members", "words"),
    [
        ({"events": some()}, "no member meta"),
        ({"meta": meta_bytes()}, "no member events"),
        ({"events": some(), "meta": np.frombuffer(b"{", np.uint8)}, "no description of a track"),
        ({"events": some(), "meta": meta_bytes(version=2)}, "version 2 is not 1"),
        ({"events": some(), "meta": meta_bytes(more=1)}, "no description of a track"),
        ({"events": some(), "meta": meta_bytes(markets=[])}, "names no market"),
        ({"events": some(), "meta": meta_bytes(model_ids=[])}, "names no market or model"),
        ({"events": some(), "meta": meta_bytes(compute_ns=-1)}, "below 0"),
        ({"events": some(), "meta": meta_bytes(markets=["BTC"])}, "event 2: its market"),
        ({"events": np.zeros(3), "meta": meta_bytes()}, "columns are float64"),
        ({"events": np.array([{1: 2}], object), "meta": meta_bytes()}, "columns are object"),
        ({"events": some().reshape(1, -1), "meta": meta_bytes()}, "2 dimensions"),
        ({"events": b"\x93NUMPY\x01\x00", "meta": meta_bytes()}, "no array"),
        ({"events": pickle.dumps([1]), "meta": meta_bytes()}, "no array"),
    ],
)
def test_a_file_that_is_no_track_is_refused_in_a_sentence(members: dict, words: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=words):
        read_track(put(tmp_path / "one.npz", **members))


def test_a_long_track_is_refused_before_it_is_in_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "one.npz"
    write_track(path, some(), META)
    monkeypatch.setattr(signals, "EVENTS_MAX", 4)
    with pytest.raises(DataError, match="more than 4 rows"):
        read_track(path)


@settings(deadline=None, max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_damaged_track_is_refused_or_reads_as_it_was(data: st.DataObject, tmp_path: Path) -> None:
    path = tmp_path / "one.npz"
    digest = write_track(path, some(), META)
    whole = bytearray(path.read_bytes())
    if data.draw(st.booleans()):
        whole = whole[: data.draw(st.integers(0, len(whole) - 1))]
    else:
        whole[data.draw(st.integers(0, len(whole) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    path.write_bytes(whole)
    try:
        assert read_track(path).digest == digest
    except DataError as error:
        assert "\n" not in str(error)


def test_a_track_of_another_recording_or_feed_is_refused(tmp_path: Path) -> None:
    write_track(tmp_path / "one.npz", some(), META)
    track = read_track(tmp_path / "one.npz")
    track.check(RECORDING)
    for other in (
        replace(RECORDING, fingerprint="e" * 32),
        replace(RECORDING, markets=MARKETS[::-1]),
        replace(RECORDING, markets=MARKETS[:1]),
    ):
        with pytest.raises(DataError, match="made for the recording a recording"):
            track.check(other)
    with pytest.raises(DataError, match="--feed-profile 2026"):
        track.check(replace(RECORDING, profile="recorded"))


def test_the_record_says_who_spoke_and_how_late(tmp_path: Path) -> None:
    digest = write_track(tmp_path / "one.npz", some(), META)
    record = read_track(tmp_path / "one.npz").record()
    assert record["digest"] == digest and record["model_ids"] == ["0000000000000005", "7fffffffffffffff"]
    assert (record["compute_ns"], record["transport_ns"], record["latency"]) == (400_000, 150_000, "measured")
    assert msgspec.json.decode(msgspec.json.encode(record)) == record


def stood(
    events: np.ndarray, kind: EventKind = EventKind.SIGNAL, market: int = 0, first: float = 0.0, last: float = 10.0
) -> float:
    return valid_ns(events, kind, market, START + round(first * SECOND), START + round(last * SECOND)) / SECOND


def test_a_signal_stands_until_it_expires_or_the_next_one_comes() -> None:
    events = np.concatenate([signal(1), signal(1.5), signal(4, life_s=100), policy(5), signal(8, market=1)])
    # 0.5 s until the second, its whole second, and from 4 to the end at 10.
    assert stood(events) == 0.5 + 1.0 + 6.0
    assert stood(events, first=2.0, last=5.0) == 0.5 + 1.0
    assert stood(events, market=1) == 1.0
    assert stood(events, EventKind.POLICY) == 5.0
    assert stood(events[:0]) == 0.0


def test_a_signal_that_expired_on_its_way_ends_the_one_before_and_such_a_policy_does_not() -> None:
    assert stood(np.concatenate([signal(1, life_s=5), signal(2, life_s=-1)])) == 1.0
    assert stood(np.concatenate([policy(1, life_s=5), policy(2, life_s=-1)]), EventKind.POLICY) == 5.0
    assert stood(policy(0, life_s=1000), EventKind.POLICY, last=900.0) == POLICY_LIFE_NS_MAX / SECOND


def test_a_track_that_is_not_there_is_not_taken_for_a_recording(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="there is no such track, make one with `hlhft signals`"):
        read_track(tmp_path / "nothing.npz")
