"""Who hears of what: as data, by Alertmanager's own tool, and from a running Alertmanager over a real socket."""

from __future__ import annotations

import json
import re
import subprocess
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from hlhft.monitor.alertmanager import (
    CREDENTIALS,
    RECEIVERS,
    RHYTHMS,
    Receiver,
    Rhythm,
    configuration,
    inhibitions,
    of_the_engine,
)
from hlhft.monitor.alerts import Severity, alerts, as_text, by_name
from tests.monitor.programs import program, run

SECONDS_MAX = 30.0


def receivers(url: str, credentials_file: str = "") -> dict[Severity, Receiver]:
    return {severity: Receiver(url=f"{url}/{severity}", credentials_file=credentials_file) for severity in Severity}


def written(folder: Path, content: dict[str, Any]) -> Path:
    path = folder / "alertmanager.json"
    path.write_text(as_text(content))
    return path


# ------------------------------------------------------------------ as data


def test_the_addresses_of_receivers_are_read_from_files_unless_given() -> None:
    content = configuration()
    found = {entry["name"]: entry["webhook_configs"][0] for entry in content["receivers"]}
    assert {name: webhook["url_file"] for name, webhook in found.items()} == {
        str(severity): f"{CREDENTIALS}/{severity}-url" for severity in Severity
    }
    assert not any("url" in webhook for webhook in found.values())
    assert {name: webhook["send_resolved"] for name, webhook in found.items()} == {
        "page": True, "ticket": True, "heartbeat": False,
    }  # fmt: skip


def test_a_receiver_has_an_address_or_a_file_of_it() -> None:
    for receiver in (Receiver(), Receiver(url="http://x", url_file="/x")):
        with pytest.raises(AssertionError):
            configuration({**RECEIVERS, Severity.PAGE: receiver})


def test_what_silences_and_is_silenced_are_alerts() -> None:
    names = set(by_name())
    for inhibition in inhibitions():
        for condition in (inhibition.source[0], inhibition.targets[0]):
            label, named = re.fullmatch(r'(\w+)=~?"([^"]+)"', condition).groups()  # type: ignore[union-attr]
            assert label == "alertname"
            assert set(named.split("|")) <= names
        assert inhibition.why


def test_nothing_silences_the_heartbeat_or_a_proof_that_orders_may_rest() -> None:
    for inhibition in inhibitions():
        targets = inhibition.targets[0]
        assert "Heartbeat" not in targets
        by_engine = "Halted" in inhibition.source[0] or 'process="engine"' in inhibition.source
        assert not (by_engine and "OrdersLeft" in targets)


def test_a_cause_is_seen_before_what_it_silences() -> None:
    """Else both are told: what follows from a cause waits at least as long as the cause does."""
    known = by_name()
    for source, target in (
        ("ProcessDown", "WatchdogSilent"),
        ("ProcessDown", "WatchdogBlind"),
        ("HelperDown", "SignalStale"),
        ("HelperDown", "RecorderGap"),
        ("NotTrading", "SignalStale"),
        ("DiskFull", "DiskLow"),
        ("JournalTrouble", "JournalSlow"),
    ):
        assert known[source].hold_s <= known[target].hold_s
    assert RHYTHMS[Severity.PAGE].wait_s > 0


def test_alerts_of_the_engine_are_those_of_its_metrics_alone() -> None:
    found = set(of_the_engine())
    assert {"Halted", "StaleMarket", "SignalStale", "WatchdogSilent"} <= found
    assert not found & {"ProcessDown", "OrdersLeft", "ClockDrift", "DiskFull", "Heartbeat", "ExporterDown"}


# ------------------------------------------------------------------ by Alertmanager's own tool


def test_alertmanager_takes_it(tmp_path: Path) -> None:
    # The addresses in place of their files, which the tool reads from version 0.26 on.
    secret = tmp_path / "secret"
    secret.write_text("x")
    result = run(
        "amtool", "check-config", written(tmp_path, configuration(receivers("http://127.0.0.1:1", str(secret))))
    )
    assert result.returncode == 0, result.stdout
    assert f"{len(inhibitions())} inhibit rules" in result.stdout


def test_every_severity_goes_to_its_receiver_and_the_unknown_to_the_pages(tmp_path: Path) -> None:
    path = written(tmp_path, configuration(receivers("http://127.0.0.1:1")))

    def receiver(*labels: str) -> str:
        result = run("amtool", "config", "routes", "test", f"--config.file={path}", *labels)
        assert result.returncode == 0, result.stdout
        return result.stdout.splitlines()[-1]  # after a warning that says nothing of the route

    assert {severity: receiver(f"severity={severity}", "alertname=X") for severity in Severity} == {
        severity: str(severity) for severity in Severity
    }
    assert receiver("alertname=X") == receiver("severity=strange") == "page"
    assert {alert.severity for alert in alerts()} == set(Severity)


# ------------------------------------------------------------------ from a running Alertmanager


