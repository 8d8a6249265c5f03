"""The configuration is one that Prometheus takes, says what was asked for, and is the same text each time."""

from __future__ import annotations

from pathlib import Path

import pytest

from hlhft.config import ports
from hlhft.config.live_sections import Metrics
from hlhft.config.settings import Config
from hlhft.monitor.alerts import JOB, RULES_FILE, as_text, rules
from hlhft.monitor.prometheus import CONFIGURATION_FILE, Trust, configuration, target_of
from tests.monitor.programs import run


def checked(folder: Path, content: dict) -> str:
    (folder / RULES_FILE).write_text(as_text(rules()))
    path = folder / CONFIGURATION_FILE
    path.write_text(as_text(content))
    result = run("promtool", "check", "config", path)
    return "" if result.returncode == 0 else result.stdout


def test_prometheus_takes_it_with_its_rules(tmp_path: Path) -> None:
    assert checked(tmp_path, configuration([target_of(Config())])) == ""


def test_prometheus_takes_it_over_tls_and_without_anybody_to_tell(tmp_path: Path) -> None:
    files = {name: tmp_path / name for name in ("authority", "certificate", "key")}
    for file in files.values():
        file.write_text("")
    trust = Trust(
        authority_file=str(files["authority"]),
        server_name="metrics",
        certificate_file=str(files["certificate"]),
        key_file=str(files["key"]),
    )
    content = configuration(["10.0.0.1:9464", "10.0.0.2:9464"], trust=trust, alertmanagers=())
    assert checked(tmp_path, content) == ""
    (scrape,) = content["scrape_configs"]
    assert scrape["scheme"] == "https"
    assert scrape["tls_config"]["server_name"] == "metrics"
    files["key"].unlink()
    assert "key" in checked(tmp_path, content), "promtool looks at what is named"


def test_a_rule_that_is_wrong_is_noticed(tmp_path: Path) -> None:
    checked(tmp_path, configuration(["h:1"]))
    (tmp_path / RULES_FILE).write_text(as_text(rules()).replace("hlhft_halted ==", "hlhft_halted =="[:-1]))
    assert run("promtool", "check", "config", tmp_path / CONFIGURATION_FILE).returncode != 0


def test_it_scrapes_and_evaluates_each_second() -> None:
    content = configuration(["127.0.0.1:9464"], host="tokyo-1")
    assert content["global"] == {
        "scrape_interval": "1s",
        "scrape_timeout": "1s",
        "evaluation_interval": "1s",
        "external_labels": {"host": "tokyo-1"},
    }
    (scrape,) = content["scrape_configs"]
    assert scrape == {
        "job_name": JOB,
        "scheme": "http",
        "static_configs": [{"targets": ["127.0.0.1:9464"]}],
    }
    ((manager,),) = (entry["static_configs"] for entry in content["alerting"]["alertmanagers"])
    assert manager == {"targets": [f"127.0.0.1:{ports.ALERTMANAGER}"]}
    assert content["rule_files"] == [RULES_FILE]


@pytest.mark.parametrize(
    ("metrics", "target"),
    [
        (Metrics(), f"127.0.0.1:{ports.EXPORTER}"),
        (Metrics(address="10.100.0.2", port=1234), "10.100.0.2:1234"),
        (Metrics(address="fd00::1"), f"[fd00::1]:{ports.EXPORTER}"),
    ],
)
def test_the_target_is_where_the_exporter_of_the_settings_answers(metrics: Metrics, target: str) -> None:
    assert target_of(Config(metrics=metrics)) == target
