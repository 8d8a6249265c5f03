"""Loading strategies: declarations, parameters, compilation and its cache, and files that misbehave."""

from __future__ import annotations

import dataclasses
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from hlhft import strategies
from hlhft.compiled import JIT_DISABLED, call_strategy
from hlhft.core.quotes import MEANING, QuoteFault, validate
from hlhft.core.state import MEMORY_BYTES, PARAMS_BYTES, QUOTE_DTYPE, QUOTES_MAX, VIEW_DTYPE
from hlhft.core.strategies.common import Parameter
from hlhft.strategies import StrategyError, load
from hlhft.units import Market

ROOT = Path(__file__).resolve().parents[1]
MISBEHAVING = ROOT / "tests" / "strategies_that_misbehave"
EXAMPLE = ROOT / "docs" / "examples" / "imbalance_quoter.py"
GUIDE = ROOT / "docs" / "strategies.md"
GOOD = (MISBEHAVING / "raises.py").read_text().replace('raise RuntimeError("nothing to say")', "return 0")


def touch_view(*, bid: int = 1_110_000, ask: int = 1_110_010) -> np.ndarray:
    """VIEW_DTYPE[1] of BTC with a touch and a price grid, nothing else."""
    view = np.zeros(1, VIEW_DTYPE)
    record = Market.perpetual("BTC", asset_id=0, size_decimals=5).record()
    for name in ("tick_size", "lot_size", "grid_rule", "grid_step_ticks", "whole_unit_ticks"):
        view[name] = record[name]
    view["best_bid_ticks"], view["best_ask_ticks"] = bid, ask
    return view


def ask(strategy: strategies.Strategy, view: np.ndarray, **params: float) -> tuple[int, np.ndarray]:
    """The QuoteFault of one call and the quotes it wrote."""
    quotes, memory = np.zeros(QUOTES_MAX, QUOTE_DTYPE), np.zeros(MEMORY_BYTES, np.uint8)
    answered = call_strategy(strategy.address(), view, strategy.params_bytes(params), memory, quotes)
    if answered == 0:
        return QuoteFault.EXCEPTION, quotes[:0]
    fault = validate(quotes, answered - 1, len(view))
    return fault, quotes[: answered - 1] if fault == 0 else quotes[:0]


def written(folder: Path, text: str, name: str = "mine.py") -> str:
    path = folder / name
    path.write_text(text)
    return str(path)


# Built in.


@pytest.mark.parametrize("name", strategies.BUILT_IN)
def test_built_in_strategies_load_and_quote_by_default(name):
    strategy = load(name)
    assert strategy.name == name
    assert not strategy.is_user_file
    fault, quotes = ask(strategy, touch_view())
    assert fault == QuoteFault.NONE
    # One market is no pair of legs.
    assert sorted(quotes["side"].tolist()) == ([] if strategy.pairs else [-1, 1])
    assert strategy.pairs == (name == "funding")


def test_every_strategy_in_the_folder_is_built_in():
    modules = {path.stem for path in (ROOT / "hlhft" / "core" / "strategies").glob("*.py")}
    assert modules - {"__init__", "common"} == set(strategies.BUILT_IN)
    assert strategies.DEFAULT in strategies.BUILT_IN


def test_an_unknown_name_is_refused_with_the_nearest():
    with pytest.raises(StrategyError, match="no strategy 'gltf', did you mean 'glft'") as refused:
        load("gltf")
    assert "Python file" in str(refused.value)
    with pytest.raises(
        StrategyError, match="no strategy 'zzz'; give one of avellaneda_stoikov, funding, glft, two_sided"
    ):
        load("zzz")


# Parameters.


