"""`hlhft dashboards` prints what is kept, writes it into a folder, and says what is missing in one sentence."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import pytest

from hlhft.cli import invoke
from hlhft.cli.errors import ExitCode

KEPT = Path(__file__).resolve().parents[2] / "nixos" / "files" / "grafana" / "hlhft.json"


def test_what_is_printed_is_what_is_kept(capsys: pytest.CaptureFixture[str]) -> None:
    assert invoke(["dashboards"]) == ExitCode.OK
    assert capsys.readouterr() == (KEPT.read_text(), "")


def test_a_folder_is_made_and_filled(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "new" / "grafana"
    assert invoke(["dashboards", "--output", str(folder), "--documents", "https://docs.example/"]) == ExitCode.OK
    assert capsys.readouterr().out == f"{folder / 'hlhft.json'}\n"
    assert [path.name for path in folder.iterdir()] == ["hlhft.json"]
    links = json.loads((folder / "hlhft.json").read_text())["links"]
    assert "https://docs.example/runbook.md" in [link["url"] for link in links]


def test_what_is_no_address_is_wrong_use(capsys: pytest.CaptureFixture[str]) -> None:
    assert invoke(["dashboards", "--documents", "docs"]) == ExitCode.USAGE
    assert "it is no address, as in https://host/docs" in capsys.readouterr().err


def test_without_the_package_it_says_how_to_install_it(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    found = importlib.util.find_spec
    monkeypatch.setattr(
        "importlib.util.find_spec",
        lambda name, *more: None if name == "grafana_foundation_sdk" else found(name, *more),
    )
    assert invoke(["dashboards"]) == ExitCode.FAILURE
    out, err = capsys.readouterr()
    assert out == ""
    assert err == (
        "hlhft: writing dashboards needs the Python package grafana_foundation_sdk, which is not installed: run make "
        "install, or pip install 'hlhft[dashboards]'\n"
    )
