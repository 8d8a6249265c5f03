"""`hlhft approve` approves wallets for the exchange's known account, once, and refuses what is no rehearsal."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from hlhft.cli import invoke
from hlhft.cli.errors import ExitCode
from hlhft.exchange.known_account import SEED
from hlhft.exchange.known_account import test_signer as known_signer
from hlhft.hyperliquid.signing import Signer
from hlhft.live.asking import Venue
from hlhft.live.wallets import is_approved
from hlhft.units import MICRO
from tests.live.engines import Exchange


@pytest.fixture(scope="module")
def exchange() -> Iterator[Exchange]:
    served = Exchange()
    served.machine.deposit(known_signer(SEED).address, 1000 * MICRO)
    yield served
    served.stop()


@pytest.fixture
def keys(tmp_path: Path) -> dict[str, Path]:
    files = {}
    for number, name in enumerate(("engine", "watchdog"), 0x31):
        files[name] = tmp_path / f"{name}.key"
        files[name].touch(mode=0o600)
        files[name].write_text(f"0x{bytes([number]).hex() * 32}\n")
    return files


def settings(folder: Path, url: str, *, network: str = "local", address: str = known_signer(SEED).address) -> list[str]:
    path = folder / "settings.toml"
    path.write_text(f'[account]\nnetwork = "{network}"\nbase_url = "{url}"\naddress = "{address}"\n')
    return ["approve", "--config", str(path)]


def said(keys: dict[str, Path]) -> list[str]:
    return [f"{name}={path}" for name, path in keys.items()]


def test_wallets_are_approved_once(
    exchange: Exchange, keys: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = [*settings(tmp_path, exchange.url), *said(keys)]
    assert invoke(command) == ExitCode.OK
    wallets = [Signer(bytes([number]) * 32).address for number in (0x31, 0x32)]
    assert all(is_approved(Venue(exchange.url), known_signer(SEED).address, wallet) for wallet in wallets)
    assert (
        capsys.readouterr().out == f"engine        {wallets[0]} is approved\nwatchdog      {wallets[1]} is approved\n"
    )
    assert invoke(command) == ExitCode.OK
    assert capsys.readouterr().out.count("is approved already") == 2


def test_what_is_no_rehearsal_is_refused(
    keys: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    nobody = "http://127.0.0.1:9"

    def refusal(command: list[str]) -> str:
        assert invoke(command) == ExitCode.USAGE
        return capsys.readouterr().err

    assert "account.network is testnet" in refusal([*settings(tmp_path, nobody, network="testnet"), *said(keys)])
    assert "account.address is not set" in refusal([*settings(tmp_path, nobody, address=""), *said(keys)])
    other = [*settings(tmp_path, nobody), "--seed", "2", *said(keys)]
    assert f"the test account of an exchange of seed 2 is {known_signer(2).address}" in refusal(other)
    start = settings(tmp_path, nobody)
    assert "agent.key is no wallet" in refusal([*start, "agent.key"])
    assert "its name was given before" in refusal([*start, *said(keys), f"engine={keys['watchdog']}"])
    assert "two wallets have one key" in refusal([*start, f"a={keys['engine']}", f"b={keys['engine']}"])
    assert "4 wallets are too many" in refusal([*start, *(f"{name}={keys['engine']}" for name in "abcd")])
    keys["engine"].chmod(0o644)
    assert "others than its owner may use this file" in refusal([*start, *said(keys)])
    assert invoke(["approve"]) == ExitCode.USAGE


def test_an_exchange_that_is_not_there(
    keys: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert invoke([*settings(tmp_path, "http://127.0.0.1:9"), *said(keys)]) == ExitCode.FAILURE
    assert "http://127.0.0.1:9 does not say whose wallet" in capsys.readouterr().err


def test_it_needs_nothing_compiled() -> None:
    # Its unit may map no memory that is written and executed.
    code = (
        "import hlhft.cli.approve, hlhft.live.wallets, hlhft.live.private_files, sys; sys.exit('numba' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
