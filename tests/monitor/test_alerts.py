"""Every alert fires when it must and not before, says what it means, and has its section in the runbook."""

from __future__ import annotations

import importlib
import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hlhft.cli import COMMANDS
from hlhft.config.live_sections import Journal
from hlhft.config.settings import Config, Risk, fields
from hlhft.monitor.alerts import RUNBOOK, Alert, Severity, alerts, as_text, by_name, duration, number, rule, rules
from hlhft.monitor.selectors import TokenKind, faults_of, tokens
from tests.monitor.alert_cases import Story, stories_of
from tests.monitor.programs import run

ALERTS = {alert.name: alert for alert in alerts()}
ROOT = Path(__file__).resolve().parents[2]
SECTIONS = dict(re.findall(r"^## (\w+)\n\n(.*?)(?=^## |\Z)", (ROOT / RUNBOOK).read_text(), re.MULTILINE | re.DOTALL))
# Of the system, not of hlhft.
PROGRAMS = frozenset({"amtool", "chronyc", "df", "du", "journalctl", "ps", "timedatectl"})


def unit_test(alert: Alert, rule_file: str, names: Iterable[str]) -> dict[str, Any]:
    """What `promtool test rules` runs for the stories of an alert, of rules in `rule_file` with these names."""
    stories = stories_of(alert)
    return {
        "rule_files": [rule_file],
        # Of all stories of an alert, as promtool knows one only.
        "evaluation_interval": f"{min(story.interval_s for story in stories)}s",
        "tests": [_test(alert, story, tuple(names)) for story in stories],
    }


def _test(alert: Alert, story: Story, names: tuple[str, ...]) -> dict[str, Any]:
    said = {
        "exp_labels": {"severity": str(alert.severity), **story.labels},
        "exp_annotations": {
            "summary": story.summary,
            "description": story.description,
            "runbook": f"{RUNBOOK}#{alert.anchor}",
        },
    }
    times = sorted([*((time, True) for time in story.fires), *((time, False) for time in story.silent)])
    return {
        "interval": f"{story.interval_s}s",
        "input_series": [{"series": series, "values": course} for series, course in story.series.items()],
        "alert_rule_test": [
            {"eval_time": f"{time}s", "alertname": name, "exp_alerts": [said] if fires else []}
            for time, fires in times
            for name in names
        ],
    }


def written(folder: Path, alert: Alert, variants: dict[str, Alert]) -> Path:
    """A unit test of the stories of `alert`, for each of the variants of it under its own name."""
    named = [{**rule(variant), "alert": name} for name, variant in variants.items()]
    (folder / f"{alert.name}.rules.json").write_text(as_text({"groups": [{"name": "x", "rules": named}]}))
    path = folder / f"{alert.name}.test.json"
    path.write_text(json.dumps(unit_test(alert, f"{alert.name}.rules.json", variants)))
    return path


def test_every_alert_fires_in_its_stories_and_only_then(tmp_path: Path) -> None:
    assert all(stories_of(alert) for alert in ALERTS.values())
    paths = [written(tmp_path, alert, {name: alert}) for name, alert in ALERTS.items()]
    result = run("promtool", "test", "rules", *paths)
    assert result.returncode == 0, result.stdout
    assert result.stdout.count("SUCCESS") == len(ALERTS)


OPPOSITE = {"==": "!=", "!=": "==", ">": "<=", "<": ">=", ">=": "<", "<=": ">", "unless": "and", "and": "unless"}


def mutants(alert: Alert) -> Iterator[tuple[str, Alert]]:
    """The alert with one number, time, comparison or joint changed, or its `for`; each with a name of the change."""
    for token in tokens(alert.expression):
        changed: list[str] = []
        if token.kind is TokenKind.NUMBER:
            value = float(token.text)
            # A count changes by one, a share or a limit by a fifth or more.
            is_count = value.is_integer() and value < 10
            changed = (
                [number(value + 1), number(value - 1)] if is_count else [number(value * 1.25), number(value * 0.8)]
            )
        elif token.kind is TokenKind.DURATION:
            seconds = seconds_of(token.text)
            changed = [duration(seconds * 1.25), duration(seconds * 0.8)]
        elif token.text in OPPOSITE:
            changed = [OPPOSITE[token.text]]
        for index, text in enumerate(changed):
            expression = alert.expression[: token.start] + text + alert.expression[token.end :]
            yield f"{alert.name}-{token.start}-{index}", replace(alert, expression=expression)
    if alert.hold_s:
        for index, hold_s in enumerate((alert.hold_s * 1.2, alert.hold_s * 0.8, 0)):
            yield f"{alert.name}-for-{index}", replace(alert, hold_s=hold_s)
    else:
        yield f"{alert.name}-for-0", replace(alert, hold_s=3)


