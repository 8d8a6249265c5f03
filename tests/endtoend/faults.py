"""Faults done to what runs, each undone again, and the alerts that have to fire because of it and to end after it.

Faults of one lane follow each other; lanes are of other hosts and do not disturb each other, so they run side by side.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from tests.endtoend.house import eventually
from tests.endtoend.stage import Stage

FIRES_S = RESOLVES_S = 60.0  # on a machine that is busy with other tests
PAUSE_S = 0.1


@dataclass(frozen=True, kw_only=True)
class Fault:
    """Something that goes wrong on a host. `alerts` fire because of it; each is a name and labels that it must have."""

    name: str
    host: str
    alerts: tuple[tuple[str, Mapping[str, str]], ...]
    do: Callable[[Stage], None]
    undo: Callable[[Stage], None]


@dataclass
class Outcome:
    """What became of one alert: seconds until it fired, and until it had resolved; why not, where it did not."""

    fault: str
    fired_s: float | None = None
    resolved_s: float | None = None
    failure: str = ""


@dataclass
class Rehearsal:
    """All lanes, performed."""

    stage: Stage
    outcomes: dict[tuple[str, str], Outcome] = field(default_factory=dict)  # of (alert, fault)

    def perform(self, lanes: tuple[tuple[Fault, ...], ...]) -> None:
        """Performs all faults; what fails is an outcome, and its lane goes on."""
        threads = [threading.Thread(target=self._lane, args=(lane,), daemon=True) for lane in lanes]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def _lane(self, lane: tuple[Fault, ...]) -> None:
        for fault in lane:
            self._fault(fault)

    def _fault(self, fault: Fault) -> None:
        stage, began = self.stage, time.monotonic()
        instance = getattr(stage, fault.host).instance
        mine = {name: Outcome(fault.name) for name, _ in fault.alerts}
        self.outcomes.update({(name, fault.name): outcome for name, outcome in mine.items()})
        wanted = {name: {"alertname": name, "instance": instance, **labels} for name, labels in fault.alerts}

        def are_seen() -> bool:
            firing = stage.prometheus.alerts()
            for name, labels in wanted.items():
                if mine[name].fired_s is None and any(labels.items() <= found.items() for found in firing):
                    mine[name].fired_s = time.monotonic() - began
            return all(outcome.fired_s is not None for outcome in mine.values())

        def are_gone() -> bool:
            firing = stage.prometheus.alerts()
            for name, labels in wanted.items():
                if any(labels.items() <= found.items() for found in firing):
                    mine[name].resolved_s = None
                elif mine[name].resolved_s is None:
                    mine[name].resolved_s = time.monotonic() - undone
            return all(outcome.resolved_s is not None for outcome in mine.values())

        failure = ""
        try:
            fault.do(stage)
            eventually(are_seen, within_s=FIRES_S)
        except (AssertionError, OSError, ValueError, KeyError) as error:
            failure = f"doing: {error!r:.2000}"
        undone = time.monotonic()
        try:
            fault.undo(stage)
            eventually(are_gone, within_s=RESOLVES_S)
        except (AssertionError, OSError, ValueError, KeyError) as error:
            failure += f" undoing: {error!r:.2000}"
        for outcome in mine.values():
            if outcome.fired_s is None or outcome.resolved_s is None:
                outcome.failure = failure or "it did not"
