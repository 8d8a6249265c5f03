"""From data to card: what is judged is what is served, every seed is shown, and a run is one trial."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from hlhft.alpha.bundle import load_bundle, predictor
from hlhft.alpha.calibration import softmax
from hlhft.alpha.card import Card, from_json
from hlhft.alpha.evaluation.evaluating import Options
from hlhft.alpha.labels import LabelSpec
from hlhft.alpha.making import SeedSubject, Wish, make_model, splits_of, task_of
from hlhft.alpha.prepare import prepare
from hlhft.alpha.splits import DAY_NS
from hlhft.alpha.training_options import TrainingOptions
from hlhft.alpha.training_report import SeedFigures
from hlhft.alpha.training_run import MODEL, read_facts
from hlhft.alpha.trials import TrialLog
from tests.alpha.planted import by_chance, by_imbalance, planted
from tests.alpha.records import SCHEMA
from tests.alpha.test_predicting import drawn

pytestmark = pytest.mark.alpha

LABELS = (
    LabelSpec(name="told", kind="window", horizon_ms=200),
    LabelSpec(name="chance", kind="window", horizon_ms=200),
)


@pytest.fixture(scope="module")
def wish(tmp_path_factory: pytest.TempPathFactory) -> Wish:
    root = tmp_path_factory.mktemp("making")
    planted(root / "data", rows=4_000, classes=(by_imbalance, by_chance), specs=LABELS)
    return Wish(
        data_dir=root / "data",
        schema=SCHEMA,
        labels=LABELS,
        profile="2026",
        preset="plus",
        length=8,
        training=TrainingOptions(epochs=2, batch=128, learning_rate=3e-3, threads=1, device="cpu"),
        evaluation=Options(resamples=50),
        seeds=2,
        folder=root / "run",
        trials=root / "trials.jsonl",
    )


@pytest.fixture(scope="module")
def card(wish: Wish) -> Card:
    return make_model(wish, lambda _: nullcontext())


def test_the_card_on_disk_is_the_card(wish: Wish, card: Card) -> None:
    assert from_json((wish.folder / "model" / "card.json").read_bytes()) == card


def test_what_is_judged_is_what_is_served(wish: Wish, card: Card) -> None:
    folder = wish.folder / "model"
    bundle = load_bundle(folder)
    dataset = prepare(wish.data_dir, schema=SCHEMA, labels=LABELS, profile="2026")
    rows = splits_of(dataset, wish)[-1].test.rows
    p = predictor(bundle, folder).predict(dataset.windows(rows, 8)).p[:, 0]
    nll = -np.log(p[np.arange(len(rows)), dataset.classes[rows, 0]]).mean()
    assert card.evaluation is not None
    assert card.evaluation.horizons[0].models[0].figures["nll"].value == pytest.approx(nll, abs=1e-5)


def test_a_label_of_chance_is_no_better_than_the_shares(card: Card) -> None:
    assert card.evaluation is not None
    told, chance = card.evaluation.horizons
    gain = told.comparison("majority")
    assert gain is not None and gain.gains["nll"].value is not None and gain.gains["nll"].value > 0.2
    none = chance.comparison("majority")
    assert none is not None and none.gains["nll"].value is not None and abs(none.gains["nll"].value) < 0.02


def test_the_run_is_the_trial_that_it_logged(wish: Wish, card: Card) -> None:
    facts = read_facts(wish.folder)
    log = TrialLog(wish.trials)
    assert facts is not None and facts.trial == 1 and list(log.trials) == [1]
    assert card.evaluation is not None and card.evaluation.trials is not None and card.evaluation.trials.logged == 1


def test_the_test_block_is_no_part_of_what_it_was_fitted_on(card: Card) -> None:
    assert card.evaluation is not None and not card.evaluation.in_sample
    latest = max(one.to_ns for one in card.model.fitted_ranges)
    assert latest < min(one.from_ns for one in card.model.ranges["test"])


def test_another_seed_speaks_through_its_own_calibration(wish: Wish) -> None:
    dataset = prepare(wish.data_dir, schema=SCHEMA, labels=LABELS, profile="2026")
    network = drawn(task_of(dataset, splits_of(dataset, wish)[-1], wish).config)
    subject = SeedSubject(4, network, LABELS)
    ends = dataset.ends(slice(0, 60), 8)
    p, mu = subject.predict(dataset, ends)
    from hlhft.alpha.training import logits_of

    logits = logits_of(network.network, dataset, ends, 8) * network.scale.numpy() + network.shift.numpy()
    assert np.allclose(p[:, 1], softmax(logits[:, 1].astype(float)), atol=1e-6)
    assert np.allclose(mu, (p * network.moves.numpy()).sum(axis=2), atol=1e-6)
    assert (subject.name, subject.title) == ("seed-4", "seed 4")


def test_a_folder_without_a_run_has_no_facts(tmp_path: Path) -> None:
    assert read_facts(tmp_path) is None


@pytest.fixture(scope="module")
def walk(tmp_path_factory: pytest.TempPathFactory, wish: Wish) -> Wish:
    """Four days of which three are walked."""
    root = tmp_path_factory.mktemp("walking")
    planted(root / "data", rows=5_200, days=4, classes=(by_imbalance, by_chance), specs=LABELS)
    few = Options(resamples=50, rivals=("majority", "imbalance"))
    return replace(
        wish, data_dir=root / "data", folder=root / "run", trials=root / "trials.jsonl", evaluation=few, walk=3
    )


@pytest.fixture(scope="module")
def walked(walk: Wish) -> Card:
    return make_model(walk, lambda _: nullcontext())


def test_each_model_of_a_walk_learned_from_what_lies_before_its_day(walk: Wish, walked: Card) -> None:
    dataset = prepare(walk.data_dir, schema=SCHEMA, labels=LABELS, profile="2026")
    splits = splits_of(dataset, walk)
    days = np.unique(dataset.ts_ns // DAY_NS)[-3:]
    memory_ns = round(5 * SCHEMA.half_life_ms * 1e6)
    for split, day, model in zip(splits, days, walked.days, strict=True):
        assert model.begin_ns == day * DAY_NS and model.rows == split.train.size
        for block in split.blocks[:3]:
            assert dataset.end_ns[block.rows].max() < model.begin_ns
        windows_begin_ns = dataset.ts_ns[split.test.rows - (walk.length - 1)]
        assert windows_begin_ns.min() - dataset.end_ns[split.calibrate.rows].max() > memory_ns
        assert model.to_ns == dataset.end_ns[split.train.rows].max()
    assert [model.rows for model in walked.days] == sorted(model.rows for model in walked.days)
    assert walked.model.ranges == splits[-1].ranges and walked.training.chosen_seed == walked.days[-1].seed


def test_the_days_of_a_walk_are_judged_as_one_trial(walk: Wish, walked: Card) -> None:
    dataset = prepare(walk.data_dir, schema=SCHEMA, labels=LABELS, profile="2026")
    splits = splits_of(dataset, walk)
    found = walked.evaluation
    assert found is not None and found.folds == 3 and not found.in_sample
    assert found.horizons[0].rows == sum(split.test.size for split in splits)
    assert [day.rows for day in found.horizons[0].by_day] == [split.test.size for split in splits]
    log = TrialLog(walk.trials)
    assert list(log.trials) == [1] and [log.openings(split) for split in splits] == [(1,)] * 3
    assert log.trials[1].facts["folds"] == 3


def test_a_walk_judges_what_each_day_would_have_been_served(walk: Wish, walked: Card) -> None:
    """The newest day's figure is that of the model in the folder, and an earlier day's that of its own walk."""
    dataset = prepare(walk.data_dir, schema=SCHEMA, labels=LABELS, profile="2026")
    rows = splits_of(dataset, walk)[-1].test.rows
    folder = walk.folder / MODEL
    p = predictor(load_bundle(folder), folder).predict(dataset.windows(rows, 8)).p[:, 0]
    nll = -np.log(p[np.arange(len(rows)), dataset.classes[rows, 0]]).mean()
    assert walked.evaluation is not None
    days = walked.evaluation.horizons[0].by_day
    assert days[-1].nll["model"] == pytest.approx(nll, abs=1e-5)
    assert len({day.nll["model"] for day in days}) == 3


def test_a_walk_finds_what_was_planted_and_claims_nothing_of_chance(walked: Card) -> None:
    assert walked.evaluation is not None
    told, chance = walked.evaluation.horizons
    found = told.comparison("majority")
    assert found is not None and found.gains["nll"].value is not None and found.gains["nll"].value > 0.2
    assert found.diebold_mariano is not None and found.diebold_mariano.statistic < -5.0
    assert all(day.nll["model"] < day.nll["majority"] - 0.1 for day in told.by_day)
    none = chance.comparison("majority")
    assert none is not None and none.gains["nll"].value is not None and abs(none.gains["nll"].value) < 0.02
    assert chance.verdict.weight == walked.weight == 0  # three short days are no twenty


def test_a_walk_that_is_cut_keeps_its_days_and_stays_the_trial(walk: Wish, walked: Card, tmp_path: Path) -> None:
    cut = replace(walk, folder=tmp_path / "run", trials=tmp_path / "trials.jsonl")
    finished: list[int] = []

    def interrupting(figures: SeedFigures) -> None:
        finished.append(figures.seed)
        if len(finished) == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        make_model(cut, lambda _: nullcontext(), on_seed=interrupting)
    dates = sorted(path.name for path in (cut.folder / "days").iterdir())
    assert finished == [0, 1, 0] and dates == ["2023-11-16"]  # the newest day is the folder's own run
    states = [cut.folder / "seed-0", cut.folder / "seed-1", cut.folder / "days" / dates[0] / "seed-0"]
    before = [path.stat().st_mtime_ns for folder in states for path in sorted(folder.iterdir())]
    card = make_model(cut, lambda _: nullcontext())
    assert [path.stat().st_mtime_ns for folder in states for path in sorted(folder.iterdir())] == before
    assert card.model.model_id == walked.model.model_id and card.evaluation == walked.evaluation
    assert list(TrialLog(cut.trials).trials) == [1]