class Hook:
    """A receiver of webhooks: what came, in its order, as (severity, message, header Authorization)."""

    def __init__(self) -> None:
        self.came: list[tuple[str, dict[str, Any], str]] = []
        self._changed = threading.Condition()

    def note(self, path: str, body: bytes, authorization: str) -> None:
        with self._changed:
            self.came.append((path.strip("/"), json.loads(body), authorization))
            self._changed.notify_all()

    def until(self, condition: Callable[[], bool]) -> None:
        """Returns once the condition holds of what came; fails after SECONDS_MAX."""
        with self._changed:
            assert self._changed.wait_for(condition, SECONDS_MAX), self.came

    def told(self, severity: str, status: str = "firing") -> list[str]:
        """The names of alerts that this receiver was told, in their order."""
        return [
            alert["labels"]["alertname"]
            for path, message, _ in self.came
            if path == severity
            for alert in message["alerts"]
            if alert["status"] == status
        ]


@contextmanager
def webhook() -> Iterator[tuple[Hook, str]]:
    hook = Hook()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            hook.note(self.path, body, self.headers.get("Authorization", ""))
            self.send_response(200)
            self.end_headers()

        def log_message(self, format: str, *arguments: Any) -> None:  # noqa: A002 - the name is http.server's
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield hook, f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@contextmanager
def alertmanager(folder: Path, content: dict[str, Any]) -> Iterator[str]:
    """A running Alertmanager on a port that the system chose; where it answers."""
    log = folder / "log"
    with log.open("wb") as stream:
        process = subprocess.Popen(
            [
                program("prometheus-alertmanager"),
                f"--config.file={written(folder, content)}",
                f"--storage.path={folder / 'storage'}",
                "--web.listen-address=127.0.0.1:0",
                "--cluster.listen-address=",
            ],
            stdout=stream,
            stderr=subprocess.STDOUT,
        )
    try:
        yield f"http://{_address(log, process)}"
    finally:
        process.terminate()
        process.wait(SECONDS_MAX)


def _address(log: Path, process: subprocess.Popen[bytes]) -> str:
    deadline = time.monotonic() + SECONDS_MAX
    while time.monotonic() < deadline and process.poll() is None:
        found = re.search(r'msg="?Listening on"? address=(127\.0\.0\.1:\d+)', log.read_text())
        if found is not None:
            return found[1]
        threading.Event().wait(0.02)
    raise AssertionError(log.read_text())


def post(base: str, *found: dict[str, str], for_s: float = 3600) -> None:
    """What Prometheus posts: alerts that have begun and end after so long."""
    now = datetime.now(UTC)
    body = [
        {
            "labels": labels,
            "startsAt": (now - timedelta(seconds=60)).isoformat(),
            "endsAt": (now + timedelta(seconds=for_s)).isoformat(),
        }
        for labels in found
    ]
    request = urllib.request.Request(
        f"{base}/api/v2/alerts", json.dumps(body).encode(), {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=SECONDS_MAX) as answer:
        assert answer.status == 200


def alert(name: str, **labels: str) -> dict[str, str]:
    known = by_name()
    severity = str(known[name].severity) if name in known else "strange"
    return {"alertname": name, "severity": severity, "instance": "here:9464", **labels}


def state(base: str, name: str) -> str:
    """What Alertmanager makes of the one alert of a name; asking makes it look at what silences it."""
    with urllib.request.urlopen(f"{base}/api/v2/alerts?filter=alertname%3D{name}", timeout=SECONDS_MAX) as text:
        (seen,) = json.load(text)
    return str(seen["status"]["state"])


def until_silenced(base: str, name: str) -> None:
    deadline = time.monotonic() + SECONDS_MAX
    while (found := state(base, name)) != "suppressed":
        assert time.monotonic() < deadline, found
        threading.Event().wait(0.02)


@pytest.mark.processes
def test_a_page_arrives_what_follows_from_it_does_not_and_the_heartbeat_goes_on(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("between-us\n")
    rhythms = {
        Severity.PAGE: Rhythm(0.5, 0.3, 3600),
        Severity.TICKET: Rhythm(0.1, 0.3, 3600),
        Severity.HEARTBEAT: Rhythm(0, 0.3, 0.2),
    }
    down, quiet = alert("ProcessDown", process="engine"), alert("NotTrading", account="0xa", stage="starting")
    with webhook() as (hook, url), alertmanager(tmp_path, configuration(receivers(url, str(secret)), rhythms)) as base:
        post(base, down, alert("StaleMarket", account="0xa"))
        # A cause and what it silences reach two threads: until both have it, what follows may be told, once.
        until_silenced(base, "StaleMarket")
        post(base, quiet, alert("DiskLow", folder="journal"), {"alertname": "Heartbeat", "severity": "heartbeat"},
             alert("Unheard"), alert("OrdersLeft", account="0xa"))  # fmt: skip
        hook.until(lambda: {"ProcessDown", "Unheard", "OrdersLeft"} <= set(hook.told("page")))
        hook.until(lambda: hook.told("ticket") == ["DiskLow"])
        hook.until(lambda: hook.told("heartbeat").count("Heartbeat") >= 3)
        assert state(base, "NotTrading") == "suppressed"
        assert "NotTrading" not in hook.told("page")
        # Once the engine runs again and still does not trade, that is told, after the end of the other.
        post(base, down, for_s=-1)
        hook.until(lambda: "NotTrading" in hook.told("page"))
        hook.until(lambda: "ProcessDown" in hook.told("page", "resolved"))
        assert {proof for _, _, proof in hook.came} == {"Bearer between-us"}
        assert set(hook.told("ticket")) == {"DiskLow"}
        assert set(hook.told("heartbeat")) == {"Heartbeat"}
