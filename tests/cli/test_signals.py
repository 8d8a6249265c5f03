"""`hlhft signals`: a track over the recording that ships with hlhft, which a backtest then hears."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from hlhft.alpha.bundle import predictor
from hlhft.alpha.rows import feature_rows
from hlhft.alpha.schema import FeatureSchema
from hlhft.backtest.signals import read_track
from hlhft.cli import invoke
from hlhft.cli.errors import ExitCode
from hlhft.data.samples import bundled
from hlhft.data.sources import open_source
from tests.alpha.serving.small import LENGTH, small_model

pytestmark = pytest.mark.alpha
SCHEMA = FeatureSchema(levels=2, half_life_ms=640, clock_ms=1000)


def test_a_track_says_what_the_model_says_and_a_backtest_hears_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bundle = small_model(tmp_path / "model", SCHEMA)
    track = tmp_path / "track.npz"
    line = ["signals", str(tmp_path / "model"), str(bundled()), "-o", str(track), "--latency-us", "700"]
    assert invoke([*line, "--json"]) == ExitCode.OK
    told = json.loads(capsys.readouterr().out)
    found = read_track(track)
    assert len(found.events) == told["events"] > 100 and found.digest == told["digest"]
    assert found.meta.model_ids == (bundle.model_id,) and found.meta.transport_ns == 700_000
    assert found.meta.origins[0].blocks["train"][0].coin == "BTC"
    rows = list(feature_rows(open_source(bundled()), SCHEMA, profile=found.meta.profile))
    heads, values = (np.concatenate(parts) for parts in zip(*rows))
    places = {int(sequence): place for place, sequence in enumerate(heads["sequence"])}
    ask = predictor(bundle, tmp_path / "model").predict
    signals = found.events[found.events["aux0"] > 0]
    for event in signals[:: max(len(signals) // 20, 1)]:
        place = places[int(event["order_id"])]
        answer = ask(values[None, place - LENGTH + 1 : place + 1])
        move = min(max(float(answer.mu_bp[0, 0]) * 1e5, -2e6), 2e6)
        assert abs(int(event["price_ticks"]) - move) <= 1
        assert event["ts_local_ns"] - event["ts_exch_ns"] == 700_000
        assert event["ts_exch_ns"] == heads["ts_local_ns"][place]
    digest = found.digest
    assert invoke(line) == ExitCode.OK and read_track(track).digest == digest
    capsys.readouterr()
    folder = tmp_path / "run"
    code = invoke(["backtest", str(bundled()), "--signals", str(track), "--output", str(folder), "--json"])
    assert code == ExitCode.OK
    assert digest in capsys.readouterr().out


def test_what_cannot_be_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    line = ["signals", str(tmp_path), str(bundled()), "-o", str(tmp_path / "t.npz")]
    assert invoke(line) == ExitCode.DATA
    assert "bundle.json" in capsys.readouterr().err
    assert invoke([*line, "--latency-us", "1", "--latencies", "x"]) == ExitCode.USAGE
    assert "give one of them" in capsys.readouterr().err
    assert not (tmp_path / "t.npz").exists()
