"""From data to card: what is judged is what is served, every seed is shown, and a run is one trial."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path

import numpy as np
import pytest

from hlhft.alpha.bundle import load_bundle, predictor
from hlhft.alpha.calibration import softmax
from hlhft.alpha.card import Card, from_json
from hlhft.alpha.evaluation.evaluating import Options
from hlhft.alpha.labels import LabelSpec
from hlhft.alpha.making import SeedSubject, Wish, make_model, task_of
from hlhft.alpha.prepare import prepare
from hlhft.alpha.training_options import TrainingOptions
from hlhft.alpha.training_run import read_facts
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
    rows = task_of(dataset, wish).split.test.rows
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
    network = drawn(task_of(dataset, wish).config)
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
