"""A real Prometheus, Debian's package, with our own configuration and rules: asked over its HTTP interface."""

from __future__ import annotations

import os
import shutil
import subprocess
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from types import TracebackType
from typing import Any

import pytest
import requests

from tests.endtoend.house import eventually, free_port

PROGRAM = "prometheus"
READY_S = 60.0
REQUEST_S = 10.0
STOP_S = 20.0
LOG_CHARACTERS_MAX = 4_000  # of what it says, shown when it does not start


@dataclass(frozen=True, slots=True)
class Sample:
    """One series at one moment; its value as Prometheus writes it, to the last digit."""

    labels: Mapping[str, str]
    value: Decimal
    at_s: float


class Prometheus:
    """One that scrapes and evaluates what `configuration` says. To be used as a context.

    `files` are put beside the configuration, by name, as its rule files are found there. Skips the test, loudly, where
    the program is missing.
    """

    def __init__(self, folder: Path, *, configuration: str, files: Mapping[str, str]) -> None:
        program = shutil.which(PROGRAM)
        if program is None:
            pytest.skip("NOT TESTED against a real Prometheus: install Debian's package prometheus")
        folder.mkdir(parents=True, exist_ok=True)
        self._log = folder / "prometheus.log"
        for name, text in {**files, "prometheus.json": configuration}.items():
            (folder / name).write_text(text, encoding="utf-8")
        self._port = free_port()
        self.url = f"http://127.0.0.1:{self._port}"
        self._local = threading.local()
        line = [
            program, f"--config.file={folder / 'prometheus.json'}", f"--storage.tsdb.path={folder / 'series'}",
            f"--web.listen-address=127.0.0.1:{self._port}", "--storage.tsdb.retention.time=1h", "--log.level=warn",
        ]  # fmt: skip
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                line, cwd=folder, env={**os.environ, "GOMAXPROCS": "1"}, stdin=subprocess.DEVNULL, stdout=log,
                stderr=subprocess.STDOUT,
            )  # fmt: skip

    def __enter__(self) -> Prometheus:
        eventually(lambda: self._process.poll() is not None or self._is_ready(), within_s=READY_S)
        assert self._process.poll() is None, self.words
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        self._process.kill()
        self._process.wait(STOP_S)
        if kind is not None:
            print(f"--- {PROGRAM}\n{self.words}")

    @property
    def _session(self) -> requests.Session:
        """That of this thread."""
        if not hasattr(self._local, "session"):
            self._local.session = requests.Session()
            self._local.session.trust_env = False
        session: requests.Session = self._local.session
        return session

    @property
    def words(self) -> str:
        """The last that it said; warnings and errors only."""
        return self._log.read_text("utf-8", "replace")[-LOG_CHARACTERS_MAX:]

    def _is_ready(self) -> bool:
        try:
            return self._session.get(f"{self.url}/-/ready", timeout=REQUEST_S).status_code == requests.codes.ok
        except requests.ConnectionError:
            return False

    def ask(self, path: str, **parameters: str) -> Any:
        """The data of an answer of its HTTP interface; fails with its own words when it refuses."""
        response = self._session.get(f"{self.url}/api/v1/{path}", params=parameters, timeout=REQUEST_S)
        told = response.json()
        assert told["status"] == "success", (path, parameters, told.get("error"))
        return told["data"]

    def query(self, expression: str, *, at_s: float | None = None) -> list[Sample]:
        """What an expression gives now, or at a time in seconds since 1970: one sample a series."""
        at = {} if at_s is None else {"time": repr(at_s)}
        data = self.ask("query", query=expression, **at)
        if data["resultType"] == "scalar":
            return [Sample({}, Decimal(data["result"][1]), float(data["result"][0]))]
        assert data["resultType"] == "vector", (expression, data["resultType"])
        return [
            Sample(entry["metric"], Decimal(entry["value"][1]), float(entry["value"][0])) for entry in data["result"]
        ]

    def value(self, expression: str, *, at_s: float | None = None) -> Decimal:
        """The value of an expression of exactly one series."""
        found = self.query(expression, at_s=at_s)
        assert len(found) == 1, (expression, found)
        return found[0].value

    def samples(self, selector: str, *, seconds: int) -> dict[tuple[tuple[str, str], ...], list[tuple[float, Decimal]]]:
        """The scraped samples of a selector within the last seconds, as (time of the scrape in s, value), by labels."""
        data = self.ask("query", query=f"{selector}[{seconds}s]")
        return {
            tuple(sorted(entry["metric"].items())): [(float(at), Decimal(value)) for at, value in entry["values"]]
            for entry in data["result"]
        }

    def alerts(self, state: str = "firing") -> list[Mapping[str, str]]:
        """Labels of the alerts in this state: firing, or pending."""
        return [one["labels"] for one in self.ask("alerts")["alerts"] if one["state"] == state]

    def firing(self, name: str, **labels: str) -> bool:
        """Whether an alert of this name fires with at least these labels."""
        wanted = {"alertname": name, **labels}
        return any(wanted.items() <= found.items() for found in self.alerts())

    def until(self, look: Callable[[], Any], *, within_s: float, what: str = "") -> None:
        """Waits until something is so; fails with the alerts of that moment when the time is up."""
        try:
            eventually(look, within_s=within_s)
        except AssertionError as error:
            told = {state: self.alerts(state) for state in ("firing", "pending")}
            raise AssertionError(f"{what or look}: {error}; {told}") from None