def test_parameters_lie_in_declaration_order_with_defaults_filled_in():
    strategy = load("two_sided")
    packed = strategy.params_bytes({"skew_bp": "2.5", "levels": 3})
    assert packed.shape == (PARAMS_BYTES,) and packed.dtype == np.uint8
    record = packed[: strategy.params_dtype.itemsize].view(strategy.params_dtype)[0]
    expected = {name: item.default for name, item in strategy.parameters.items()} | {"skew_bp": 2.5, "levels": 3.0}
    assert {name: record[name] for name in record.dtype.names} == expected
    assert not packed[strategy.params_dtype.itemsize :].any()


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"gama": 1}, "strategy glft has no parameter 'gama', did you mean 'gamma'?"),
        ({"zzz": 1}, "strategy glft has no parameter 'zzz'; it has gamma, xi_share, "),
        ({"gamma": "much"}, "parameter gamma must be a number, not 'much'"),
        ({"gamma": 0}, "parameter gamma must lie in 1e-06..10 1/bp, not 0"),
        ({"gamma": "10.1"}, "parameter gamma must lie in 1e-06..10 1/bp, not 10.1"),
        ({"gamma": "nan"}, "parameter gamma must lie in 1e-06..10 1/bp, not nan"),
        ({"gamma": float("inf")}, "parameter gamma must lie in 1e-06..10 1/bp, not inf"),
        ({"levels": 1.5}, "parameter levels must be a whole number, not 1.5"),
        ({"levels": "inf"}, "parameter levels must lie in 1..20 count, not inf"),
        ({"levels": 21}, "parameter levels must lie in 1..20 count, not 21"),
    ],
)
def test_a_bad_parameter_is_refused_in_one_sentence(values, message):
    with pytest.raises(StrategyError, match=re.escape(message)) as refused:
        load("glft").params_bytes(values)
    assert "\n" not in str(refused.value)


def test_both_ends_of_a_range_are_allowed():
    strategy = load("glft")
    for name, item in strategy.parameters.items():
        strategy.params_bytes({name: item.minimum})
        strategy.params_bytes({name: item.maximum})


def test_a_strategy_without_parameters_loads(tmp_path):
    text = GOOD.replace('PARAMS = {"size": Parameter(1.0, 0.0, 1e6, "lots", "order size")}', "PARAMS = {}")
    assert "PARAMS = {}" in text
    strategy = load(written(tmp_path, text))
    assert not strategy.params_bytes({}).any()
    assert ask(strategy, touch_view())[0] == QuoteFault.NONE


# Declarations.


@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        ("FEATURES = Feature.NONE", "FEATURES = 128", "FEATURES must be made of hlhft.core.state.Feature, not 128"),
        ("FEATURES = Feature.NONE", "FEATURES = 'all'", "FEATURES must be made of hlhft.core.state.Feature, not 'all'"),
        ("INTERVAL_NS = 0", "INTERVAL_NS = -1", "INTERVAL_NS must be a whole number >= 0, not -1"),
        ("INTERVAL_NS = 0", "INTERVAL_NS = 0.5", "INTERVAL_NS must be a whole number >= 0, not 0.5"),
        ("ON_FRAME = True", "ON_FRAME = False", "is never asked: set INTERVAL_NS, ON_FRAME or ON_FILL"),
        ('("calls", np.int64)', '("calls", np.int64, 513)', "MEMORY_DTYPE must be a structured dtype"),
        ('("calls", np.int64)', '("calls", object)', "MEMORY_DTYPE must be a structured dtype"),
        ('np.dtype([("calls", np.int64)])', "np.dtype(np.int64)", "MEMORY_DTYPE must be a structured dtype"),
        ('np.dtype([("calls", np.int64)])', "8", "MEMORY_DTYPE must be a structured dtype"),
        ('{"size": Parameter(1.0, 0.0, 1e6, "lots", "order size")}', "[]", "PARAMS must map names to Parameter"),
        ('Parameter(1.0, 0.0, 1e6, "lots", "order size")', "1.0", "PARAMS must map names to Parameter"),
        ("Parameter(1.0, 0.0", "Parameter(2e6, 0.0", "parameter size must lie in 0..1e+06 lots, not 2000000.0"),
        (
            '{"size": Parameter(1.0, 0.0, 1e6, "lots", "order size")}',
            '{f"p{i}": Parameter(0, 0, 0, "", "") for i in range(65)}',
            "PARAMS must hold at most 64 parameters, not 65",
        ),
        ("view, params, memory, quotes)", "view, params, quotes)", "quote must be a function quote(view, params,"),
        ("def quote(", "quote = 1\n\n\ndef other(", "quote must be a function quote(view, params, memory, quotes)"),
    ],
)
def test_a_bad_declaration_is_refused_in_one_sentence(tmp_path, before, after, message):
    assert before in GOOD
    path = written(tmp_path, GOOD.replace(before, after))
    with pytest.raises(StrategyError, match=re.escape(message)) as refused:
        load(path)
    assert path in str(refused.value) and "\n" not in str(refused.value)


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(StrategyError, match=r"strategy file .*nowhere\.py cannot be read: No such file"):
        load(str(tmp_path / "nowhere.py"))


