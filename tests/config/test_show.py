"""What is shown loads back to the same, and says of each setting where its value comes from."""

from __future__ import annotations

import json
import tempfile
import tomllib
from pathlib import Path

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from hlhft.config.load import Loaded, load
from hlhft.config.settings import Config, fields
from hlhft.config.show import as_json, as_markdown, as_schema, as_toml

ROOT = Path(__file__).resolve().parents[2]
INTRODUCTION = "<!-- below: hlhft config show --markdown -->\n\n"


def back(text: str) -> Config:
    with tempfile.NamedTemporaryFile("w", suffix=".toml", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        return load(Path(file.name), {}).config


def test_the_defaults_load_back_and_every_setting_is_shown_with_its_meaning() -> None:
    text = as_toml(Loaded(Config(), {}))
    assert back(text) == Config()
    plain = " ".join(text.replace("\n# ", " ").split())
    for field in fields():
        assert " ".join(str(field.meta.description).split()) in plain, field.path
        assert f"({field.expected}; default " in plain, field.path
    assert "interval_ms is left out" in text
    assert max(map(len, text.splitlines())) <= 120


def test_origins_are_shown_and_cannot_break_out_of_their_comment() -> None:
    config = msgspec.convert({"risk": {"rejections_max": 9}, "batch": {"legs_max": 5}}, Config)
    loaded = Loaded(config, {"risk.rejections_max": "a\nb\x01.toml", "batch.legs_max": "environment variable X"})
    text = as_toml(loaded)
    assert "# (a whole number from 0 to 1000000; default 100; from a b?.toml)\nrejections_max = 9\n" in text
    assert "default 200; from environment variable X)\nlegs_max = 5\n" in text
    assert back(text) == config


TEXT = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12)
CONFIGS = st.builds(
    lambda name, params, interval, latency, modules, drawdown, capital, enforced, share, coins: msgspec.convert(
        {
            "strategy": {"name": name, "params": params, "interval_ms": interval},
            "backtest": {"latency": latency, "capital_usdc": capital, "budgets_enforced": enforced},
            "log": {"modules": modules},
            "risk": {"drawdown_share_max": drawdown},
            "limits": {"share": {"engine_percent": share}},
            "engine": {"coins": coins},
        },
        Config,
    ),
    TEXT,
    st.dictionaries(TEXT, st.floats(allow_nan=False), max_size=3),
    st.none() | st.integers(0, 10**9).map(lambda n: n / 1e6),
    TEXT,
    st.dictionaries(TEXT, st.sampled_from(["debug", "info", "warning", "error"]), max_size=3),
    st.integers(1, 30_000).map(lambda n: n / 1e6),
    st.integers(1, 10**15).map(lambda n: n / 1e6),
    st.booleans(),
    st.integers(1, 80),
    st.lists(TEXT, max_size=3, unique=True),
)


@settings(max_examples=60)
@given(CONFIGS)
def test_any_settings_load_back_to_the_same(config: Config) -> None:
    assert back(as_toml(Loaded(config, {}))) == config


def test_json_has_each_setting_with_its_origin() -> None:
    config = msgspec.convert({"risk": {"rejections_max": 9}}, Config)
    facts = json.loads(as_json(Loaded(config, {"risk.rejections_max": "a.toml"})))
    assert list(facts) == [field.path for field in fields()]
    assert facts["risk.rejections_max"] == {
        "value": 9,
        "default": 100,
        "origin": "a.toml",
        "meaning": "most rejections within the window, post-only ones not counted, before trading halts; 0 off",
        "expected": "a whole number from 0 to 1000000",
    }
    assert facts["strategy.interval_ms"]["value"] is None
    assert facts["log.level"]["origin"] == "default"


def test_the_schema_has_every_setting_with_bounds_and_forbids_others() -> None:
    schema = json.loads(as_schema())
    sections = schema["$defs"]
    assert schema["$schema"].startswith("https://json-schema.org/")
    assert sections["Config"]["additionalProperties"] is False
    assert sections["Risk"]["properties"]["drawdown_share_max"] == {
        "description": next(field for field in fields() if field.path == "risk.drawdown_share_max").meta.description,
        "type": "number",
        "exclusiveMinimum": 0,
        "maximum": 0.03,
        "default": 0.03,
    }
    names = {name for section in sections.values() for name in section["properties"]}
    assert {field.path.rpartition(".")[2] for field in fields()} <= names


def test_the_documentation_is_current() -> None:
    text = (ROOT / "docs" / "configuration.md").read_text(encoding="utf-8")
    _, _, tables = text.partition(INTRODUCTION)
    command = "hlhft config show --markdown"
    assert tables == as_markdown(), (
        f"docs/configuration.md: replace what follows the comment by the output of {command}"
    )


def test_the_documentation_s_example_is_in_order() -> None:
    text = (ROOT / "docs" / "configuration.md").read_text(encoding="utf-8")
    example = text.split("```toml\n")[1].split("```")[0]
    assert tomllib.loads(example)
    assert back(example) != Config()
