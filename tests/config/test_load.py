"""A file over the defaults, the environment over the file; each fault in one sentence that names source and setting."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hlhft.config.load import FILE_BYTES_MAX, ConfigError, load
from hlhft.config.settings import Config, Shares, fields


def written(folder: Path, text: str) -> Path:
    path = folder / "hlhft.toml"
    path.write_text(text)
    return path


def faults(folder: Path, text: str, **environment: str) -> list[str]:
    """What is wrong, without the file's name where it leads."""
    path = written(folder, text)
    with pytest.raises(ConfigError) as refused:
        load(path, environment)
    return [fault.removeprefix(f"{path}: ") for fault in refused.value.faults]


def test_without_a_file_and_variables_there_are_the_defaults() -> None:
    loaded = load(None, {"HLHFT_LOG": "info", "HLHFT_CACHE": "x", "PATH": "y"})
    assert loaded.config == Config()
    assert loaded.origins == {}


def test_the_environment_goes_before_the_file_and_the_file_before_defaults(tmp_path: Path) -> None:
    text = "[risk]\nrejections_max = 7\ndrawdown_share_max = 0.02\n[strategy]\nparams = { gamma = 1, xi = 2.5 }\n"
    path = written(tmp_path, text)
    environment = {"HLHFT__RISK__REJECTIONS_MAX": "9", "HLHFT__LIMITS__SHARE__ENGINE_PERCENT": "60"}
    loaded = load(path, environment)
    assert loaded.config.risk.rejections_max == 9
    assert loaded.config.risk.drawdown_share_max == 0.02
    assert loaded.config.risk.feed_age_ms_max == 30_000
    assert loaded.config.limits.share == Shares(engine_percent=60)
    assert loaded.config.strategy.params == {"gamma": 1.0, "xi": 2.5}
    assert loaded.origins == {
        "risk.rejections_max": "environment variable HLHFT__RISK__REJECTIONS_MAX",
        "risk.drawdown_share_max": str(path),
        "strategy.params": str(path),
        "limits.share.engine_percent": "environment variable HLHFT__LIMITS__SHARE__ENGINE_PERCENT",
    }


@pytest.mark.parametrize(
    ("variable", "value", "path", "expected"),
    [
        ("HLHFT__BACKTEST__LATENCY", "15", ("backtest", "latency"), "15"),
        ("HLHFT__BACKTEST__LATENCY", "blocks:200,900", ("backtest", "latency"), "blocks:200,900"),
        ("HLHFT__BACKTEST__LATENCY", '"blocks"', ("backtest", "latency"), "blocks"),
        ("HLHFT__BACKTEST__FEED_PROFILE", "2026", ("backtest", "feed_profile"), "2026"),
        ("HLHFT__BACKTEST__BUDGETS_ENFORCED", "false", ("backtest", "budgets_enforced"), False),
        ("HLHFT__STRATEGY__INTERVAL_MS", "0.5", ("strategy", "interval_ms"), 0.5),
        ("HLHFT__STRATEGY__PARAMS__GAMMA", "0.1", ("strategy", "params"), {"gamma": 0.1}),
        ("HLHFT__LOG__MODULES", '{ "hlhft.live" = "info" }', ("log", "modules"), {"hlhft.live": "info"}),
        ("HLHFT__ENGINE__COINS", '["BTC", "kPEPE"]', ("engine", "coins"), ("BTC", "kPEPE")),
        ("HLHFT__ENGINE__COINS", "BTC, kPEPE", ("engine", "coins"), ("BTC", "kPEPE")),
        ("HLHFT__LIMITS__SHARE", "{ engine_percent = 50 }", ("limits", "share"), Shares(engine_percent=50)),
    ],
)
def test_a_variable_is_written_as_in_toml_and_texts_without_quotes(
    variable: str, value: str, path: tuple[str, str], expected: object
) -> None:
    config = load(None, {variable: value}).config
    assert getattr(getattr(config, path[0]), path[1]) == expected


def test_a_variable_joins_the_table_that_the_file_began(tmp_path: Path) -> None:
    path = written(tmp_path, "strategy.params = { gamma = 1 }\n")
    assert load(path, {"HLHFT__STRATEGY__PARAMS__XI": "3"}).config.strategy.params == {"gamma": 1.0, "xi": 3.0}