@pytest.mark.parametrize("text", ["def quote(view)\n    return 0\n", "x = 1\ny = = 2\n", "\0"])
def test_a_syntax_error_is_refused(tmp_path, text):
    with pytest.raises(StrategyError, match=r"mine\.py") as refused:
        load(written(tmp_path, text))
    assert "\n" not in str(refused.value)


def test_a_syntax_error_names_its_line(tmp_path):
    with pytest.raises(StrategyError, match=r"mine\.py, line 2: invalid syntax"):
        load(written(tmp_path, "x = 1\ny = = 2\n"))


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("missing_declarations", "does not declare FEATURES, INTERVAL_NS, ON_FRAME, ON_FILL, PARAMS, MEMORY_DTYPE"),
        ("fails_at_load", "fails when it is loaded: ZeroDivisionError: division by zero (line 16)"),
    ],
)
def test_a_file_that_cannot_be_loaded_is_refused(name, message):
    with pytest.raises(StrategyError, match=re.escape(message)):
        load(str(MISBEHAVING / f"{name}.py"))


# Misbehaviour when called. Without compilation a cast of NaN or infinity raises, and two files become what they would
# be refused for.
FAULTS = {
    "writes_out_of_bounds": QuoteFault.EXCEPTION,
    "helper_writes_out_of_bounds": QuoteFault.EXCEPTION,
    "reads_out_of_bounds": QuoteFault.EXCEPTION,
    "reads_level_out_of_bounds": QuoteFault.EXCEPTION,
    "raises": QuoteFault.EXCEPTION,
    "nan_price": QuoteFault.EXCEPTION if JIT_DISABLED else QuoteFault.PRICE,
    "infinite_size": QuoteFault.EXCEPTION if JIT_DISABLED else QuoteFault.SIZE,
    "huge_size": QuoteFault.SIZE,
    "too_many": QuoteFault.COUNT,
    "negative_count": QuoteFault.COUNT,
    "wrong_side": QuoteFault.SIDE,
    "wrong_market": QuoteFault.MARKET,
}
REFUSED = {
    "does_not_compile": "does_not_compile.py does not compile: numba fails on it (KeyError: '__str__'); use numbers",
    "returns_nothing": "returns_nothing.py: quote must return a whole number, not none",
}


def test_every_misbehaving_file_has_its_verdict():
    elsewhere = {"missing_declarations", "fails_at_load", "slow"}
    assert {path.stem for path in MISBEHAVING.glob("*.py")} == elsewhere | set(FAULTS) | set(REFUSED)


@pytest.mark.parametrize(("name", "fault"), FAULTS.items())
def test_a_misbehaving_strategy_has_a_fault_and_no_quotes(name, fault):
    view = touch_view()
    before = view.copy()
    with strategies.failures() as texts:
        answered, quotes = ask(load(str(MISBEHAVING / f"{name}.py")), view)
    assert answered == fault
    assert len(quotes) == 0
    assert len(texts) == (fault == QuoteFault.EXCEPTION)
    assert np.array_equal(view, before)


