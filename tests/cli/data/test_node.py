"""`hlhft data node`: what it says, its exit codes, and a backtest on what it brought in."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from hlhft.cli import Options, invoke
from hlhft.cli.errors import ExitCode
from hlhft.data.catalogue.reading import Catalogue
from tests.cli.data.running import Captured, refused, run, said
from tests.exchange.node_sample import START_NS, Sample, write_sample


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Sample:
    return write_sample(tmp_path_factory.mktemp("node"), seed=3, blocks=60)


def test_it_says_what_it_brought_in(sample: Sample, tmp_path: Path, capsys: Captured) -> None:
    root = tmp_path / "catalogue"
    assert run("node", sample.folder, "--catalogue", root, "--coins", "ETH", "--json") == ExitCode.OK
    report = json.loads(said(capsys)[0])
    assert (report["coins"], report["parts_written"], report["gaps"]) == (["ETH"], 3, 0)
    assert {part.coin for part in Catalogue(root).manifests()} == {"ETH"}
    assert report["rows"]["DEPTH_LEVEL"] > 0
    assert run("node", sample.folder, "--catalogue", root) == ExitCode.OK
    out, err = said(capsys)
    assert out.endswith("; 6 parts written\n")
    assert err == ""


def test_a_backtest_on_the_catalogue_is_the_one_on_the_folder(
    tmp_path: Path, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    root = tmp_path / "catalogue"
    minute_ns = 60_000_000_000
    sample = write_sample(tmp_path / "node", seed=3, blocks=320, with_clients=False, start_ns=START_NS - minute_ns)
    assert run("node", sample.folder, "--catalogue", root, "--coins", "BTC") == ExitCode.OK
    said(capsys)
    reports = []
    for name in (str(sample.folder), "2026-09-21/BTC"):
        out = tmp_path / f"run{len(reports)}"
        arguments = ["backtest", name, "15", "--market", "BTC"] if not reports else ["backtest", name, "15"]
        code = invoke(
            [*arguments, "--catalogue", str(root), "--queue", "order-level", "--json", "--output", str(out)],
            options=Options(),
        )
        written, err = said(capsys)
        assert code == ExitCode.OK, err
        reports.append(json.loads(written))
    assert "did not trade" not in reports[0]["verdict"]["sentence"]
    for own in ("title", "reader"):
        assert reports[0].pop(own) != reports[1].pop(own)
    assert reports[0] == reports[1]


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["--coins", "NONE"], "market NONE is not in the specification"),
        (["--snapshot", "missing.json"], "the snapshot cannot be read"),
        (["--hide-user", "me"], '"me" is no address'),
    ],
)
def test_what_is_wrong_is_one_sentence(
    sample: Sample, tmp_path: Path, capsys: Captured, arguments: list[str], problem: str
) -> None:
    assert run("node", sample.folder, "--catalogue", tmp_path / "catalogue", *arguments) == ExitCode.DATA
    refused(capsys, problem)
    assert not (tmp_path / "catalogue").exists()


def test_importing_it_as_any_recording_is_refused(sample: Sample, tmp_path: Path, capsys: Captured) -> None:
    assert run("import", sample.folder, "--catalogue", tmp_path / "catalogue") == ExitCode.USAGE
    refused(capsys, "bring it in with `hlhft data node`")


def test_what_is_no_nodes_folder_is_refused(tmp_path: Path, capsys: Captured) -> None:
    assert run("node", tmp_path, "--catalogue", tmp_path / "catalogue") == ExitCode.DATA
    said(capsys)
    (tmp_path / "file").write_text("hello\n")
    assert run("node", tmp_path / "file", "--catalogue", tmp_path / "catalogue") == ExitCode.DATA
    refused(capsys, "no known recording")