REFUSED = {
    "no address": (
        "[account]\naddress = '0x12'\n",
        (
            "account.address must be a text, an address of 0x and 40 hex digits or nothing, not '0x12'; "
            "`hlhft config show` explains it"
        ),
    ),
    "no URL": (
        "[account]\nbase_url = 'api.hyperliquid.xyz'\n",
        (
            "account.base_url must be a text, as in https://host or http://host:port, or nothing, not "
            "'api.hyperliquid.xyz'; `hlhft config show` explains it"
        ),
    ),
    "no heartbeat": (
        "[watchdog]\nheartbeat = 'other-host'\n",
        (
            "watchdog.heartbeat must be a text, an absolute path, host:port, or nothing, not 'other-host'; "
            "`hlhft config show` explains it"
        ),
    ),
    "a market twice": (
        "[engine]\ncoins = ['ETH', 'BTC', 'ETH']\n",
        "engine.coins names ETH more than once; name each once",
    ),
    "a market without name": (
        "[engine]\ncoins = ['']\n",
        "engine.coins must be a list whose every item is a text, not ['']; `hlhft config show` explains it",
    ),
    "one key for two": (
        "[account]\nkey_file = '/k'\n[watchdog]\nkey_file = '/k'\n",
        "watchdog.key_file is the engine's, /k; give the watchdog a key of its own",
    ),
    "misspelled": (
        "[risk]\ndrawdown_share = 0.01\n",
        "section risk has no setting 'drawdown_share', did you mean 'drawdown_share_max'?",
    ),
    "misspelled section": ("[rsk]\n", "there is no setting 'rsk', did you mean 'risk'?"),
    "in another section": (
        "[risk]\nlatency = '15'\n",
        "section risk has no setting 'latency', did you mean 'backtest.latency'?",
    ),
    "unlike any": (
        "zzz = 1\n",
        (
            "there is no setting 'zzz'; it has strategy, risk, limits, batch, data, backtest, account, engine, "
            "market_data, gateway, journal, watchdog, alpha, recorder, metrics, log"
        ),
    ),
    "no section": ("risk = 3\n", "risk must be a section, not 3; write its fields under [risk]"),
    "text for a number": (
        "[risk]\nfeed_age_ms_max = '5 s'\n",
        "risk.feed_age_ms_max must be a number from 0 to 3600000, not '5 s'; write it without quotes and unit",
    ),
    "number for a text": (
        "[backtest]\nlatency = 15\n",
        "backtest.latency must be a text, not 15; write it in quotes",
    ),
    "truth for a number": (
        "[risk]\nrejections_max = true\n",
        "risk.rejections_max must be a whole number from 0 to 1000000, not True; `hlhft config show` explains it",
    ),
    "fraction": (
        "[backtest]\nseed = 1.5\n",
        "backtest.seed must be a whole number from 0 to 2147483647, not 1.5; `hlhft config show` explains it",
    ),
    "out of bounds": (
        "[batch]\nlegs_max = 201\n",
        "batch.legs_max must be a whole number from 1 to 200, not 201; `hlhft config show` explains it",
    ),
    "not a number": (
        "[risk]\nprice_band_share_max = nan\n",
        "risk.price_band_share_max must be a number from 0 to 1, not nan; `hlhft config show` explains it",
    ),
    "huge": (
        f"[backtest]\ncapital_usdc = 1{'0' * 400}\n",
        (
            f"backtest.capital_usdc must be a number above 0, at most 1000000000, not 1{'0' * 56}...; "
            "`hlhft config show` explains it"
        ),
    ),
    "unknown choice": (
        "[backtest]\nrules = 'binance'\n",
        'backtest.rules must be one of "hftbacktest", "hyperliquid", not \'binance\'; `hlhft config show` explains it',
    ),
    "too fine": (
        "[risk]\nprice_band_share_max = 0.0123456789\n",
        "risk.price_band_share_max: 0.0123456789 is finer than 0.000001, the smallest step; round it",
    ),
    "loosened tick-to-trade": (
        "[risk]\ntick_to_trade_ms_max = 200\n",
        "risk.tick_to_trade_ms_max is the mission's and can be tightened, never loosened: set at most 150, not 200",
    ),
    "loosened drawdown": (
        "[risk]\ndrawdown_share_max = 0.05\n",
        "risk.drawdown_share_max is the mission's and can be tightened, never loosened: set at most 0.03, not 0.05",
    ),
    "no breaker": (
        "[risk]\ntick_to_trade_ms_max = 0\n",
        "risk.tick_to_trade_ms_max must be a number above 0, at most 150, not 0; `hlhft config show` explains it",
    ),
    "shares": (
        "[limits.share]\nengine_percent = 81\n",
        "limits.share gives away 101 percent, at most 100 can be given; lower one of its shares",
    ),
    "reserve": (
        "limits.address_reserve = 10000\n",
        "limits.address_reserve of 10000 leaves nothing of 10000 limits.address_actions; lower it",
    ),
    "watchdog": (
        "[limits.share]\nwatchdog_percent = 4\n",
        "limits.share.watchdog_percent must be a whole number from 5 to 100, not 4; `hlhft config show` explains it",
    ),
    "parameter": (
        "[strategy.params]\ngamma = 'x'\n",
        (
            "strategy.params must be a table whose every value is a number, not {'gamma': 'x'}; "
            "`hlhft config show` explains it"
        ),
    ),
}


@pytest.mark.parametrize(("text", "sentence"), REFUSED.values(), ids=REFUSED)
def test_a_fault_names_file_and_setting_and_says_what_to_do(tmp_path: Path, text: str, sentence: str) -> None:
    assert faults(tmp_path, text) == [sentence]


