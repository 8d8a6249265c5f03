"""An alpha process beside an engine's link, over real sockets: rows become signals, and models are swapped."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zmq

from hlhft.alpha.serving.loading import Served, ServedPolicy, ServingError, stamp_of
from hlhft.alpha.serving.messages import PolicyModel
from hlhft.alpha.serving.metrics import AlphaMetrics
from hlhft.alpha.serving.shell import Places, Shell, Source
from hlhft.alpha.sockets import EndpointError, bind, new_context, send
from hlhft.alpha.wire import Flag, Signal
from hlhft.events import EventKind
from hlhft.monitor.block import BlockWriter, block_path, read_block
from hlhft.monitor.metrics import Source as OfProcess
from tests.alpha.linked import Linked, on_loop, until
from tests.alpha.serving.shells import folder_of, served, shell_beside, signals_come
from tests.alpha.wired import SESSION
from tests.live.test_alpha_link import Observer


def run(folder: Path, work: Any, *, linked: dict[str, Any] | None = None, **changes: Any) -> None:
    async def both() -> None:
        link = Linked(folder, **(linked or {}))
        shell = shell_beside(link, **changes)
        try:
            await work(link, shell)
        finally:
            shell.close()
            link.close()

    on_loop(both)


def places_at(folder: Path, **changes: str) -> Places:
    names = ("features", "snapshot", "signals")
    return Places(**{**{name: f"ipc://{folder}/{name}.sock" for name in names}, **changes})


def test_rows_become_signals_that_the_engine_believes(tmp_path: Path) -> None:
    said: list[Signal] = []

    async def work(linked: Linked, shell: Shell) -> None:
        number = [0]
        await signals_come(linked, number)
        row = linked.core.rows[-1]
        assert row[6] == 77 and row[3] == 200_000
        _, values = linked.rows.row(0, row[4])
        assert row[2] == round(float(values[0, 0]) * 100_000)
        assert [signal.sequence for signal in said if not signal.flags][-1] == row[4]
        await until(lambda: linked.link.counters["heartbeats"] > 2)
        status = shell.status()
        assert status["session"] == SESSION and status["markets"] == {"BTC": "ready"}
        assert status["compute_us_median"] > 0 and status["model"] == "000000000000004d"
        assert len(shell.latencies.quantiles()["whole"]) == 101

    run(tmp_path, work, on_signal=said.append)


def test_what_it_does_can_be_read_beside_it(tmp_path: Path) -> None:
    path = block_path(tmp_path, OfProcess.ALPHA)

    def shown() -> dict[tuple[str, ...], Any]:
        return {(sample.metric.name, *sample.labels): sample.value for sample in read_block(path).series}

    async def work(linked: Linked, shell: Shell) -> None:
        assert shown()["hlhft_alpha_info", "000000000000004d"] == 1
        number = [0]
        for _ in range(3):
            await signals_come(linked, number)
        # A row that is lost on its way is asked for.
        number[0] += 2
        linked.publish((0, number[0]))
        await signals_come(linked, number)
        await until(lambda: shown()["hlhft_alpha_signals_total",] >= 4)
        found = shown()
        assert found["hlhft_alpha_rows_total",] >= 8 and found["hlhft_alpha_rows_lost_total",] >= 1
        assert 0 <= found["hlhft_alpha_row_age_seconds",] < 5
        inference = found["hlhft_inference_seconds",]
        assert inference.count >= 4 and 0 < inference.total_ns / inference.count < 10**9

    made = BlockWriter(path, source=OfProcess.ALPHA, labels={}, clock_ns=time.time_ns)
    run(tmp_path, work, metrics=AlphaMetrics(made))
    assert read_block(path).is_closed


def test_a_process_that_begins_late_fetches_the_rows_it_missed(tmp_path: Path) -> None:
    async def work() -> None:
        linked = Linked(tmp_path)
        for number in range(1, 20):
            linked.publish((0, number))
        shell = shell_beside(linked)
        number = [19]
        await signals_come(linked, number)
        assert linked.link.counters["snapshots told"] >= 1
        shell.close()
        again = shell_beside(linked)
        await signals_come(linked, number)
        again.close()
        linked.close()

    on_loop(work)


def test_a_restarted_engine_is_a_new_session_and_served_on(tmp_path: Path) -> None:
    async def work() -> None:
        first = Linked(tmp_path)
        shell = shell_beside(first)
        await signals_come(first, [0])
        first.close()
        second = Linked(tmp_path)
        second.link._parts.session = SESSION + 1
        await signals_come(second, [0])
        assert shell.machine.session == SESSION + 1
        shell.close()
        second.close()

    on_loop(work)


def test_nonsense_on_its_sockets_is_counted(tmp_path: Path) -> None:
    async def work() -> None:
        places = places_at(tmp_path)
        context = new_context()
        rows = bind(context, zmq.PUB, places.features, queue=10, keys=None)
        shell = Shell(places, served())
        shell.start()

        def is_counted() -> bool:
            send(rows, b"nonsense" * 10)
            rows.send_multipart([b"two", b"parts"])
            return sum(shell.counters.values()) >= 4

        await until(is_counted)
        assert set(shell.counters) == {
            "messages that are none: it does not begin as one", "messages that are none: it has not the size of one",
        }  # fmt: skip
        shell.close()
        context.destroy(0)

    on_loop(work)


def test_it_does_not_begin_where_it_cannot_listen(tmp_path: Path) -> None:
    async def work() -> None:
        with pytest.raises(EndpointError, match="both sides need keys"):
            Shell(places_at(tmp_path, signals="tcp://0.0.0.0:5"), served())

    on_loop(work)


class Folder:
    """A link `current` to a folder, what loading it gives, and how often that was done."""

    def __init__(self, tmp_path: Path, made: dict[str, Served | Exception]) -> None:
        self.made = made
        self.loads: list[str] = []
        self.link = tmp_path / "current"
        self.folders = {name: folder_of(tmp_path, name) for name in made}

    def lead_to(self, name: str) -> None:
        new = self.link.with_name("next")
        new.symlink_to(self.folders[name])
        new.rename(self.link)

    def load(self) -> Served:
        name = self.link.resolve().name
        self.loads.append(name)
        found = self.made[name]
        if isinstance(found, Exception):
            raise found
        return found

    def source(self, known: str) -> Source[Served]:
        self.lead_to(known)
        return Source(
            stamp=lambda: stamp_of(self.link, "bundle.json"), load=self.load, faults=(ServingError,),
            known=stamp_of(self.link, "bundle.json"),
        )  # fmt: skip


def test_a_model_is_swapped_between_two_rows_and_one_that_fails_leaves_the_old(tmp_path: Path) -> None:
    folder = Folder(
        tmp_path,
        {
            "old": served(),
            "new": served(model_id=78, move=2.0),
            "broken": ServingError("it has no such horizon"),
            "foreign": served(model_id=79, schema=b"x" * 16),
        },
    )

    async def work(linked: Linked, shell: Shell) -> None:
        shell._ticks = 0
        number = [0]
        await signals_come(linked, number)
        assert folder.loads == [] and linked.core.rows[-1][6] == 77
        folder.lead_to("new")
        shell._ticks = 0
        await until(lambda: shell.machine.model is not None and shell.machine.model.model_id == 78)
        await signals_come(linked, number)
        row = linked.core.rows[-1]
        assert row[6] == 78
        assert row[2] == round(2.0 * float(linked.rows.row(0, row[4])[1][0, 0]) * 100_000)
        for name, refused in (("broken", 1), ("foreign", 2)):
            folder.lead_to(name)
            shell._ticks = 0
            await until(lambda wanted=refused: shell.machine.counters["loads refused"] == wanted)
            await signals_come(linked, number)
            assert linked.core.rows[-1][6] == 78
        assert folder.loads == ["new", "broken", "foreign"]

    run(tmp_path, work, models=folder.source("old"))


def test_a_folder_that_is_being_copied_is_left_alone(tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    assert stamp_of(empty, "bundle.json") is None
    first = stamp_of(folder_of(tmp_path, "a"), "bundle.json")
    second = stamp_of(folder_of(tmp_path, "b"), "bundle.json")
    assert first is not None and second is not None and first != second
    assert stamp_of(tmp_path / "a", "bundle.json") == first


def test_a_policy_decides_beside_the_model(tmp_path: Path) -> None:
    policy = ServedPolicy(PolicyModel(5, Observer.layout, 3), lambda observation: np.zeros(4))
    source = Source(stamp=lambda: 1, load=lambda: policy, faults=(ServingError,))
    said: list[Signal] = []

    async def work(linked: Linked, shell: Shell) -> None:
        number = [0]

        def has_decided() -> bool:
            number[0] += 1
            linked.publish((0, number[0]))
            shell._ticks = 0
            return any(row[7] == EventKind.POLICY for row in linked.core.rows)

        await until(has_decided)
        row = next(row for row in linked.core.rows if row[7] == EventKind.POLICY)
        assert row[2:5] == (1_000_000, 1_000_000, 1_000_000) and row[6] == 0
        assert row[5] > time.time_ns()
        assert any(signal.flags & Flag.POLICY for signal in said)
        assert shell.status()["policy"] == "0000000000000005"

    run(tmp_path, work, linked={"observer": Observer()}, policies=source, on_signal=said.append)
