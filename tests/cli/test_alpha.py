"""`hlhft alpha`: what it refuses before anything heavy is loaded, and the keys that it makes."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from hlhft.alpha.sockets import keys_of
from hlhft.cli import invoke
from hlhft.cli.errors import ExitCode


def test_a_key_is_made_for_its_owner_alone_and_never_over_another(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "alpha.key"
    assert invoke(["alpha", "--make-key", str(path)]) == ExitCode.OK
    public = capsys.readouterr().out.strip()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    keys = keys_of(path.read_bytes(), public)
    assert keys.public.decode() == public
    before = path.read_bytes()
    assert invoke(["alpha", "--make-key", str(path)]) == ExitCode.FAILURE
    assert path.read_bytes() == before


def test_without_a_model_there_is_nothing_to_serve(capsys: pytest.CaptureFixture[str]) -> None:
    assert invoke(["alpha"]) == ExitCode.USAGE
    assert "--model" in capsys.readouterr().err


def test_without_the_packages_it_says_how_to_install_them(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert invoke(["alpha", "--model", str(tmp_path)]) == ExitCode.FAILURE
    assert "make install-alpha" in capsys.readouterr().err


def test_places_and_keys_that_are_none_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: name)
    line = ["alpha", "--model", str(tmp_path)]
    assert invoke([*line, "--signals", "tcp://0.0.0.0:5"]) == ExitCode.USAGE
    assert "both sides need keys" in capsys.readouterr().err
    key = tmp_path / "open.key"
    key.write_text("k" * 40)
    key.chmod(0o644)
    assert invoke([*line, "--key-file", str(key)]) == ExitCode.USAGE
    assert "chmod 600" in capsys.readouterr().err
