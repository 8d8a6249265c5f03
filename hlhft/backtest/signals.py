"""Signal tracks: what models said over a recording, made beforehand, for a backtest that hears it when live would have.

A track is a .npz file of two arrays: `events`, EVENT_DTYPE[n] of the kinds SIGNAL and POLICY in order of `ts_local_ns`,
and `meta`, uint8[n], a TrackMeta in JSON. `ts_exch_ns` is when the data was known that an event rests on, `ts_local_ns`
when it reached the engine: the first, and what computing and transport took. It is read as any file of strangers is:
nothing in it is unpickled, and whatever a replay could not do with is refused.
"""

from __future__ import annotations

import hashlib
import io
import os
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import msgspec
import numpy as np

from hlhft.backtest.recordings import Recording
from hlhft.core.signals import E9, POLICY_LIFE_NS_MAX
from hlhft.data.errors import DataError
from hlhft.data.npz import rows_of
from hlhft.data.times import out_of_range
from hlhft.events import EVENT_DTYPE, EventKind
from hlhft.report.origins import Origin

VERSION = 1
EVENTS_MAX = 1 << 24  # a gigabyte in memory; a signal every half second for three months
META_BYTES_MAX = 1 << 20
_KINDS = (int(EventKind.SIGNAL), int(EventKind.POLICY))
_ENDS = (np.iinfo(np.int64).min, np.iinfo(np.int64).max)  # what a float that is no number becomes
_EVENTS, _META = "events", "meta"


