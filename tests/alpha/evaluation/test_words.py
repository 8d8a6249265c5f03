"""What people read of an evaluation: every model and rival, with its intervals, and a dash for what is not known."""

from __future__ import annotations

import msgspec
import numpy as np

from hlhft.alpha.evaluation.judging import Judge, judge
from hlhft.alpha.evaluation.metrics import METRICS
from hlhft.alpha.evaluation.result import Evaluation, Horizon, Measured, Trials
from hlhft.alpha.evaluation.rows import calls_of, cut
from hlhft.alpha.evaluation.words import (
    FIGURES,
    GAINS,
    absent_sentences,
    assumptions,
    days_table,
    difference,
    figures_table,
    gains_table,
    horizon_title,
    subject_title,
    trials_sentence,
    value,
    walk_sentence,
)
from tests.alpha.evaluation.test_result import evaluation
from tests.alpha.evaluation.worlds import SECOND_NS, THIRDS, drawn

NLL = METRICS[0]


def horizon(n: int = 400) -> Horizon:
    truth, said = drawn(4, n, skill=0.6)
    ts_ns = np.arange(n) * SECOND_NS
    cells = cut(ts_ns, SECOND_NS)
    by = Judge(
        label="1 s",
        horizon_ms=1_000,
        ts_ns=ts_ns,
        truth=truth._replace(cell=cells.cell, cells=cells.cells),
        cells=cells,
        resamples=100,
        seed=1,
    )
    prior = calls_of(np.tile(THIRDS, (n, 1)), np.zeros(n), THIRDS)
    return judge(by, {"lit": ("LiT", said), "majority": ("class shares", prior)})[0]


def whole() -> Evaluation:
    return msgspec.structs.replace(evaluation(), horizons=(horizon(),))


def test_figures_by_hand() -> None:
    assert value(Measured(value=1.0), NLL) == "1.0000"
    assert value(Measured(value=1.0, low=0.5, high=1.5), NLL) == "1.0000 (0.5000 to 1.5000)"
    assert value(Measured(value=None, why="no"), NLL) == difference(Measured(value=None), NLL) == "\N{EN DASH}"
    assert difference(Measured(value=0.1, low=-0.1, high=0.3), NLL) == "+0.1000 (\N{MINUS SIGN}0.1000 to +0.3000)"
    assert difference(Measured(value=0.1), NLL) == "+0.1000"


def test_a_row_a_model_and_a_cell_a_figure() -> None:
    heads, rows = figures_table(horizon())
    assert not any("(" in cell for row in rows for cell in row)
    heads, rows = figures_table(horizon(), intervals=True)
    assert "(" in rows[0][1]
    assert [row[0] for row in rows] == ["LiT", "class shares"]
    assert all(len(row) == len(heads) == 1 + len(FIGURES) for row in rows)
    assert all(cell for row in rows for cell in row)


def test_a_row_a_rival_with_its_test() -> None:
    heads, rows = gains_table(horizon())
    assert [row[0] for row in rows] == ["class shares"] and len(rows[0]) == len(heads) == 2 + len(GAINS)
    assert rows[0][-1].replace(".", "").isdigit()
    _, unknown = gains_table(msgspec.structs.replace(horizon(), models=()))
    assert unknown[0][0] == "majority"


def test_titles() -> None:
    said = horizon_title(horizon())
    assert said.startswith("1 s, 1 s: 400 rows, ") and "blocks of time" in said
    assert "too few blocks" in horizon_title(horizon(12))
    assert subject_title(whole()).startswith("LiT on a recording, 1970-01-01 00:00:00 to 00:00:00 UTC, 1 test day")
    assert "95 %" in assumptions(whole()) and "1.00 bp" in assumptions(whole())
    assert absent_sentences(whole()) == ["No lightgbm: too few rows."]


def test_luck_in_a_sentence() -> None:
    assert "No log" in trials_sentence(None)
    trials = Trials(
        logged=7,
        effective=1,
        deflated=Measured(value=0.9),
        overfitting=Measured(value=None, why="there is one candidate only"),
        samples_needed=Measured(value=None),
    )
    said = trials_sentence(trials)
    assert said.startswith("7 trials in the log, worth 1 independent one; ") and "90.0 %" in said
    assert "nothing of luck: there is one candidate only" in said


def test_a_row_a_day_and_rivals_by_how_much_they_are_beaten() -> None:
    (day,) = horizon().by_day
    heads, rows = days_table(horizon())
    assert heads == ["day", "rows", "NLL", "against class shares", "bp a row"]
    assert rows[0][:2] == ["1970-01-01", "400"]
    gain = float(rows[0][3].replace("\N{MINUS SIGN}", "-"))
    assert abs(gain - (day.nll["majority"] - day.nll["lit"])) < 1e-4


def test_a_walk_says_that_its_figures_are_of_several_models() -> None:
    assert walk_sentence(whole()) == ""
    said = walk_sentence(msgspec.structs.replace(whole(), folds=21))
    assert said.startswith("Walked forward over 21 days: each was forecast by a model, and by rivals, that had learned")
