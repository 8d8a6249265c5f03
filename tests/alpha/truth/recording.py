"""A simulated path as a recording on disk, in the container that every command reads."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path as File

from hlhft.data.files import ProgressMeter
from hlhft.data.merge import Events, Numbered, by_row
from hlhft.data.readers.events_npz import write_events
from hlhft.data.sources import Source
from hlhft.units import Market
from tests.alpha.truth.generator import EVENTS_A_ROW, Path

MARKET = Market.perpetual("BTC", asset_id=0, size_decimals=5)
ROWS_AT_ONCE = 4_096


class Simulated(Source):
    """One path as a source; its book comes as snapshots."""

    reader = "simulated-1"
    unit = "row"
    snapshots_only = True

    def __init__(self, path: Path) -> None:
        super().__init__(f"simulated-{path.world.plant.value}", [], [MARKET], {})
        self._path = path

    def numbered(self, meter: ProgressMeter) -> Iterator[tuple[File, Numbered]]:
        """The events by number, of a file that is not there."""
        return ((File(self.name), rows) for rows in by_row(self._arrays(meter)))

    def _arrays(self, meter: ProgressMeter) -> Iterator[Events]:
        size = ROWS_AT_ONCE * EVENTS_A_ROW
        for at in range(0, len(self._path.events), size):
            yield self._path.events[at : at + size]


def write_recording(path: Path, file: File) -> None:
    """Writes `file`, an event container that `open_source` reads back."""
    source = Simulated(path)
    write_events(file, source.chunks(), source)