@pytest.mark.parametrize(("name", "message"), REFUSED.items())
def test_what_does_not_compile_is_refused_in_one_sentence(name, message):
    strategy = load(str(MISBEHAVING / f"{name}.py"))
    if JIT_DISABLED:
        with strategies.failures():
            assert ask(strategy, touch_view())[0] != QuoteFault.NONE
        return
    with pytest.raises(StrategyError, match=re.escape(message)) as refused:
        strategy.address()
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ('return view[0]["nope"]', "Field 'nope' was not found in record"),
        ("return unknown_name", "NameError: name 'unknown_name' is not defined"),
        ("import os\n    return os.getpid()", "Use of unsupported opcode (IMPORT_NAME) found"),
    ],
)
def test_compilation_errors_say_what_and_stay_short(tmp_path, body, message):
    head = GOOD.partition("def quote")[0]
    strategy = load(written(tmp_path, f"{head}def quote(view, params, memory, quotes):\n    {body}\n"))
    if JIT_DISABLED:
        assert strategy.address() > 0
        return
    with pytest.raises(StrategyError, match=re.escape(message)) as refused:
        strategy.address()
    assert "\n" not in str(refused.value) and len(str(refused.value)) < 500


def test_a_slow_strategy_is_measured_as_such():
    assert load(str(MISBEHAVING / "slow.py")).call_ns(touch_view(), calls=3) > strategies.CALL_NS_MAX
    assert load("glft").call_ns(touch_view(), calls=21) < strategies.CALL_NS_MAX


def test_measuring_a_slow_strategy_ends_after_a_while():
    """A million of its calls would take hours."""
    assert load(str(MISBEHAVING / "slow.py")).call_ns(touch_view(), calls=1_000_000) > strategies.CALL_NS_MAX


def test_a_strategy_that_raised_works_again():
    strategy = load(str(MISBEHAVING / "raises.py"))
    with strategies.failures() as texts:
        for _ in range(20):
            assert ask(strategy, touch_view())[0] == QuoteFault.EXCEPTION
    assert texts == ["RuntimeError: nothing to say"] * 16
    assert ask(strategy, touch_view(bid=0, ask=0))[0] == QuoteFault.NONE


def test_collecting_failures_restores_the_hook():
    before = sys.unraisablehook
    with pytest.raises(KeyError), strategies.failures():
        raise KeyError
    assert sys.unraisablehook is before


# A user's own file.


def test_a_file_with_a_compiled_quote_is_accepted(tmp_path):
    text = GOOD.replace("import numpy as np", "import numba\nimport numpy as np").replace(
        "def quote", "@numba.njit\ndef quote"
    )
    assert ask(load(written(tmp_path, text)), touch_view())[0] == QuoteFault.NONE


def test_an_edit_within_the_same_second_counts(tmp_path):
    answers = []
    for price in (101, 102):
        text = (MISBEHAVING / "huge_size.py").read_text()
        text = text.replace("2**62", "7").replace('view[0]["best_bid_ticks"]', str(price))
        fault, quotes = ask(load(written(tmp_path, text)), touch_view())
        assert fault == QuoteFault.NONE
        answers.append(int(quotes["price_ticks"][0]))
    assert answers == [101, 102]


def test_the_example_leans_with_the_book_and_against_the_position():
    strategy = load(str(EXAMPLE))
    assert strategy.name == "imbalance_quoter" and strategy.is_user_file
    bids = []
    for imbalance, position in ((0.0, 0), (0.8, 0), (-0.8, 0), (0.0, 1000)):
        view = touch_view()
        view["features"]["ready"], view["features"]["imbalance"] = 2, imbalance
        view["position_lots"] = position
        fault, quotes = ask(strategy, view, memory_share=0.0, lean_bp=4.0)
        assert fault == QuoteFault.NONE and quotes["side"].tolist() == [1, -1]
        bids.append(int(quotes["price_ticks"][0]))
    still, up, down, held = bids
    assert up > still > down and held < still


def test_the_example_waits_for_its_feature_and_smooths_it():
    strategy = load(str(EXAMPLE))
    view = touch_view()
    assert len(ask(strategy, view)[1]) == 0
    view["features"]["ready"], view["features"]["imbalance"] = 2, 1.0
    memory, quotes = np.zeros(MEMORY_BYTES, np.uint8), np.zeros(QUOTES_MAX, QUOTE_DTYPE)
    params = strategy.params_bytes({"memory_share": 0.5})
    for expected in (0.5, 0.75, 0.875):
        assert call_strategy(strategy.address(), view, params, memory, quotes) == 3
        assert memory[:8].view(np.float64)[0] == expected


