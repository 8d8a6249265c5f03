"""A backtest's settings come from the configuration and hold the mission's limits; a run has three fee scenarios."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

import msgspec
import numpy as np
import pytest

from hlhft import __version__
from hlhft.backtest.models import ModelError, parse_fees, parse_queue
from hlhft.backtest.parameter_sets import choose_sets
from hlhft.backtest.recordings import Recording, RowFile
from hlhft.backtest.rows import EXCHANGE_BIT, FRAME_BIT, LEVEL, LOCAL_BIT, LOTS_SHIFT, ROW_DTYPE, SELL_BIT, TRADE
from hlhft.backtest.session import (
    Backtest,
    Settings,
    faults_of,
    in_sample,
    limits_of,
    origins_of,
    plan_of,
    prepare_backtest,
    profile_of,
    refuse_slow,
    rules_of,
    run_backtest,
    settings_of,
)
from hlhft.backtest.signals import SignalTrack, TrackMeta
from hlhft.backtest.sweep import run_sweep
from hlhft.compiled import running_key
from hlhft.config.settings import Config, Risk, limit_values
from hlhft.core.state import LIMITS_DTYPE, Feature, Mode
from hlhft.data.errors import DataError
from hlhft.events import EVENT_DTYPE
from hlhft.report.origins import Origin, Span
from hlhft.strategies import StrategyError, failures, load
from hlhft.units import GridRule, Market
from hlhft.venue.queue import QueueModel

ROOT = Path(__file__).resolve().parents[2]
MISBEHAVING = ROOT / "tests" / "strategies_that_misbehave"
MIRROR = ROOT / "tests" / "bench" / "strategies" / "mirror.py"
START_NS = 1_700_000_000_000_000_000
MS = 1_000_000
BID, ASK = 600_000, 600_010  # ticks of a tenth: 60,000.0 and 60,001.0


def row(at_ms: int, kind: int, side: int, ticks: int, lots: int) -> tuple[int, int, int, int]:
    """One row that the venue has at `at_ms` and we 5 ms later; `side` +1 a bid or a buyer's trade."""
    word = lots << LOTS_SHIFT | kind | EXCHANGE_BIT | LOCAL_BIT | FRAME_BIT | (SELL_BIT if side < 0 else 0)
    return START_NS + at_ms * MS, word, ticks, 5 * MS


def still_market() -> list[tuple[int, int, int, int]]:
    """One level a side for two seconds, and after 1 s a seller who takes all the bids and a thousand lots more."""
    rows = [row(0, LEVEL, 1, BID, 500), row(0, LEVEL, -1, ASK, 500)]
    rows += [row(at_ms, LEVEL, -1, ASK + 10, 300 + at_ms) for at_ms in range(100, 1000, 100)]
    rows += [row(1000, TRADE, -1, BID, 1500)]
    return rows + [row(at_ms, LEVEL, -1, ASK + 10, 300 + at_ms) for at_ms in range(1100, 2000, 100)]


@pytest.fixture
def recording(tmp_path: Path) -> Recording:
    rows = np.array(still_market(), ROW_DTYPE)
    path = tmp_path / "0.rows"
    path.write_bytes(rows.tobytes())
    market = Market(name="TEST", asset_id=0, price_decimals=1, size_decimals=3, grid_rule=GridRule.FIXED)
    file = RowFile(path, len(rows), BID, ASK + 10)
    return Recording("still", "00" * 16, "recorded", (market,), (file,), len(rows), {})


def mirror(**changes: object) -> Settings:
    """The bench's quoter: one order of 10 lots a side at the touch, each 100 ms."""
    chosen: dict = {
        "strategy": load(str(MIRROR)),
        "interval_ns": 100 * MS,
        "params": {"order_lots": 10, "cap_lots": 10},
    }
    return Settings(**{**chosen, **changes})


def configured(**sections: dict) -> Config:
    return msgspec.convert(sections, Config)


