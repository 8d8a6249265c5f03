"""`hlhft alerts` prints or writes three files; those of the appliance are what it writes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from hlhft.cli import invoke
from hlhft.cli.alerts import FORMATS
from hlhft.cli.errors import ExitCode
from hlhft.monitor.alerts import RULES_FILE, as_text, rules

Capture = pytest.CaptureFixture[str]
KEPT = Path("nixos", "files", "prometheus")


def printed(capsys: Capture, *arguments: str) -> dict:
    assert invoke(["alerts", *arguments]) == ExitCode.OK
    return json.loads(capsys.readouterr().out)


def refused(capsys: Capture, *arguments: str) -> str:
    assert invoke(["alerts", *arguments]) == ExitCode.USAGE
    return capsys.readouterr().err


def test_the_rules_are_printed_unless_another_form_is_asked_for(capsys: Capture) -> None:
    assert printed(capsys) == json.loads(as_text(rules()))
    assert "scrape_configs" in printed(capsys, "--format", "prometheus")
    assert "inhibit_rules" in printed(capsys, "--format", "alertmanager")


def test_the_appliance_s_files_are_what_is_written(tmp_path: Path, repository: Path, capsys: Capture) -> None:
    assert invoke(["alerts", "--output", str(tmp_path / "new")]) == ExitCode.OK
    names = {Path(line).name for line in capsys.readouterr().out.splitlines()}
    assert len(names) == len(FORMATS)
    kept = {path.name: path.read_text() for path in (repository / KEPT).iterdir()}
    made = {path.name: path.read_text() for path in (tmp_path / "new").iterdir()}
    assert set(made) == names
    assert kept == made, f"write them again: hlhft alerts --output {KEPT}"


def test_limits_come_from_the_settings(tmp_path: Path, capsys: Capture) -> None:
    file = tmp_path / "settings.toml"
    file.write_text('[risk]\nunknown_age_ms_max = 10000\n[metrics]\naddress = "10.0.0.7"\nport = 1000\n')
    (group,) = printed(capsys, "--config", str(file))["groups"]
    (found,) = [rule["expr"] for rule in group["rules"] if rule["alert"] == "UnknownOrder"]
    assert found.endswith("> 5")
    (scrape,) = printed(capsys, "--config", str(file), "--format", "prometheus")["scrape_configs"]
    assert scrape["static_configs"] == [{"targets": ["10.0.0.7:1000"]}]


def test_what_is_said_goes_before_the_defaults(tmp_path: Path, capsys: Capture) -> None:
    content = printed(
        capsys, "--format", "prometheus", "--target", "a:1", "--target", "b:2", "--alertmanager", "c:3",
        "--host", "tokyo", "--authority", "/ca", "--certificate", "/c", "--key", "/k",
    )  # fmt: skip
    (scrape,) = content["scrape_configs"]
    assert scrape["static_configs"] == [{"targets": ["a:1", "b:2"]}]
    assert scrape["tls_config"] == {"ca_file": "/ca", "cert_file": "/c", "key_file": "/k"}
    assert content["alerting"]["alertmanagers"] == [{"static_configs": [{"targets": ["c:3"]}]}]
    assert content["global"]["external_labels"] == {"host": "tokyo"}
    content = printed(capsys, "--format", "alertmanager", "--page", "https://page/", "--heartbeat", "/run/beat")
    webhooks = {entry["name"]: entry["webhook_configs"][0] for entry in content["receivers"]}
    assert webhooks["page"]["url"] == "https://page/"
    assert webhooks["heartbeat"]["url_file"] == "/run/beat"
    (group,) = printed(capsys, "--runbook", "https://r")["groups"]
    assert group["rules"][0]["annotations"]["runbook"].startswith("https://r#")


def test_wrong_use_is_refused_with_what_to_do(tmp_path: Path, capsys: Capture) -> None:
    file = tmp_path / "settings.toml"
    file.write_text('[metrics]\ncertificate_file = "/c"\nkey_file = "/k"\n')
    assert "--authority" in refused(capsys, "--config", str(file))
    assert "--authority" in refused(capsys, "--certificate", "/c")
    assert "belong together" in refused(capsys, "--authority", "/ca", "--key", "/k")
    assert "absolute path" in refused(capsys, "--page", "somewhere")
    assert "rules" in refused(capsys, "--format", "other")


def test_an_earlier_file_stays_where_nothing_can_be_written(tmp_path: Path, capsys: Capture) -> None:
    (tmp_path / "file").write_text("x")
    assert invoke(["alerts", "--output", str(tmp_path / "file")]) == ExitCode.FAILURE
    assert (tmp_path / "file").read_text() == "x"
    assert RULES_FILE not in capsys.readouterr().out