class TrackMeta(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a track was made from and how."""

    version: int = VERSION
    recording: str  # its name, for people
    fingerprint: str  # hlhft.data.sources.Source.fingerprint of it
    profile: str  # the feed profile that the features saw
    markets: tuple[str, ...]  # names of the recording's markets, by the events' `market`
    model_ids: tuple[int, ...]  # of models and policies
    origins: tuple[Origin, ...]  # of each of them
    compute_ns: int  # median of what computing took
    transport_ns: int  # median of what transport took, both ways
    latency: str  # where the two come from, in words
    schema_hash: str = ""  # of the features


@dataclass(frozen=True)
class SignalTrack:
    """A track that was found in order; `digest`, 32 hexadecimal digits, is that of its events and its meta."""

    name: str
    digest: str
    events: np.ndarray  # EVENT_DTYPE[n]
    meta: TrackMeta

    def record(self) -> dict[str, object]:
        """What identifies it, for the run's record."""
        return {
            "name": self.name,
            "digest": self.digest,
            "events": len(self.events),
            "model_ids": [f"{one:016x}" for one in self.meta.model_ids],  # as alpha.models names them
            "schema_hash": self.meta.schema_hash,
            "compute_ns": self.meta.compute_ns,
            "transport_ns": self.meta.transport_ns,
            "latency": self.meta.latency,
        }

    def check(self, recording: Recording) -> None:
        """Raises DataError when the track was made for another recording, or for another feed of it."""
        names = tuple(market.name for market in recording.markets)
        if self.meta.fingerprint != recording.fingerprint or self.meta.markets != names:
            raise DataError(
                self.name,
                None,
                f"this track was made for the recording {self.meta.recording} ({self.meta.fingerprint[:8]}), and the"
                f" backtest is of {recording.name} ({recording.fingerprint[:8]}); make a track for it",
            )
        if self.meta.profile != recording.profile:
            raise DataError(
                self.name,
                None,
                f"its models saw the feed as profile {self.meta.profile} shows it, and the backtest's strategy sees"
                f" profile {recording.profile}; give --feed-profile {self.meta.profile}, or make the track again",
            )


def write_track(path: Path, events: np.ndarray, meta: TrackMeta) -> str:
    """Writes a track and returns its digest; equal events and meta give equal bytes.

    The file appears under its name when complete and on disk; an earlier one stays until then. Raises DataError when
    events or meta are not what a track holds, or when it cannot be written.
    """
    encoded = np.frombuffer(msgspec.json.encode(meta), np.uint8)
    _check(path, events, meta)
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        with partial.open("wb") as file:
            with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
                for name, array in ((_EVENTS, events), (_META, encoded)):
                    # Not writestr: it records the time of day.
                    with archive.open(f"{name}.npy", "w", force_zip64=True) as stream:
                        np.lib.format.write_array(cast(io.BufferedIOBase, stream), array, allow_pickle=False)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    except OSError as error:
        raise DataError(
            path, None, f"the track cannot be written ({error.strerror}), give a name in a folder with room"
        ) from None
    finally:
        partial.unlink(missing_ok=True)
    return _digest(events, encoded)


def read_track(path: Path) -> SignalTrack:
    """The track in a file. Raises DataError when it is none, damaged, or holds what a replay could not do with."""
    if not path.exists():
        raise DataError(path, None, "there is no such track, make one with `hlhft signals`")
    encoded = _whole(path, _META, np.dtype(np.uint8), META_BYTES_MAX)
    try:
        meta = msgspec.json.decode(encoded.tobytes(), type=TrackMeta)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise DataError(
            path, f"member {_META}", f"it is no description of a track ({error}), make the track again"
        ) from None
    if meta.version != VERSION:
        raise DataError(
            path,
            f"member {_META}",
            f"its version {meta.version} is not {VERSION}, make the track again with this hlhft",
        )
    events = _whole(path, _EVENTS, EVENT_DTYPE, EVENTS_MAX)
    _check(path, events, meta)
    return SignalTrack(path.name, _digest(events, encoded), events, meta)


def _whole(path: Path, member: str, dtype: np.dtype[Any], most: int) -> np.ndarray:
    """The whole array; what is longer than `most` is refused before it is in memory."""
    parts, count = [], 0
    for rows in rows_of(path, member, dtype):
        count += len(rows)
        if count > most:
            raise DataError(
                path, f"member {member}", f"it has more than {most} rows, make a track of a shorter recording"
            )
        parts.append(rows)
    return np.concatenate(parts) if parts else np.zeros(0, dtype)


def _digest(events: np.ndarray, encoded: np.ndarray) -> str:
    digest = hashlib.blake2b(digest_size=16)
    digest.update(encoded.tobytes() + b"\0")
    digest.update(np.ascontiguousarray(events).tobytes())
    return digest.hexdigest()


def _check(path: Path, events: np.ndarray, meta: TrackMeta) -> None:
    """Raises DataError for the first event, or part of the meta, that no track holds."""
    if not meta.markets or not meta.model_ids or min(meta.compute_ns, meta.transport_ns, *meta.model_ids) < 0:
        raise DataError(path, f"member {_META}", "it names no market or model, or a time below 0, make the track again")
    if events.dtype != EVENT_DTYPE or events.ndim != 1 or len(events) > EVENTS_MAX:
        raise DataError(path, f"member {_EVENTS}", f"a track holds at most {EVENTS_MAX} records of the event's dtype")
    signal, policy = (events["kind"] == kind for kind in _KINDS)
    move, deviation = events["price_ticks"], events["size_lots"]
    numbers = np.ones(len(events), bool)
    for name in ("price_ticks", "size_lots", "order_id", "aux0", "aux1"):
        numbers &= (events[name] != _ENDS[0]) & (events[name] != _ENDS[1])
    faults = (
        (~signal & ~policy, "it is neither a signal nor a policy"),
        (events["market"] >= len(meta.markets), "its market is none of the track's"),
        (out_of_range(events["ts_exch_ns"]) | out_of_range(events["ts_local_ns"]), "its times are none of an exchange"),
        (events["ts_local_ns"] < events["ts_exch_ns"], "it arrives before the data that it rests on"),
        (np.append(False, np.diff(events["ts_local_ns"]) < 0), "it arrives before the event above it"),
        (~numbers, "one of its values is no number"),
        (
            signal & ((move < -E9) | (move > E9) | (deviation < 0)),
            "its move exceeds the mid, or its deviation is below 0",
        ),
    )
    for wrong, words in faults:
        if wrong.any():
            raise DataError(path, f"event {int(np.argmax(wrong))}", f"{words}, make the track again")


def valid_ns(events: np.ndarray, kind: EventKind, market: int, first_ns: int, last_ns: int) -> int:
    """For how much of the time from `first_ns` to `last_ns` an event of this kind stood in this market.

    One stands from its arrival until it expires or the next one takes its place, as in `hlhft.core.signals`.
    """
    own = events[(events["kind"] == int(kind)) & (events["market"] == market)]
    begins, ends = own["ts_local_ns"], own["aux0"]
    if kind is EventKind.POLICY:
        heard = ends > begins  # one that expired on its way is not heard, and the one before it goes on
        begins, ends = begins[heard], np.minimum(ends[heard], begins[heard] + POLICY_LIFE_NS_MAX)
    ends = np.minimum(ends, np.append(begins[1:], last_ns))
    stood = np.minimum(ends, last_ns) - np.maximum(begins, first_ns)
    return int(np.maximum(stood, 0).sum())
