"""The bundled sample, decoded once."""

from __future__ import annotations

import pytest

from hlhft.data.merge import Events
from hlhft.data.samples import bundled
from hlhft.data.sources import open_source
from tests.data.making import rows_of


@pytest.fixture(scope="session")
def sample() -> tuple[Events, dict[str, int]]:
    """(rows, counts) of the sample as hftbacktest's converter takes it: no ticker, the snapshot as it came."""
    source = open_source(bundled(), book_ticker=False, mend_snapshots=False)
    return rows_of(source), dict(source.counts)
