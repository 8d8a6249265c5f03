from pathlib import Path as File

import numpy as np

from hlhft.data.sources import open_source
from hlhft.data.validate import examine
from tests.alpha.truth.generator import Plant, World, simulate
from tests.alpha.truth.recording import MARKET, write_recording


def test_what_is_written_is_read_back(tmp_path: File) -> None:
    path = simulate(World(plant=Plant.CROSSED), 5_000, 1)
    write_recording(path, tmp_path / "simulated.npz")
    source = open_source(tmp_path / "simulated.npz")
    assert source.markets == (MARKET,) and source.snapshot_markets == (True,)
    assert np.concatenate(list(source.chunks())).tobytes() == path.events.tobytes()
    assert source.counts.total() == 0


def test_it_passes_what_every_recording_has_to_pass(tmp_path: File) -> None:
    write_recording(simulate(World(plant=Plant.CROSSED), 2_000, 1), tmp_path / "simulated.npz")
    assert examine(open_source(tmp_path / "simulated.npz")).findings == []