def refusal(parse: Callable[[str], object], text: str) -> str:
    """The sentence in which a model's own reader refuses the text."""
    with pytest.raises(ModelError) as refused:
        parse(text)
    return str(refused.value)


# From the configuration.


def test_every_limit_comes_from_the_configuration_but_what_a_replay_cannot_judge() -> None:
    config = configured(
        risk={"tick_to_trade_ms_max": 20, "drawdown_share_max": 0.01, "position_notional_usdc_max": 1234.567891},
        limits={"share": {"engine_percent": 50}, "address_reserve": 7},
        batch={"window_ms": 0.5},
    )
    limits = limits_of(settings_of(config))
    wanted = limit_values(config)
    assert wanted.pop("clock_step_ns_max") > 0
    assert limits["clock_step_ns_max"] == 0, "the recording's clock steps over its gaps"
    assert {name: int(limits[name][0]) for name in wanted} == wanted
    assert limits["tick_to_trade_ns_max"] == 20 * MS
    assert limits["drawdown_e6_max"] == 10_000
    assert limits["position_notional_micro_max"] == 1_234_567_891
    assert limits["ip_weight_per_minute"] == 600
    assert limits["batch_window_ns"] == 500_000


def test_what_else_the_configuration_says() -> None:
    config = configured(
        strategy={"name": "two_sided", "params": {"half_spread_bp": 3}, "interval_ms": 250},
        limits={"address_actions": 77},
        backtest={
            "latency": "20", "queue": "log", "fees": "tier:1", "rules": "hftbacktest", "seed": 9,
            "capital_usdc": 0.000001, "record_interval_ms": 10, "funding_rate_per_hour": -0.0000125,
            "alo_jumper_share": 0.25, "budgets_enforced": False,
        },
    )  # fmt: skip
    settings = settings_of(config)
    assert settings.strategy.name == "two_sided"
    assert settings.params == {"half_spread_bp": 3.0}
    assert (settings.interval_ns, settings.record_interval_ns) == (250 * MS, 10 * MS)
    assert (settings.latency, settings.queue, settings.fees) == ("20", "log", "tier:1")
    assert (settings.rules, settings.seed, settings.capital_micro) == ("hftbacktest", 9, 1)
    assert settings.funding_rate_e12 == -12_500_000
    assert (settings.alo_jumper_share, settings.address_actions, settings.address_enforced) == (0.25, 77, False)
    assert limits_of(settings)["address_enforced"] == 0
    assert limits_of(settings)["interval_ns"] == 250 * MS


def test_what_is_left_open_depends_on_whose_recording_it_is() -> None:
    for is_hyperliquid, latency, profile in ((True, "blocks", "2026"), (False, "constant:10", "recorded")):
        assert settings_of(Config(), is_hyperliquid=is_hyperliquid).latency == latency
        assert profile_of(Config(), is_hyperliquid=is_hyperliquid) == profile
        said = configured(backtest={"latency": "20", "feed_profile": "2026"})
        assert settings_of(said, is_hyperliquid=is_hyperliquid).latency == "20"
        assert profile_of(said, is_hyperliquid=is_hyperliquid) == "2026"


def test_another_strategy_takes_its_own_parameters() -> None:
    config = configured(strategy={"params": {"gamma": 0.5}})
    assert settings_of(config).params == {"gamma": 0.5}
    other = load("two_sided")
    settings = settings_of(config, other)
    assert (settings.strategy, settings.params, settings.interval_ns) == (other, {}, None)


def test_settings_without_a_configuration_are_its_defaults_without_caps() -> None:
    bare, full = Settings(strategy=load("glft")), settings_of(Config())
    different = {
        item.name for item in dataclasses.fields(Settings) if getattr(bare, item.name) != getattr(full, item.name)
    }
    assert different - {"strategy"} == {"position_notional_micro_max", "exposure_micro_max", "order_notional_micro_max"}


