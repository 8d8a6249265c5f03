"""A block that cannot be made is no reason not to run."""

from __future__ import annotations

import time
from pathlib import Path

from hlhft.monitor.block import block_path, read_block
from hlhft.monitor.metrics import Source
from hlhft.monitor.opening import opened


def test_a_block_is_made_where_it_belongs(tmp_path: Path) -> None:
    said: list[str] = []
    made = opened(tmp_path / "new", Source.ALPHA, labels={}, clock_ns=time.time_ns, say=said.append)
    made.values[made.slot("hlhft_alpha_rows_total")] = 3.0
    made.end()
    (sample,) = read_block(block_path(tmp_path / "new", Source.ALPHA)).series
    assert sample.value == 3.0
    assert said == []


def test_where_it_cannot_be_made_it_is_told_and_all_goes_on(tmp_path: Path) -> None:
    said: list[str] = []
    (tmp_path / "file").write_text("no folder")
    made = opened(tmp_path / "file", Source.ALPHA, labels={}, clock_ns=time.time_ns, say=said.append)
    made.values[made.slot("hlhft_alpha_rows_total")] = 3.0
    made.end()
    made.close()
    assert len(said) == 1 and "set metrics.folder" in said[0]
