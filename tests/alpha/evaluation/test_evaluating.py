"""A subject on a dataset's test block: a planted signal is found, none is not, and nothing of the test is learnt."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest

from hlhft.alpha.baselines import NONE, gather, known_classes
from hlhft.alpha.dataset import Dataset, DatasetWriter, LabelColumns
from hlhft.alpha.evaluation.evaluating import Fold, Options, Outcome, evaluate, is_in_sample, markout_bp, truth_of
from hlhft.alpha.evaluation.result import Code, from_json, to_json
from hlhft.alpha.labels import LabelSpec
from hlhft.alpha.splits import Range, Split, split_once, walk_forward
from hlhft.data.errors import DataError
from tests.alpha.datasets import SCHEMA, SECOND_NS, START_NS, every, heads_at, write

pytestmark = pytest.mark.alpha

LENGTH = 4
SHORT = LabelSpec(name="short", kind="window", horizon_ms=1_000)
MARKOUT = LabelSpec(name="5 s", kind="markout", horizon_ms=5_000)
QUICK = Options(resamples=100, rivals=("majority", "persistence", "imbalance", "logistic"))


def planted(folder: Path, n: int = 6_000, *, seed: int = 1, step_ns: int = SECOND_NS, skill: float = 1.0) -> Dataset:
    """Rows whose touch imbalance says the next move, the more so the higher the skill; a move is 4 bp."""
    rng = np.random.default_rng(seed)
    values = rng.standard_normal((n, SCHEMA.columns)).astype(np.float32)
    imbalance = rng.uniform(-1, 1, n)
    values[:, SCHEMA.imbalance_column] = imbalance
    classes = np.digitize(skill * 4.0 * imbalance + rng.logistic(size=n), [-1.0, 1.0]).astype(np.int8)
    ts_ns = every(step_ns, n)
    columns = np.stack([classes, classes], axis=1)
    end_ns = ts_ns[:, None] + np.array([1, 5]) * SECOND_NS
    columns[end_ns > ts_ns[-1]] = -1
    end_ns[columns < 0] = -1
    move_bp = 4.0 * (columns - 1.0).astype(np.float32)
    labels = LabelColumns(columns, end_ns, move_bp, np.ones_like(move_bp))
    with DatasetWriter(
        folder,
        name="planted",
        key=f"{seed:032d}",
        schema=SCHEMA,
        labels=(SHORT, MARKOUT),
        coins=["BTC"],
        sources=["made"],
    ) as writer:
        writer.append("BTC", heads_at(ts_ns), values, labels)
        return writer.finish()


@dataclass(frozen=True)
class Oracle:
    """Knows the law of the plant, or believes in another one."""

    factor: float = 4.0
    name: str = "oracle"
    title: str = "the law itself"
    labels: tuple[LabelSpec, ...] = (SHORT,)

    def predict(self, dataset: Dataset, ends: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        score = self.factor * dataset.values[ends, SCHEMA.imbalance_column].astype(np.float64)
        below = 1.0 / (1.0 + np.exp(score[:, None] - np.array([-1.0, 1.0])))
        p = np.stack([below[:, 0], below[:, 1] - below[:, 0], 1.0 - below[:, 1]], axis=1)
        return np.repeat(p[:, None], len(self.labels), axis=1), np.repeat(
            4.0 * (p[:, 2] - p[:, 0])[:, None], len(self.labels), axis=1
        )


def evaluated(dataset: Dataset, subject: Oracle, options: Options = QUICK, **rest: object) -> tuple[Split, Outcome]:
    split = split_once(dataset, length=LENGTH, horizon=0)
    return split, evaluate(dataset, split, split.test.rows, subject, options=options, **rest)  # type: ignore[arg-type]


def test_the_law_is_found_better_than_chance_and_calibrated(tmp_path: Path) -> None:
    _, outcome = evaluated(planted(tmp_path / "set"), Oracle(), trial_sharpes=[])
    found = outcome.evaluation
    horizon = found.horizons[0]
    assert [one.name for one in horizon.models] == ["oracle", *QUICK.rivals]
    against = horizon.comparison("majority")
    assert against is not None and against.gains["nll"].low is not None and against.gains["nll"].low > 0.1
    oracle, logistic = horizon.model("oracle"), horizon.model("logistic")
    assert oracle is not None and logistic is not None
    ece = oracle.figures["ece"].value
    assert ece is not None and ece < 0.05
    own, rival = oracle.figures["nll"].value, logistic.figures["nll"].value
    assert own is not None and rival is not None and own <= rival + 0.01
    # A move of 4 bp pays for a fee of 1.5 and half a spread of 5 (half a tick of 1,000): not here.
    gain = oracle.figures["gain_bp"].value
    assert gain == 0.0 and outcome.sharpe == 0.0
    assert found.verdict.code is Code.CANNOT_TELL and found.trials is not None and found.trials.logged == 1
    assert from_json(to_json(found)) == found


def test_a_boosted_rival_that_knows_as_much_is_said_to(tmp_path: Path) -> None:
    options = replace(QUICK, rivals=("majority", "lightgbm"))
    _, outcome = evaluated(planted(tmp_path / "set"), Oracle(), options)
    against = outcome.evaluation.horizons[0].comparison("lightgbm")
    assert against is not None and against.diebold_mariano is not None
    assert against.diebold_mariano.statistic < 0.0


def test_labels_of_the_test_block_teach_no_rival(tmp_path: Path) -> None:
    dataset = planted(tmp_path / "set")
    split, outcome = evaluated(dataset, Oracle())
    classes = np.array(dataset.classes)
    rng = np.random.default_rng(5)
    classes[split.test.rows] = rng.integers(0, 3, (len(split.test.rows), 2))
    kept, dataset.classes = dataset.classes, classes
    changed = evaluate(dataset, split, split.test.rows, Oracle(), options=QUICK)
    dataset.classes = kept
    for name in ("majority", "imbalance", "logistic"):
        before, after = (one.evaluation.horizons[0].model(name) for one in (outcome, changed))
        assert before is not None and after is not None
        # What it said is the same: only what came is another.
        assert [one.said for one in before.calibration] == [one.said for one in after.calibration]
        assert [one.came for one in before.calibration] != [one.came for one in after.calibration]


def test_no_signal_is_no_skill(tmp_path: Path) -> None:
    _, outcome = evaluated(planted(tmp_path / "set", skill=0.0), Oracle())
    horizon = outcome.evaluation.horizons[0]
    against = horizon.comparison("majority")
    assert against is not None and against.gains["nll"].high is not None and against.gains["nll"].high < 0.0
    for one in horizon.models:
        mcc = one.figures["mcc"]
        assert mcc.value is not None and abs(mcc.value) < 0.06


def test_every_horizon_is_judged_and_the_first_is_the_headline(tmp_path: Path) -> None:
    dataset = planted(tmp_path / "set")
    split = split_once(dataset, length=LENGTH)
    subject = replace(Oracle(), labels=(MARKOUT, SHORT))
    found = evaluate(dataset, split, split.test.rows, subject, options=QUICK, trial_sharpes=[]).evaluation
    assert [one.label for one in found.horizons] == ["5 s", "short"]
    assert found.verdict is found.horizons[0].verdict


def test_others_stand_beside_the_subject(tmp_path: Path) -> None:
    dataset = planted(tmp_path / "set")
    other = replace(Oracle(), name="wrong", title="a wrong law", factor=-4.0)
    _, outcome = evaluated(dataset, Oracle(), others=[other])
    horizon = outcome.evaluation.horizons[0]
    assert [one.name for one in horizon.models][:2] == ["oracle", "wrong"]
    against = horizon.comparison("wrong")
    assert against is not None and against.gains["mcc"].low is not None and against.gains["mcc"].low > 0.3


def test_no_row_and_no_label_are_said(tmp_path: Path) -> None:
    dataset = planted(tmp_path / "set")
    split = split_once(dataset, length=LENGTH, horizon=0)
    with pytest.raises(DataError, match="test block is empty"):
        evaluate(dataset, split, split.test.rows[:0], Oracle(), options=QUICK)
    with pytest.raises(DataError, match="no test row has a label"):
        evaluate(dataset, split, np.array([5_999]), Oracle(), options=QUICK)
    with pytest.raises(DataError, match="no label other"):
        evaluate(dataset, split, split.test.rows, replace(Oracle(), labels=(replace_name("other"),)), options=QUICK)


def replace_name(name: str) -> LabelSpec:
    return LabelSpec(name=name, kind="window", horizon_ms=1_000)


def test_rows_of_a_few_test_samples_are_judged_without_intervals(tmp_path: Path) -> None:
    dataset = planted(tmp_path / "set")
    split = split_once(dataset, length=LENGTH, horizon=0)
    found = evaluate(dataset, split, split.test.rows[:1], Oracle(), options=QUICK).evaluation
    assert found.horizons[0].rows == 1 and found.horizons[0].blocks == 0
    assert found.verdict.code is Code.CANNOT_TELL


def test_persistence_knows_a_label_when_it_ends_and_not_before(tmp_path: Path) -> None:
    dataset = write(tmp_path / "set", [("BTC", every(SECOND_NS // 3, 300)), ("BTC", every(SECOND_NS, 50, 10**18 * 2))])
    rows = np.arange(len(dataset))
    for column in (0, 1):
        found = known_classes(dataset, rows, column)
        for row in rows:
            segment = dataset.segments[dataset.segment_of(np.array([row]))[0]]
            own = range(int(segment["first"]), int(segment["end"]))
            known = [
                (int(dataset.end_ns[other, column]), other, int(dataset.classes[other, column]))
                for other in own
                if dataset.classes[other, column] >= 0 and dataset.end_ns[other, column] <= dataset.ts_ns[row]
            ]
            assert found[row] == (max(known)[2] if known else NONE)


def test_lags_see_the_rows_before_and_never_another_segment(tmp_path: Path) -> None:
    dataset = write(tmp_path / "set", [("BTC", every(SECOND_NS, 20)), ("BTC", every(SECOND_NS, 20, 2 * 10**18))])
    seen = gather(dataset, np.array([5, 21]), 0, lags=(1, 3))
    width = dataset.schema.columns
    assert seen.values.shape == (2, 3 * width)
    for place, row in enumerate((5, 4, 2)):
        assert (seen.values[0, place * width : (place + 1) * width] == dataset.values[row]).all()
    for place, row in enumerate((21, 20, 20)):
        assert (seen.values[1, place * width : (place + 1) * width] == dataset.values[row]).all()


def test_the_truth_is_that_of_the_dataset(tmp_path: Path) -> None:
    dataset = planted(tmp_path / "set", 600)
    rows = np.array([10, 11, 596])
    truth, cells = truth_of(dataset, rows, 0, prior=np.full(3, 1 / 3), cost_bp=2.0)
    assert truth.classes.tolist() == dataset.classes[rows, 0].tolist()
    assert truth.half_spread_bp == pytest.approx([5.0] * 3)
    assert list(truth.markouts_bp) == ["1 s", "5 s", "30 s"]
    assert np.isnan(truth.markouts_bp["5 s"]).tolist() == [False, False, True]
    assert cells.cells == truth.cells <= 3


def test_a_markout_is_the_move_of_the_mid_and_ends_with_its_segment(tmp_path: Path) -> None:
    dataset = write(tmp_path / "set", [("BTC", every(SECOND_NS // 4, 60)), ("BTC", every(SECOND_NS, 30, 2 * 10**18))])
    heads = np.array(dataset.heads)
    heads["mid_ticks"] = np.random.default_rng(1).integers(900, 1_100, len(heads))
    dataset.heads = heads
    rows = np.array([0, 7, 58, 59, 60, 84, 85, 89])
    found = markout_bp(dataset, rows, 5 * SECOND_NS)
    for row, value in zip(rows, found, strict=True):
        steps, end = (20, 60) if row < 60 else (5, 90)
        mid = heads["mid_ticks"]
        expected = (mid[row + steps] / mid[row] - 1.0) * 1e4 if row + steps < end else float("nan")
        assert value == pytest.approx(expected, nan_ok=True)
    heads["mid_ticks"] = 0.0
    assert np.isnan(markout_bp(dataset, rows, SECOND_NS)).all(), "data of others have no price"


@pytest.mark.parametrize(
    ("from_s", "to_s", "coin", "meets"),
    [
        (0, 100, "BTC", True),  # around the rows
        (-1_000, -900, "BTC", False),
        (-1_000, 45, "BTC", True),  # its end is nearer than a label's life and five half-lives
        (-1_000, 38, "BTC", False),
        (200, 300, "BTC", False),
        (57, 300, "BTC", True),
        (0, 100, "ETH", False),
        (0, 100, "SOL", False),
    ],
)
def test_what_the_model_was_fitted_on_is_no_test(
    tmp_path: Path, from_s: int, to_s: int, coin: str, meets: bool
) -> None:
    dataset = write(tmp_path / "set", [("BTC", every(SECOND_NS, 120)), ("ETH", every(SECOND_NS, 120))])
    rows = np.arange(50, 55)
    assert (dataset.classes[rows] >= 0).all()
    fitted = {"train": [Range(coin=coin, from_ns=START_NS + from_s * SECOND_NS, to_ns=START_NS + to_s * SECOND_NS)]}
    assert is_in_sample(dataset, rows, LENGTH, fitted) is meets
    assert not is_in_sample(dataset, rows, LENGTH, {"test": fitted["train"]})
    assert not is_in_sample(dataset, rows[:0], LENGTH, fitted)


def test_a_shorter_label_may_come_nearer(tmp_path: Path) -> None:
    dataset = planted(tmp_path / "set", 200)
    rows = np.arange(100, 110)
    # Its windows begin at 97 s; a second and five half-lives of .64 s before that, or five seconds and those.
    fitted = {"train": [Range(coin="BTC", from_ns=START_NS, to_ns=START_NS + 92 * SECOND_NS)]}
    assert not is_in_sample(dataset, rows, LENGTH, fitted, horizon=0)
    assert is_in_sample(dataset, rows, LENGTH, fitted, horizon=1) and is_in_sample(dataset, rows, LENGTH, fitted)


def test_the_rivals_of_a_walk_learned_before_their_own_day(tmp_path: Path) -> None:
    """Each day of the joined rows is what it is alone, for a subject and for every rival."""
    dataset = planted(tmp_path / "set", 5 * 144, step_ns=600 * SECOND_NS)
    splits = walk_forward(dataset, length=LENGTH, horizon=0)
    *earlier, newest = (Fold(split, split.test.rows) for split in splits)
    joined = evaluate(dataset, newest.split, newest.rows, Oracle(), earlier=earlier, options=QUICK).evaluation
    assert (joined.folds, joined.horizons[0].rows) == (4, sum(split.test.size for split in splits))
    for fold, day in zip((*earlier, newest), joined.horizons[0].by_day, strict=True):
        alone = evaluate(dataset, fold.split, fold.rows, Oracle(), options=QUICK).evaluation
        assert alone.folds == 1 and alone.horizons[0].by_day == (day,)
    assert len({day.nll["majority"] for day in joined.horizons[0].by_day}) == 4


def test_a_rival_that_a_fold_does_not_allow_is_missing(tmp_path: Path) -> None:
    dataset = planted(tmp_path / "set", 3 * 60, step_ns=1_440 * SECOND_NS)
    early, late = walk_forward(dataset, length=LENGTH, horizon=0)
    assert early.train.size < 50 <= late.train.size
    found = evaluate(
        dataset, late, late.test.rows, Oracle(), earlier=[Fold(early, early.test.rows)], options=QUICK
    ).evaluation
    assert set(found.absent) == {"logistic"}
    assert [one.name for one in found.horizons[0].models] == ["oracle", "majority", "persistence", "imbalance"]