def seconds_of(text: str) -> float:
    units = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86_400}
    return sum(int(count) * units[unit] for count, unit in re.findall(r"(\d+)(ms|[smhd])", text))


def test_a_changed_number_of_any_alert_makes_its_stories_wrong(tmp_path: Path) -> None:
    # What always fires has no number.
    made = {name: dict(mutants(alert)) for name, alert in ALERTS.items() if name != "Heartbeat"}
    assert all(made.values())
    paths = [written(tmp_path, ALERTS[name], variants) for name, variants in made.items()]
    result = run("promtool", "test", "rules", *paths)
    assert result.stdout.count("FAILED") == len(made), result.stdout
    noticed = set(re.findall(r"alertname: (\S+), time", result.stdout))
    survivors = [variant for variants in made.values() for name, variant in variants.items() if name not in noticed]
    assert survivors == []


@pytest.mark.parametrize("alert", ALERTS.values(), ids=lambda alert: alert.name)
def test_an_alert_asks_only_for_metrics_of_the_list(alert: Alert) -> None:
    assert faults_of(alert.expression) == ()


def test_a_name_is_that_of_one_alert() -> None:
    assert len(by_name()) == len(alerts())
    assert all(re.fullmatch(r"([A-Z][a-z]+)+", alert.name) for alert in alerts())


def test_only_the_heartbeat_is_one() -> None:
    assert {alert.name for alert in alerts() if alert.severity is Severity.HEARTBEAT} == {"Heartbeat"}
    assert {Severity.PAGE, Severity.TICKET} <= {alert.severity for alert in alerts()}


@pytest.mark.parametrize("alert", ALERTS.values(), ids=lambda alert: alert.name)
def test_a_page_says_soon_what_it_says(alert: Alert) -> None:
    """A market maker is called within seconds of what is dangerous, and about what a restart mends not at all."""
    assert alert.severity is not Severity.PAGE or alert.hold_s <= 120
    assert not alert.summary.endswith(".") and alert.description.endswith((".", "{{ end }}"))
    assert len(alert.summary) <= 90


# ------------------------------------------------------------------ thresholds


def test_thresholds_are_those_of_the_settings() -> None:
    config = Config(
        risk=Risk(tick_to_trade_ms_max=100, unknown_age_ms_max=20_000, rejections_max=10, rejection_window_ms=30_000),
        journal=Journal(segment_mib=4, sync_ms=40),
    )
    expressions = {name: alert.expression for name, alert in by_name(config).items()}
    assert " > 0.05 and " in expressions["TickToTradeNearLimit"]
    assert expressions["UnknownOrder"].endswith("> 10")
    assert expressions["RejectionStorm"] == "increase(hlhft_rejections_total[30s]) > 5"
    assert expressions["JournalSlow"].endswith("> 1")
    assert expressions["DiskFull"].endswith("< 16777216")
    assert "at 100 ms all orders" in by_name(config)["TickToTradeNearLimit"].description


def test_a_breaker_that_is_off_leaves_its_alert_on() -> None:
    off = by_name(Config(risk=Risk(unknown_age_ms_max=0, rejections_max=0)))
    assert {name: alert.expression for name, alert in off.items()} == {
        name: alert.expression for name, alert in ALERTS.items()
    }


def test_a_rehearsal_is_faster_and_otherwise_the_same(tmp_path: Path) -> None:
    fast = {alert.name: alert for alert in alerts(pace=0.05)}
    assert list(fast) == list(ALERTS)
    assert fast["NotTrading"].hold_s == pytest.approx(6)
    assert "[15s]" in fast["TickToTradeNearLimit"].expression
    assert "[3s]" in fast["RejectionStorm"].expression, "a range holds two scrapes at least"
    (tmp_path / "rules.json").write_text(as_text(rules(pace=0.05)))
    assert run("promtool", "check", "rules", tmp_path / "rules.json").returncode == 0