def test_a_configuration_made_by_a_program_cannot_loosen_the_mission() -> None:
    loose = Config(risk=Risk(drawdown_share_max=0.05))
    with pytest.raises(ValueError, match="drawdown_e6_max is the mission's and can be tightened, never loosened"):
        settings_of(loose)


def test_an_unknown_strategy_is_refused() -> None:
    with pytest.raises(StrategyError, match="did you mean 'glft'"):
        settings_of(configured(strategy={"name": "gltf"}))


def test_faults_name_their_settings(tmp_path: Path) -> None:
    assert faults_of(Config()) == []
    config = configured(
        strategy={"params": {"gama": 1}},
        backtest={"latency": f"history:{tmp_path}/gone.npz", "queue": "fifo", "fees": "tier:9"},
    )
    assert dict(faults_of(config)) == {
        "strategy.params": "strategy glft has no parameter 'gama', did you mean 'gamma'?",
        "backtest.latency": f"{tmp_path}/gone.npz cannot be read: No such file or directory",
        "backtest.queue": refusal(parse_queue, "fifo"),
        "backtest.fees": refusal(parse_fees, "tier:9"),
    }
    ((path, sentence),) = faults_of(configured(strategy={"name": "gltf", "params": {"gama": 1}}))
    assert path == "strategy.name"
    assert "did you mean 'glft'" in sentence


# Limits, rules and lanes.


def test_the_strategy_says_when_it_is_asked_and_what_it_sees() -> None:
    glft = load("glft")
    limits = limits_of(Settings(strategy=glft))
    assert limits.dtype == LIMITS_DTYPE
    assert limits["features"] == glft.features
    assert limits["interval_ns"] == glft.interval_ns
    assert (limits["decide_on_frame"], limits["decide_on_fill"]) == (glft.on_frame, glft.on_fill)
    assert limits["address_enforced"] == 1


def test_a_strategy_that_nothing_asks_is_refused() -> None:
    with pytest.raises(StrategyError, match="is never asked: give it an interval above 0"):
        limits_of(mirror(interval_ns=0))


def test_rules_by_name_with_queue_model_and_jumpers() -> None:
    rules = rules_of(Settings(strategy=load("glft"), queue="power-total:3", alo_jumper_share=0.29))
    assert (rules["enforce_validation"], rules["partial_fills"]) == (1, 1)
    assert (rules["queue_model"], rules["queue_power"]) == (QueueModel.POWER_TOTAL, 3.0)
    assert rules["alo_jumper_share_e6"] == 290_000
    rules = rules_of(Settings(strategy=load("glft"), rules="hftbacktest", queue="risk-averse"))
    assert (rules["enforce_validation"], rules["partial_fills"]) == (0, 0)
    assert rules["queue_model"] == QueueModel.RISK_AVERSE
    with pytest.raises(ModelError, match="rules 'hftbactest' are none: give one of hyperliquid, hftbacktest"):
        rules_of(Settings(strategy=load("glft"), rules="hftbactest"))


def test_lanes_are_parameter_sets_within_scenarios(recording: Recording) -> None:
    settings, scenarios = mirror(address_actions=5), parse_fees("scenarios")
    sets = [{"order_lots": 1}, {"order_lots": 2}]
    plan = plan_of(settings, recording.markets, recording.streams(), scenarios, sets)
    assert plan.params == sets * 3
    assert plan.fees_e9 == [(150_000, 450_000)] * 2 + [(0, 280_000)] * 2 + [(-30_000, 240_000)] * 2
    assert plan.address_actions == 5
    assert plan_of(settings, recording.markets, recording.streams(), scenarios).params == [settings.params] * 3


# A strategy that is too slow.

_RELUCTANT = """    if view[0]["best_bid_ticks"] <= 0 or view[0]["best_ask_ticks"] <= view[0]["best_bid_ticks"]:
        return 0
    if view[0]["features"]["ready"] == 0 or view[0]["bid_lots"][4] == 0 or params["size"] < 2.0:
        return 0
"""