# The guide.


def test_the_guides_strategy_works(tmp_path):
    (code,) = re.findall(r"```python\n(.*?)```", GUIDE.read_text(), re.S)
    strategy = load(written(tmp_path, code))
    fault, quotes = ask(strategy, touch_view())
    assert fault == QuoteFault.NONE
    assert quotes[["side", "price_ticks", "size_lots"]].tolist() == [(1, 1_110_000, 5), (-1, 1_110_010, 5)]


def test_the_guides_commands_name_strategies_and_parameters_that_exist():
    commands = re.findall(r"hlhft backtest --strategy (\S+)(.*)", GUIDE.read_text() + EXAMPLE.read_text())
    assert len(commands) == 4
    for name, options in commands:
        strategy = load(str(ROOT / name) if name.endswith(".py") else name)
        values = dict(pair.split("=") for pair in re.findall(r"--param (\S+)", options))
        assert values
        strategy.params_bytes(values)


def test_the_guides_tables_are_the_codes():
    guide = GUIDE.read_text()
    for name in strategies.BUILT_IN:
        assert f"### {name}\n\n{strategies.parameter_table(load(name))}\n" in guide
    for fault in QuoteFault:
        assert (f"| {fault.name} | {MEANING[fault]} |" in guide) == (fault != QuoteFault.NONE)
    for number in (f"At most {MEMORY_BYTES} bytes", f"room for {QUOTES_MAX} quotes", "more than 1 ms a call"):
        assert number in guide
    assert strategies.CALL_NS_MAX == 1_000_000


def test_a_parameter_table_has_a_line_each():
    strategy = dataclasses.replace(load("two_sided"), parameters={"x": Parameter(1.5, 0.0, 2.0, "bp", "what it is")})
    assert strategies.parameter_table(strategy).splitlines()[2:] == ["| `x` | 1.5 | 0 .. 2 | bp | what it is |"]


# The cache.

_CALL_ALL = """
import sys
import numpy as np
from hlhft.core.state import VIEW_DTYPE
from hlhft.strategies import load
for name in sys.argv[1:]:
    print(load(name).call_ns(np.zeros(1, VIEW_DTYPE), calls=1) > 0)
"""


def run_with_cache(cache: Path, *names: str) -> dict[str, tuple[int, int]]:
    """Runs the strategies in a process of its own; returns the cache's files with their times and sizes."""
    environment = {name: value for name, value in os.environ.items() if name != "NUMBA_DISABLE_JIT"}
    done = subprocess.run(
        [sys.executable, "-c", _CALL_ALL, *names],
        env={**environment, "HLHFT_CACHE": str(cache)},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split() == ["True"] * len(names)
    files = (path for path in cache.rglob("*") if path.is_file())
    return {str(path.relative_to(cache)): (path.stat().st_mtime_ns, path.stat().st_size) for path in files}


def test_a_second_process_compiles_nothing(tmp_path):
    mine = written(tmp_path, GOOD)
    first = run_with_cache(tmp_path / "cache", "two_sided", mine)
    assert sum(".thunk" in name and name.endswith(".nbc") for name in first) == 2
    assert sum(".quote-" in name and name.endswith(".nbc") for name in first) == 2
    assert run_with_cache(tmp_path / "cache", "two_sided", mine) == first


def test_a_file_that_was_renamed_runs_from_the_cache_of_its_old_name(tmp_path):
    run_with_cache(tmp_path / "cache", written(tmp_path, GOOD))
    run_with_cache(tmp_path / "cache", written(tmp_path, GOOD, name="renamed.py"))


def test_two_strategies_of_the_same_form_do_not_share_a_thunk(tmp_path):
    """Same declarations, same signature: only the folder keeps their thunks apart."""
    answers = []
    for price in (201, 202):
        text = (MISBEHAVING / "huge_size.py").read_text()
        text = text.replace("2**62", "7").replace('view[0]["best_bid_ticks"]', str(price))
        path = written(tmp_path, text, name=f"price_{price}.py")
        answers.append(int(ask(load(path), touch_view())[1]["price_ticks"][0]))
    assert answers == [201, 202]
