"""What a session made, from its journal: every fill, the split of profit without a residual, and what it cannot say."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from hlhft.backtest.runs import write_run
from hlhft.core.state import OrderState
from hlhft.events import EVENT_DTYPE, EventFlag, EventKind
from hlhft.live.journal.records import NoteKind
from hlhft.live.journal.retention import tidy
from hlhft.live.journal.segments import Form, JournalError, Name
from hlhft.live.session_report import SessionLog, session_results
from hlhft.report.results import Results, ScenarioResult
from hlhft.report.verdict import verdict
from tests.core.worlds import MS
from tests.live.journal.brains import Session

FEE_MICRO = 15


def row(made: Session, kind: EventKind, **values: int) -> np.ndarray:
    rows = np.zeros(1, EVENT_DTYPE)
    made.now_ns += MS
    rows["ts_exch_ns"], rows["ts_local_ns"], rows["kind"] = made.now_ns - MS, made.now_ns, int(kind)
    for name, value in values.items():
        rows[name] = value
    return rows


def fill(made: Session, side: int, *, is_maker: bool = True, part: int = 1) -> int:
    """Fills a part of the oldest resting order of a side; returns its price."""
    resting = next(
        order for order in made.brain.lane.orders[0] if order["state"] == OrderState.OPEN and order["side"] == side
    )
    lots = max(int(resting["remaining_lots"]) // part, 1)
    price = int(resting["price_ticks"])
    made.step(
        row(
            made, EventKind.ORDER_FILLED, side=side, price_ticks=price, size_lots=lots, order_id=resting["order_id"],
            aux0=int(resting["remaining_lots"]) - lots, aux1=FEE_MICRO, flags=int(EventFlag.MAKER) if is_maker else 0,
        )
    )  # fmt: skip
    return price


def session(folder: Path, *, opening: int = 0) -> Session:
    made = Session(folder / "journal")
    if opening:
        made.step(row(made, EventKind.POSITION_STATE, size_lots=opening, price_ticks=100_000))
    made.run(10)
    fill(made, 1, part=2)
    made.run(120, seed=2)
    made.step(row(made, EventKind.FUNDING_PAYMENT, aux0=-7))
    fill(made, -1, is_maker=False)
    made.run(20, seed=3)
    made.journal.close()
    return made


def only(results: Results) -> ScenarioResult:
    (scenario,) = results.scenarios
    return scenario


def test_the_fills_and_the_money_are_those_of_the_session(tmp_path: Path) -> None:
    made = session(tmp_path)
    results = session_results(tmp_path / "journal")
    one, position = only(results), made.brain.lane.positions[0]
    assert one.split.residual == one.split.residual_largest == 0
    fills = one.lane.fills()
    assert [(int(one["side"]), int(one["maker"]), int(one["reason"])) for one in fills] == [(1, 1, 0), (-1, 0, 4)]
    assert one.part_usdc["fees"] == pytest.approx(-2 * FEE_MICRO / 1e6)
    assert one.part_usdc["funding"] == pytest.approx(-7e-6)
    assert one.part_usdc["spread"] > 0, "it bought below the mid, and sold above"
    assert int(fills["size_lots"][0] - fills["size_lots"][1]) == position["position_lots"]
    assert one.metrics.trading.orders_placed == int(made.brain.lane.lane["placed"][0])
    assert one.lane.capital_micro == 10_000_000_000
    assert (results.is_live, results.models, one.name.partition(",")[0]) == (True, {}, "session 7")


def test_what_the_journal_does_not_hold_is_said(tmp_path: Path) -> None:
    made = Session(tmp_path / "journal")
    made.run(200)
    folder, (path,) = tmp_path / "journal", sorted((tmp_path / "journal").glob("*-000000.journal"))
    running = session_results(folder)
    assert running.missing == ("Its end is not in the journal: it still runs, or its process died.",)
    made.journal.close()
    whole = session_results(folder)
    assert whole.missing == () and whole.plain()["missing"] == []
    content = bytearray(path.read_bytes())
    content[(middle := len(content.rstrip(b"\0")) // 2) : middle + 64] = b"x" * 64
    path.write_bytes(content)
    damaged = session_results(folder)
    (sentence,) = damaged.missing
    assert sentence.startswith("The journal is damaged, and what came after is in none of these figures: ")
    assert damaged.events < whole.events
    assert sentence in verdict(damaged).remarks


def test_files_that_are_missing_are_said(tmp_path: Path) -> None:
    made = Session(tmp_path / "journal")
    for seed in range(5):
        made.run(100, seed=seed)
        made.journal.rotate()
    made.journal.close()
    paths = sorted((tmp_path / "journal").glob("*.journal"))
    whole = session_results(tmp_path / "journal")
    paths[2].rename(tmp_path / "aside")
    holed = session_results(tmp_path / "journal")
    assert holed.missing == (
        f"A file of the journal before {paths[3].name} is missing, and what came after is in none of these figures.",
    )
    paths[0].unlink()
    paths[1].unlink()
    rest = session_results(tmp_path / "journal")
    assert rest.missing == (f"The journal begins with {paths[3].name}: what was before is in none of these figures.",)
    assert holed.events + rest.events < whole.events


def test_what_the_venue_does_not_say_is_not_said(tmp_path: Path) -> None:
    session(tmp_path)
    one = only(session_results(tmp_path / "journal"))
    assert one.metrics.queue.ahead_usdc_median is None and one.metrics.queue.wait_ns_median is None
    assert "rested" not in one.metrics.trading.fills_by_reason
    assert one.metrics.trading.maker_share is not None and 0 < one.metrics.trading.maker_share < 1


def test_both_sides_are_quoted_as_long_as_both_rest(tmp_path: Path) -> None:
    session(tmp_path)
    uptime = only(session_results(tmp_path / "journal")).metrics.quoting.uptime
    assert uptime is not None and 0.5 < uptime <= 1


def test_mids_after_a_fill_are_those_that_came(tmp_path: Path) -> None:
    session(tmp_path)
    one = only(session_results(tmp_path / "journal"))
    first, _, second = one.mid_half_ticks  # between them, the payment
    assert (first[:3] > 0).all(), "after 0.1, 0.3 and 1 s of a session of more than a second"
    assert not first[3:].any(), "beyond its end nothing is known"
    assert second[2] == 0, "it ended within a second of the last fill"
    assert abs(int(first[0]) - int(one.lane.fills()["mid_half_ticks"][0])) < 200


def test_a_position_of_an_earlier_session_is_worth_nothing_at_its_mark(tmp_path: Path) -> None:
    made = session(tmp_path, opening=-300)
    one = only(session_results(tmp_path / "journal"))
    assert one.split.residual_largest == 0
    opening = one.lane.fills()[0]
    assert (int(opening["side"]), int(opening["size_lots"]), int(opening["aux1"])) == (-1, 300, 0)
    assert one.part_usdc["fees"] == pytest.approx(-2 * FEE_MICRO / 1e6)
    assert int(one.lane.positions["position_lots"][0]) == int(made.brain.lane.positions["position_lots"][0])


def test_settings_that_changed_go_on_from_the_next_head(tmp_path: Path) -> None:
    made = Session(tmp_path / "journal")
    made.run(10)
    made.brain.limits["order_notional_micro_max"] = 1  # as a reload does: nothing is placed from here on
    made.journal.note(NoteKind.SETTINGS, b"tightened")
    made.run(15, seed=5)
    made.journal.close()
    results = session_results(tmp_path / "journal")
    assert only(results).split.residual_largest == 0


def test_the_report_is_written_and_says_what_it_is(tmp_path: Path) -> None:
    session(tmp_path)
    results = session_results(tmp_path / "journal")
    assert session_results(tmp_path / "journal", title="rehearsal").title == "rehearsal"
    write_run(tmp_path / "report", results)
    page = (tmp_path / "report" / "report.html").read_text()
    assert f"hlhft live session</b> · session of {tmp_path.name}" in page
    assert "rested" in page and "What the models assume" not in page and "backtest is a model" not in page
    verdict = results.plain()["verdict"]["sentence"]
    assert verdict.startswith(("It made money: ", "It lost money: ")) and "after fees and funding." in verdict


def test_without_market_data_or_anything_at_all_there_is_nothing_to_report(tmp_path: Path) -> None:
    made = session(tmp_path)
    tidy(tmp_path / "journal", Name(8, 0), total_bytes_max=1 << 40, keep_days=10, now_ns=made.now_ns)
    (tmp_path / "journal" / Name(7, 0).file(Form.WHOLE)).unlink()
    with pytest.raises(JournalError, match="its market data were dropped"):
        session_results(tmp_path / "journal")
    with pytest.raises(JournalError, match="nothing was recorded"):
        SessionLog().results(title="a session")
