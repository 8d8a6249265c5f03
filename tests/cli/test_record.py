"""`hlhft record`: what it refuses before anything is recorded, and what the settings and options make of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from hlhft.cli import Options
from hlhft.cli.errors import CommandError, ExitCode, describe
from hlhft.cli.record import GIB, _names, _place, command
from hlhft.config.settings import Config
from hlhft.data.recorder.running import Place

CHOICE: dict[str, Any] = {
    "coins": ("BTC",), "catalogue": None, "keeps_raw": None, "raw_folder": None, "base_url": None, "testnet": False,
    "disk_free_min_gib": None,
}  # fmt: skip


def chosen(config: Config | None = None, **changes: Any) -> Place:
    return _place(config or Config(), **{**CHOICE, **changes})


def refused(*arguments: str) -> tuple[str, ExitCode]:
    done = CliRunner().invoke(command, arguments, obj=Options(), standalone_mode=False)
    assert done.exception is not None
    return describe(done.exception)


def test_coins_are_named_with_spaces_or_commas() -> None:
    assert _names(("BTC, ETH", "@107", "")) == ("BTC", "ETH", "@107")


def test_the_settings_say_what_the_options_do_not(isolated_home: Path) -> None:
    assert chosen() == Place(
        base_url="https://api.hyperliquid.xyz", coins=("BTC",), catalogue=isolated_home / "catalog",
        raw=isolated_home / "raw", free_bytes_min=5 * GIB, queue_bytes_max=64 << 20,
    )  # fmt: skip


def test_options_go_before_the_settings(tmp_path: Path) -> None:
    where = chosen(
        catalogue=tmp_path / "a" / "c", base_url="http://127.0.0.1:3001/", disk_free_min_gib=0.5,
    )  # fmt: skip
    assert where.base_url == "http://127.0.0.1:3001" and where.free_bytes_min == GIB // 2
    assert where.raw == tmp_path / "a" / "raw", "beside the catalogue"
    assert chosen(raw_folder=tmp_path / "r").raw == tmp_path / "r"
    assert chosen(keeps_raw=False).raw is None
    assert chosen(testnet=True).base_url == "https://api.hyperliquid-testnet.xyz"


def test_contradictions_and_nothing_to_record_are_refused(isolated_home: Path, tmp_path: Path) -> None:
    assert refused("--coins", "BTC", "--testnet", "--base-url", "http://x")[1] == ExitCode.USAGE
    sentence, code = refused()
    assert code == ExitCode.USAGE and "no coin is named" in sentence
    sentence, code = refused("--coins", "BTC", "--base-url", "nowhere")
    assert code == ExitCode.USAGE and "no base URL" in sentence
    with pytest.raises(CommandError, match="--no-raw says nowhere"):
        chosen(keeps_raw=False, raw_folder=tmp_path)


def test_a_venue_that_does_not_answer_is_a_failure_and_leaves_no_file(isolated_home: Path) -> None:
    sentence, code = refused("--coins", "BTC", "ETH", "--base-url", "http://127.0.0.1:1")
    assert code == ExitCode.FAILURE and "does not answer meta" in sentence
    assert [path.name for path in isolated_home.rglob("*") if path.is_file()] == [".recorder.lock"]