# ------------------------------------------------------------------ text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0s"), (1, "1s"), (90, "1m30s"), (3600, "1h"), (0.25, "250ms"), (1.5, "1s500ms"), (86_400, "1d")],
)
def test_times_are_written_as_prometheus_reads_them(seconds: float, text: str) -> None:
    assert duration(seconds) == text


@given(st.integers(0, 10**10))
def test_a_written_time_is_exact_to_a_millisecond(milliseconds: int) -> None:
    assert round(seconds_of(duration(milliseconds / 1000)) * 1000) == milliseconds


def test_a_time_below_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="is no duration"):
        duration(-1)


@given(st.floats(1e-6, 1e9))
def test_a_number_reads_back(value: float) -> None:
    assert float(number(value)) == pytest.approx(value, rel=1e-11)
    assert [token.kind for token in tokens(number(value))] == [TokenKind.NUMBER]


def test_the_rules_say_where_their_sections_are() -> None:
    (group,) = rules(runbook="https://example.org/runbook")["groups"]
    links = {entry["alert"]: entry["annotations"]["runbook"] for entry in group["rules"]}
    assert links["DiskLow"] == "https://example.org/runbook#disklow"
    assert list(links) == list(ALERTS)
    assert as_text(rules()) == as_text(rules()), "the same rules are the same text"


# ------------------------------------------------------------------ the runbook


def test_every_alert_has_its_section_and_every_section_its_alert() -> None:
    assert sorted(SECTIONS) == sorted(ALERTS)
    assert all(alert.anchor == name.lower() for name, alert in ALERTS.items())


@pytest.mark.parametrize("name", SECTIONS)
def test_a_section_says_what_it_means_and_what_to_do(name: str) -> None:
    kind = {Severity.PAGE: "Page", Severity.TICKET: "Ticket", Severity.HEARTBEAT: "Always"}[ALERTS[name].severity]
    starts = re.findall(r"(?:\A|\n\n)\*\*([A-Za-z ]+)[.]?\*\*", SECTIONS[name])
    assert starts == [kind, "Look at", "Do", "After"]


def test_links_within_the_runbook_lead_to_sections() -> None:
    anchors = {alert.anchor for alert in alerts()}
    assert set(re.findall(r"\]\(#([^)]+)\)", (ROOT / RUNBOOK).read_text())) <= anchors


def test_links_to_other_pages_lead_to_their_sections() -> None:
    links = re.findall(r"\]\((\w+\.md)#([^)]+)\)", (ROOT / RUNBOOK).read_text())
    assert links
    for page, anchor in links:
        headings = re.findall(r"^#+ (.+)$", (ROOT / "docs" / page).read_text(), re.MULTILINE)
        assert anchor in {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


def code() -> list[str]:
    return re.findall(r"`([^`\n]+)`", (ROOT / RUNBOOK).read_text())


def test_every_command_of_the_runbook_exists_with_its_options() -> None:
    shown = [text.split() for text in code() if text.startswith("hlhft ")]
    assert len(shown) > 20
    for _, name, *rest in shown:
        assert name in COMMANDS
        command = importlib.import_module(f"hlhft.cli.{name}").command
        if rest and rest[0] in getattr(command, "commands", {}):
            command = command.commands[rest[0]]
        known = {option for parameter in command.params for option in parameter.opts}
        assert {word for word in rest if word.startswith("--")} <= known
    others = {text.split()[0] for text in code() if " -" in text and not text.startswith(("hlhft ", "-"))}
    assert others <= PROGRAMS


def test_every_setting_of_the_runbook_exists() -> None:
    paths = {field.path for field in fields()}
    named = {text for text in code() if re.fullmatch(r"[a-z_]+(\.[a-z_]+)+", text)}
    assert len(named) > 15
    # A whole section may be named, too.
    assert {name for name in named if name not in paths and not name.endswith(".md")} == {"limits.share"}
