"""`hlhft backtest` with signals and with parameters of known origin: heard, told, and refused where they learned."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from hlhft.backtest.recordings import compile_recording
from hlhft.backtest.signals import TrackMeta, write_track
from hlhft.cli import invoke
from hlhft.cli.errors import ExitCode
from hlhft.data.sources import open_source
from hlhft.events import EventKind
from hlhft.report.origins import STAMP, Origin, Span
from tests.cli.test_backtest import Captured, folder, refused, sample
from tests.core.worlds import event

assert folder, sample  # fixtures
DAY = 86_400_000_000_000


def span_of(sample: str) -> tuple[int, int]:
    return compile_recording(open_source(Path(sample)), profile="recorded").span_ns()


def track(sample: str, name: str = "track.npz", *, move: int = 0, blocks: dict | None = None, **changes: object) -> str:
    """A track of a signal and a policy every 100 ms over the sample, valid for 50 ms; what it was made from."""
    source = open_source(Path(sample))
    first, last = span_of(sample)
    parts = []
    for now in range(first, last, 100_000_000):
        until = now + 50_000_000
        parts.append(event(EventKind.SIGNAL, now, price_ticks=move, size_lots=1, aux0=until, aux1=5))
        values = {"price_ticks": 1_000_000, "size_lots": 1_000_000, "order_id": 9_000_000}
        parts.append(event(EventKind.POLICY, now, aux0=until, **values))
    meta = {
        "recording": source.name, "fingerprint": source.fingerprint(), "profile": "recorded", "model_ids": (5,),
        "markets": tuple(market.name for market in source.markets), "compute_ns": 1, "transport_ns": 2,
        "latency": "none", "origins": (Origin(what="model 5", blocks=blocks or {}, embargo_ns=DAY),),
    }  # fmt: skip
    write_track(Path(name), np.concatenate(parts), TrackMeta(**{**meta, **changes}))
    return name


def spans(first: int, last: int) -> tuple[Span, ...]:
    return (Span(coin="BTC", from_ns=first, to_ns=last),)


def results(folder: str = "out") -> dict:
    return json.loads(Path(folder, "results.json").read_text())


def test_signals_are_heard_recorded_and_told(sample: str, capsys: Captured) -> None:
    base = ["backtest", sample, "--output", "out"]
    assert invoke([*base, "--signals", track(sample)]) == ExitCode.OK
    assert "What" not in capsys.readouterr().err
    run = json.loads(Path("out", "run.json").read_text())
    assert (
        run["settings"]["signals"]["model_ids"] == ["0000000000000005"]
        and len(run["settings"]["signals"]["digest"]) == 32
    )
    told = results()["signals"]
    (name,) = told["signal_stood"]
    assert told["signal_stood"][name] == pytest.approx(0.5, abs=0.05)
    assert told["policy_stood"][name] == pytest.approx(0.5, abs=0.05)
    assert told["policies_clamped"] > 0 and told["signals_ignored"] == told["policies_ignored"] == 0
    assert results()["in_sample"] == []
    assert STAMP not in Path("out", "report.html").read_text()


def test_a_signal_changes_what_is_quoted_and_none_changes_nothing(sample: str, capsys: Captured) -> None:
    def fills(*arguments: str) -> list:
        assert invoke(["backtest", sample, "--param", "half_spread_bp_max=1", "--output", "out", *arguments]) == 0
        return [one["profit"]["exact"] for one in results()["scenarios"]]

    assert fills() == fills()
    assert fills("--signals", track(sample, move=-10_000_000)) != fills()
    assert "signals" not in json.loads(Path("out", "run.json").read_text())["settings"]


def test_a_track_of_another_recording_is_refused(sample: str, capsys: Captured) -> None:
    other = track(sample, "other.npz", fingerprint="0" * 32)
    said = refused(capsys, sample, "--signals", other, code=ExitCode.DATA)
    assert "other.npz" in said and "made for the recording" in said and "make a track for it" in said
    feed = track(sample, "feed.npz", profile="2026")
    assert "--feed-profile 2026" in refused(capsys, sample, "--signals", feed, code=ExitCode.DATA)
    Path("none.npz").write_bytes(b"no archive")
    assert "damaged" in refused(capsys, sample, "--signals", "none.npz", code=ExitCode.DATA)
    assert "missing.npz" in refused(capsys, sample, "--signals", "missing.npz", code=ExitCode.DATA)


@pytest.mark.parametrize("block", ["train", "stop", "calibrate"])
def test_a_backtest_of_what_a_model_learned_from_is_refused_or_stamped(
    sample: str, block: str, capsys: Captured
) -> None:
    first, last = span_of(sample)
    learned = track(sample, blocks={block: spans(first - DAY, first + 1), "test": spans(first, last)})
    said = refused(capsys, sample, "--signals", learned, code=ExitCode.USAGE)
    assert "model 5 was" in said and "2024-08-0" in said and "--in-sample" in said
    assert invoke(["backtest", sample, "--signals", learned, "--in-sample", "--output", "out"]) == ExitCode.OK
    printed = capsys.readouterr().out
    assert printed.count(STAMP) >= 3
    assert [one["stamp"] for one in results()["scenarios"]] == [STAMP] * 3
    assert json.loads(Path("out", "run.json").read_text())["stamp"] == STAMP


def test_the_embargo_counts_and_the_test_block_does_not(sample: str, capsys: Captured) -> None:
    first, last = span_of(sample)
    near = track(sample, blocks={"train": spans(first - 3 * DAY, first - DAY // 2)})
    assert "embargo of 1 d" in refused(capsys, sample, "--signals", near, code=ExitCode.USAGE)
    far = track(sample, blocks={"train": spans(first - 3 * DAY, first - 2 * DAY), "test": spans(first, last)})
    for arguments in ([], ["--in-sample"]):
        assert invoke(["backtest", sample, "--signals", far, "--output", "out", *arguments]) == ExitCode.OK
        assert results()["in_sample"] == []


def chosen(first: int, last: int, *, params: str = "levels = 2") -> str:
    Path("chosen.toml").write_text(
        f'[strategy]\nname = "two_sided"\n[strategy.params]\n{params}\n'
        f'[strategy.fitted]\nby = "a sweep"\ncoins = ["BTC"]\nfrom_ns = {first}\nuntil_ns = {last}\n'
    )
    return "chosen.toml"


def test_swept_parameters_are_refused_on_the_time_that_they_were_chosen_on(sample: str, capsys: Captured) -> None:
    first, last = span_of(sample)
    for option in ("--params-file", "--config"):
        said = refused(capsys, sample, option, chosen(first, last), code=ExitCode.USAGE)
        assert "the set of parameters by a sweep was chosen on BTC" in said
    base = ["backtest", sample, "--params-file", "chosen.toml", "--output", "out"]
    assert invoke([*base, "--in-sample"]) == ExitCode.OK
    assert len(results()["in_sample"]) == 1
    settings = json.loads(Path("out", "run.json").read_text())["settings"]
    assert settings["strategy"] == "two_sided" and settings["params"]["levels"] == 2
    assert settings["origins"][0]["blocks"]["chosen"][0]["from_ns"] == first
    # What the user says anew was not chosen there; a strategy of the user's own has parameters of its own.
    assert invoke([*base, "--param", "levels=3"]) == ExitCode.OK
    assert invoke(["backtest", sample, "--config", "chosen.toml", "--strategy", "two_sided", "--output", "out"]) == 0
    assert results()["in_sample"] == []


def test_parameters_of_another_time_or_of_no_known_origin_pass(sample: str, capsys: Captured) -> None:
    first, _ = span_of(sample)
    for from_ns, until_ns in ((first - 2 * DAY, first - DAY), (0, 0)):
        path = chosen(from_ns, until_ns)
        assert invoke(["backtest", sample, "--params-file", path, "--output", "out"]) == ExitCode.OK
        assert results()["in_sample"] == []


def test_a_file_of_parameters_says_all_of_it(sample: str, capsys: Captured) -> None:
    path = chosen(1, 2)
    both = refused(capsys, sample, "--params-file", path, "--strategy", "glft", code=ExitCode.USAGE)
    assert "leave --strategy out" in both
    Path("empty.toml").write_text('[strategy]\nname = "two_sided"\n')
    assert "holds no parameters" in refused(capsys, sample, "--params-file", "empty.toml", code=ExitCode.USAGE)
    Path("late.toml").write_text("[strategy.fitted]\nfrom_ns = 3\nuntil_ns = 2\n")
    assert "ends before it begins" in refused(capsys, sample, "--params-file", "late.toml", code=ExitCode.USAGE)


def test_what_a_sweep_chose_is_refused_where_it_was_chosen(sample: str, capsys: Captured) -> None:
    sweep = ["sweep", sample, "--strategy", "two_sided", "--param", "half_spread_bp=0.5,2", "--no-selection"]
    assert invoke([*sweep, "--jobs", "1", "--output", "swept"]) == ExitCode.OK
    capsys.readouterr()
    said = refused(capsys, sample, "--params-file", "swept/chosen.toml", code=ExitCode.USAGE)
    assert "by a sweep of 2 sets was chosen on" in said
    base = ["backtest", sample, "--params-file", "swept/chosen.toml", "--in-sample", "--output", "out"]
    assert invoke(base) == ExitCode.OK
    best = json.loads(Path("out", "run.json").read_text())["settings"]["params"]["half_spread_bp"]
    profits = {}
    for half in (0.5, 2.0):
        again = ["backtest", sample, "--strategy", "two_sided", "--param", f"half_spread_bp={half}", "--output", "one"]
        assert invoke(again) == ExitCode.OK
        profits[half] = results("one")["scenarios"][0]["profit"]["usdc"]
    assert profits[best] == max(profits.values())