def test_a_slow_strategy_is_refused_before_the_run_by_its_median(recording: Recording) -> None:
    settings = Settings(strategy=load(str(MISBEHAVING / "slow.py")))
    with pytest.raises(
        StrategyError, match=r"slow\.py is too slow: a call takes [\d.]+ ms in the median, at most \d+ ms"
    ):
        prepare_backtest(settings, recording)


def test_it_is_measured_on_what_it_will_see(recording: Recording, tmp_path: Path) -> None:
    """Slow only where there is a touch, deep levels, its features, and the parameters that it is run with."""
    text = (MISBEHAVING / "slow.py").read_text().replace("Feature.NONE", "Feature.MICRO_PRICE")
    head, _, body = text.partition("    value = float")
    path = tmp_path / "reluctant.py"
    path.write_text(f"{head}{_RELUCTANT}    value = float{body}")
    strategy = load(str(path))
    assert strategy.features == Feature.MICRO_PRICE
    with pytest.raises(StrategyError, match=r"reluctant\.py is too slow"):
        prepare_backtest(Settings(strategy=strategy, params={"size": 3}), recording)
    quick = Settings(strategy=strategy, params={"size": 1})
    refuse_slow(plan_of(quick, recording.markets, recording.streams(), parse_fees("scenarios")))


def test_built_in_strategies_are_not_measured_and_failures_are_left_to_the_run(
    recording: Recording, capfd: pytest.CaptureFixture[str]
) -> None:
    plan = plan_of(Settings(strategy=load("glft")), recording.markets, recording.streams(), parse_fees("scenarios"))
    slow = dataclasses.replace(load(str(MISBEHAVING / "slow.py")), is_user_file=False)
    refuse_slow(dataclasses.replace(plan, strategy=slow))
    raising = dataclasses.replace(plan, strategy=load(str(MISBEHAVING / "raises.py")), params=[{}])
    refuse_slow(raising)
    assert capfd.readouterr().err == ""


# A run.


def test_three_scenarios_in_one_pass_by_hand(recording: Recording) -> None:
    """Ten lots of 0.001 at 60,000.0 are bought when the seller comes: 600 USDC, of which a new account pays 1.5 bp."""
    seen: list[tuple[int, int]] = []
    result = run_backtest(mirror(), recording, lambda done, total: seen.append((done, total)))
    assert [item.maker_rate_e9 for item in result.scenarios] == [150_000, 0, -30_000]
    for output, fee_micro in zip(result.outputs, (90_000, 0, -18_000), strict=True):
        position = output.lanes.positions[0, 0]
        assert (position["position_lots"], position["cash_quanta"]) == (10, -10 * BID)
        assert position["fee_micro"] == fee_micro
        assert len(output.fills) == position["fills"] == 1
    assert (result.halted, result.interrupted) == (False, False)
    assert seen[-1] == (recording.files[0].rows_total,) * 2
    assert len(result.plan.params) == 1 and result.plan.params[0] == {"order_lots": 10, "cap_lots": 10}


def test_metadata_identify_the_run(recording: Recording) -> None:
    settings = mirror(seed=3)
    metadata = run_backtest(settings, recording).metadata()
    assert (metadata["version"], metadata["code_key"], metadata["seed"]) == (__version__, running_key(), 3)
    assert metadata["data"] == {
        "name": "still", "fingerprint": "00" * 16, "profile": "recorded", "events": recording.events,
    }  # fmt: skip
    recorded = settings.record()
    assert metadata["settings"] == recorded
    assert recorded["strategy"] == "mirror"
    assert recorded["strategy_source"] == MIRROR.read_bytes().hex()
    assert recorded["params"] == {
        "order_lots": 10.0, "cap_lots": 10.0, "half": 5.0, "skew": 1.0, "grid": 1.0, "levels": 1.0,
    }  # fmt: skip
    # Without models, and without a word on where the parameters are from, there is nothing to record of either.
    known = {item.name for item in dataclasses.fields(Settings)} - {"signals", "origins"}
    assert set(recorded) == known | {"strategy_source"}
    assert Settings(strategy=load("glft")).record()["strategy_source"] == "built in"


