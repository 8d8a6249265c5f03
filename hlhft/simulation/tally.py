"""What was simulated so far, by revision: a file with one line of JSON for each time, only ever added to."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import msgspec

from hlhft.simulation.run import Outcome
from hlhft.simulation.time import SECOND

HOUR_NS = 3600 * SECOND
LINE_BYTES_MAX = 1 << 16


class TallyError(ValueError):
    """A file of tallies that cannot be read; the message is one sentence."""


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """One time that something was simulated."""

    at: str  # UTC, as in 2026-01-31T12:00:00Z
    revision: str
    first_seed: int
    seeds: int
    hours: float  # in all
    events: int
    actions: int
    sessions: int
    faults: dict[str, int]
    violations: list[int]  # their seeds


def entry_of(outcomes: Iterable[Outcome], *, at: str, revision: str) -> Entry:
    """What some runs came to. Raises ValueError without any."""
    ran = sorted(outcomes, key=lambda outcome: outcome.seed)
    if not ran:
        raise ValueError("no run, no entry")
    faults: Counter[str] = Counter()
    for outcome in ran:
        faults.update({kind.value: count for kind, count in outcome.faults.items()})
    return Entry(
        at=at,
        revision=revision,
        first_seed=ran[0].seed,
        seeds=len(ran),
        hours=sum(outcome.virtual_ns for outcome in ran) / HOUR_NS,
        events=sum(outcome.events for outcome in ran),
        actions=sum(outcome.actions for outcome in ran),
        sessions=sum(outcome.sessions for outcome in ran),
        faults=dict(sorted(faults.items())),
        violations=[outcome.seed for outcome in ran if outcome.violation is not None],
    )


def add(path: Path, entry: Entry) -> None:
    """Adds a line; it is on disk when this returns. Raises OSError."""
    with path.open("ab") as file:
        file.write(msgspec.json.encode(entry) + b"\n")
        file.flush()
        os.fsync(file.fileno())


def read(path: Path) -> list[Entry]:
    """All entries, the oldest first. Raises TallyError, OSError."""
    found = []
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            if len(line) > LINE_BYTES_MAX:
                raise TallyError(f"{path}: line {number} is longer than {LINE_BYTES_MAX} bytes")
            try:
                found.append(msgspec.json.decode(line, type=Entry))
            except msgspec.MsgspecError as error:
                raise TallyError(f"{path}: line {number} is no entry of a tally: {error}") from None
    return found


def hours_without_violation(entries: Iterable[Entry]) -> dict[str, float]:
    """Simulated hours by revision, of those that never broke a promise."""
    hours: dict[str, float] = {}
    broken: set[str] = set()
    for entry in entries:
        hours[entry.revision] = hours.get(entry.revision, 0.0) + entry.hours
        if entry.violations:
            broken.add(entry.revision)
    return {revision: total for revision, total in hours.items() if revision not in broken}


def joined(entries: Iterable[Entry]) -> list[Entry]:
    """The same in fewer entries: of one revision, what goes on with the seed after another's last is one with it."""
    found: list[Entry] = []
    for entry in sorted(entries, key=lambda entry: (entry.revision, entry.first_seed)):
        last = found[-1] if found else None
        if last is None or last.revision != entry.revision or last.first_seed + last.seeds != entry.first_seed:
            found.append(entry)
            continue
        faults = Counter(last.faults)
        faults.update(entry.faults)
        found[-1] = msgspec.structs.replace(
            last,
            at=max(last.at, entry.at),
            seeds=last.seeds + entry.seeds,
            hours=last.hours + entry.hours,
            events=last.events + entry.events,
            actions=last.actions + entry.actions,
            sessions=last.sessions + entry.sessions,
            faults=dict(sorted(faults.items())),
            violations=[*last.violations, *entry.violations],
        )
    return sorted(found, key=lambda entry: entry.at)


def tally_table(entries: Iterable[Entry]) -> str:
    """What was simulated as a Markdown table, for the documentation."""
    rows = [
        "| until | revision | seeds | virtual hours | sessions | actions | faults | promises broken |",
        "| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    for entry in joined(entries):
        seeds = f"{entry.first_seed} to {entry.first_seed + entry.seeds - 1}"
        rows.append(
            f"| {entry.at} | {entry.revision.split()[-1][:12]} | {seeds} | {entry.hours:.1f} | {entry.sessions:,} | "
            f"{entry.actions:,} | {sum(entry.faults.values()):,} | {len(entry.violations)} |"
        )
    return "\n".join(rows)
