"""Where in its files an event stands, so that a report can name the line."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from hlhft.data.errors import DataError
from hlhft.data.files import ProgressMeter
from hlhft.data.merge import Events
from hlhft.data.sources import Source
from hlhft.data.tally import Tally

# Flags are what readers set; everything else is as it was read.
_FIELDS = ("ts_local_ns", "ts_exch_ns", "kind", "market", "side", "price_ticks", "size_lots", "order_id")


def places_of(source: Source, wanted: Mapping[str, Events], *, repeated: frozenset[str]) -> dict[str, str]:
    """By name, the place of each wanted event (an array of one), as "line 12" or "line 12 of trades_BTC.csv".

    One pass over the files. Of equal events the first is meant, under the names in `repeated` the second. A name is
    missing where no file holds its event, as when a reader inferred it.
    """
    found: dict[str, str] = {}
    seen = dict.fromkeys(wanted, 0)
    kept, source.counts = source.counts, Tally()
    try:
        for path, (events, places) in source.numbered(ProgressMeter(None, 0)):
            suffix = f" of {path.name}" if len(source.files) > 1 else ""
            for name, event in wanted.items():
                limit = 2 if name in repeated else 1
                if seen[name] < limit:
                    matches = _matches(events, event)[: limit - seen[name]]
                    seen[name] += len(matches)
                    if len(matches):
                        found[name] = f"{source.unit} {places[matches[-1]]}{suffix}"
            if all(seen[name] == (2 if name in repeated else 1) for name in wanted):
                break
    except DataError:
        # The report names the unreadable place itself; what stands before it was looked at.
        return found
    finally:
        source.counts = kept
    return found


def _matches(events: Events, event: Events) -> np.ndarray:
    """Places in `events` of those equal to `event`."""
    equal = events[_FIELDS[0]] == event[_FIELDS[0]][0]
    for name in _FIELDS[1:]:
        if not equal.any():
            break
        equal &= events[name] == event[name][0]
    return np.flatnonzero(equal)