def test_every_fault_is_found_and_the_error_counts_them(tmp_path: Path) -> None:
    path = written(tmp_path, "batch = 1\n[risk]\nrejections_max = -1\nfeed_age_ms_max = 'x'\n[limits.share]\nx = 1\n")
    with pytest.raises(ConfigError) as refused:
        load(path, {"HLHFT__LOG__LEVEL": "loud"})
    assert len(refused.value.faults) == 5
    assert str(refused.value) == f"{refused.value.faults[0]} (and 4 more, see `hlhft config check`)"
    assert refused.value.faults[-1].startswith("environment variable HLHFT__LOG__LEVEL: log.level must be one of")


@pytest.mark.parametrize(
    ("variable", "value", "sentence"),
    [
        ("HLHFT__RISK__TICK_TO_TRADE_MS_MAX", "151", "is the mission's and can be tightened, never loosened"),
        ("HLHFT__RSK__X", "1", "there is no setting 'rsk', did you mean 'risk'?"),
        ("HLHFT__", "1", "there is no setting ''"),
        ("HLHFT__RISK", "1", "risk must be a section, not 1"),
        ("HLHFT__BATCH__LEGS_MAX", "1\nother = 2", "its value holds what cannot be printed; write it anew"),
        ("HLHFT__STRATEGY__NAME", "\udcff", "its value holds what cannot be printed; write it anew"),
        ("HLHFT__BATCH__LEGS_MAX", "twenty", "must be a whole number from 1 to 200, not 'twenty'"),
        ("HLHFT__BATCH__LEGS_MAX", "", "must be a whole number from 1 to 200, not ''"),
        ("HLHFT__BATCH__LEGS_MAX", "[" * 100_000, "must be a whole number from 1 to 200"),
    ],
)
def test_a_wrong_variable_is_named(variable: str, value: str, sentence: str) -> None:
    with pytest.raises(ConfigError) as refused:
        load(None, {variable: value})
    (fault,) = refused.value.faults
    assert fault.startswith(f"environment variable {variable}: ")
    assert sentence in fault
    assert len(fault) < 300


def test_a_variable_below_what_is_no_section_leaves_the_file_its_fault(tmp_path: Path) -> None:
    assert faults(tmp_path, "risk = 3\n", HLHFT__RISK__REJECTIONS_MAX="1") == [
        "risk must be a section, not 3; write its fields under [risk]"
    ]


def test_a_variable_too_many_levels_down_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"HLHFT__BATCH__LEGS_MAX__X: batch\.legs_max must be a whole number"):
        load(None, {"HLHFT__BATCH__LEGS_MAX__X": "1"})


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"[risk\n", "not TOML: Expected ']' at the end of a table declaration (at line 1, column 6)"),
        (b"x = 1\xff\n", "byte 5 is no UTF-8, which TOML is written in"),
        (b"x = " + b"[" * 100_000, "its values are nested too deeply to be settings"),
        (b"x = 1" + b"0" * 5000, "not TOML: "),
        (b"#" * (FILE_BYTES_MAX + 1), f"settings are at most {FILE_BYTES_MAX} bytes, this file is larger"),
    ],
    ids=["toml", "utf-8", "deep", "digits", "large"],
)
def test_a_file_that_is_no_settings_is_refused(tmp_path: Path, content: bytes, sentence: str) -> None:
    path = tmp_path / "odd.toml"
    path.write_bytes(content)
    with pytest.raises(ConfigError) as refused:
        load(path, {})
    assert str(refused.value).startswith(f"{path}: {sentence}")
    assert len(refused.value.faults) == 1


def test_a_file_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"gone\.toml: the file cannot be read: No such file or directory"):
        load(tmp_path / "gone.toml", {})
    with pytest.raises(ConfigError, match="the file cannot be read: Is a directory"):
        load(tmp_path, {})


NAMES = st.sampled_from([name for field in fields() for name in (field.path.split(".")[-1], field.path.split(".")[0])])
VALUES = st.recursive(
    st.one_of(st.integers(), st.floats(), st.text(), st.booleans()),
    lambda inner: st.one_of(st.lists(inner, max_size=2), st.dictionaries(st.text(), inner, max_size=2)),
    max_leaves=4,
)


@given(st.lists(st.one_of(NAMES, st.from_regex(r"[A-Z_]{0,8}", fullmatch=True)), max_size=4), st.text(max_size=20))
def test_whatever_a_variable_says_it_is_taken_or_refused(names: list[str], value: str) -> None:
    variable = "HLHFT__" + "__".join(name.upper() for name in names)
    try:
        loaded = load(None, {variable: value})
    except ConfigError as error:
        assert all(variable in fault for fault in error.faults)
    else:
        assert loaded.config != Config() or len(loaded.origins) <= 1


@given(st.sampled_from(list(fields())), VALUES)
def test_whatever_a_file_holds_it_is_taken_or_refused(field: object, value: object) -> None:
    """Through the reader's own tables: the text form is tomllib's business."""
    from hlhft.config.load import _convert

    section, _, name = field.path.rpartition(".")  # type: ignore[attr-defined]
    table: dict = {name: value}
    for part in reversed(section.split(".")):
        table = {part: table}
    found: list[str] = []
    config = _convert(Config, table, "", {}, found)
    assert (config is None) == bool(found)
    assert all("\n" not in fault and len(fault) < 400 for fault in found)