def made_track(recording: Recording, **changes: object) -> SignalTrack:
    """A policy over all of the recording that doubles the spread."""
    first, last = recording.span_ns()
    events = np.zeros(1, EVENT_DTYPE)
    events["kind"], events["ts_exch_ns"], events["ts_local_ns"], events["aux0"] = 74, first, first, last
    events["price_ticks"] = events["size_lots"] = 10**6
    events["order_id"] = 2 * 10**6
    meta = {
        "recording": recording.name, "fingerprint": recording.fingerprint, "profile": recording.profile,
        "markets": tuple(market.name for market in recording.markets), "model_ids": (5,), "compute_ns": 0,
        "transport_ns": 0, "latency": "none",
        "origins": (Origin(what="policy 5", blocks={"train": (Span(coin="X", from_ns=0, to_ns=first),)}),),
    }  # fmt: skip
    return SignalTrack("track", "d" * 32, events, TrackMeta(**{**meta, **changes}))


def test_what_models_said_reaches_every_lane_and_the_record(recording: Recording) -> None:
    settings = dataclasses.replace(mirror(), signals=made_track(recording))
    done = run_backtest(settings, recording)
    for output in done.outputs:
        assert output.lanes.positions["policy_spread_e6"].tolist() == [[2 * 10**6]]
    assert done.metadata()["settings"]["signals"]["digest"] == "d" * 32
    assert in_sample(settings, recording) != () == in_sample(mirror(), recording)


def test_parameters_come_with_what_they_were_chosen_on() -> None:
    chosen = {"name": "two_sided", "params": {"levels": 2}, "fitted": {"by": "a sweep", "from_ns": 5, "until_ns": 9}}
    config = msgspec.convert({"strategy": {**chosen, "fitted": {**chosen["fitted"], "coins": ["A", "B"]}}}, Config)
    spans = tuple(Span(coin=coin, from_ns=5, to_ns=9) for coin in ("A", "B"))
    expected = Origin(what="the set of parameters by a sweep", blocks={"chosen": spans})
    found = settings_of(config)
    assert found.origins == (expected,)
    assert found.record()["origins"] == msgspec.to_builtins((expected,))
    # Nobody says by whom, or on what; and a strategy that is given instead has parameters of its own.
    (unnamed,) = origins_of(msgspec.convert({"strategy": {"fitted": {"until_ns": 9}}}, Config))
    assert (unnamed.what, unnamed.blocks["chosen"][0].to_ns) == ("the set of parameters", 9)
    assert settings_of(config, load("glft")).origins == () == settings_of(Config()).origins


def test_a_track_of_another_recording_does_not_run(recording: Recording) -> None:
    other = dataclasses.replace(mirror(), signals=made_track(recording, fingerprint="11" * 16))
    with pytest.raises(DataError, match="made for the recording"):
        run_backtest(other, recording)
    with pytest.raises(DataError, match="made for the recording"):
        run_sweep(other, recording, choose_sets(other.strategy, ["half=1,2"]))


def test_a_strategy_that_raises_ends_halted(recording: Recording) -> None:
    settings = Settings(strategy=load(str(MISBEHAVING / "raises.py")), latency="1")
    with failures() as texts:
        result = run_backtest(settings, recording)
    assert texts[0] == "RuntimeError: nothing to say"
    assert result.halted
    assert [int(output.lanes.lane[0, 0]["mode"]) for output in result.outputs] == [Mode.HALTED] * 3


def test_an_interrupted_run_keeps_what_was_finished(recording: Recording, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hlhft.backtest.replay.WINDOW_ROWS", 4)

    def interrupt(done: int, total: int) -> None:
        raise KeyboardInterrupt

    result: Backtest = run_backtest(mirror(), recording, interrupt)
    assert result.interrupted
    assert len(result.outputs) == 3
