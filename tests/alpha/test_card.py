"""The card: everything that it promises is in it, it loads nothing, and it comes back from JSON without a loss."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec
import pytest

from hlhft.alpha.card import NOT_EVALUATED, Card, DayModel, card_of, from_json, render, to_json
from hlhft.alpha.dataset import Dataset
from hlhft.alpha.splits import DAY_NS
from hlhft.alpha.training_options import TrainingOptions
from hlhft.alpha.training_report import CalibrationFigures, SeedFigures, TrainingReport
from tests.alpha.evaluation.test_words import whole
from tests.alpha.planted import planted
from tests.alpha.records import SCHEMA, record

REPORT = TrainingReport(
    chosen_seed=1,
    choice="the seed with the lowest NLL on the stop block; no ensemble",
    seeds=tuple(
        SeedFigures(
            seed=seed, epochs=5, best_epoch=3, stop_nll=1.05 - seed / 100, calibrate_nll=1.02, samples_per_s=2345.0
        )
        for seed in range(2)
    ),
    calibration=(
        CalibrationFigures(label="next", rows=321, scale=0.75, nll_before=1.2, nll_after=1.0625, nll_prior=1.0986),
    ),
    options=TrainingOptions(epochs=5),
    device="cpu",
    weights=12345,
    rows={"train": 600, "stop": 100, "calibrate": 101, "test": 202},
)


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return planted(tmp_path_factory.mktemp("data") / "made <here>", rows=50)


@pytest.fixture(scope="module")
def card(dataset: Dataset) -> Card:
    return card_of(dataset, record(), REPORT, whole())


@pytest.fixture(scope="module")
def page(card: Card) -> str:
    return render(card)


def test_it_comes_back_from_json_without_a_loss(card: Card) -> None:
    assert from_json(to_json(card)) == card
    with pytest.raises(msgspec.DecodeError):
        from_json(b"{}")


def test_the_verdict_and_the_weight_are_those_of_the_evaluation(card: Card, page: str) -> None:
    verdict = whole().verdict
    assert card.verdict == verdict.text and card.weight == verdict.weight
    heading = re.search(r"<h1>(.*?)</h1>", page)
    assert heading is not None and verdict.sentence.split("'")[0] in heading.group(1)


def test_a_model_that_was_not_evaluated_has_no_weight(dataset: Dataset) -> None:
    card = card_of(dataset, record(), REPORT, None)
    assert (card.weight, card.verdict) == (0, NOT_EVALUATED)
    assert f"<h1>{NOT_EVALUATED}</h1>" in render(card)


def test_the_page_loads_nothing(page: str) -> None:
    own = page.split("<script>", maxsplit=1)[0]
    assert not re.search(r"(src|href)\s*=\s*\"(?!data:)", own)


def test_names_are_never_markup(page: str) -> None:
    assert "made &lt;here&gt;" in page and "made <here>" not in page.replace("made \\u003chere", "")


@pytest.mark.parametrize(
    "promised",
    [
        "class shares",  # a baseline
        "seed 1, the seed with the lowest NLL on the stop block",
        "1 (chosen)",
        "1.0400",  # the chosen seed's NLL
        "0.75",  # scale
        "1.0625",
        SCHEMA.hash,
        SCHEMA.names[-1],
        "<td>calibrate</td>",  # a block's range
        "12345",
        "2,345",
        'id="calibration-0"',
        'id="coverage-0"',
    ],
)
def test_it_holds_what_a_card_promises(page: str, promised: str) -> None:
    assert promised in page


def test_the_calibration_plot_draws_what_was_said_and_came(page: str) -> None:
    found = re.search(r'<script type="application/json" id="figures">(.*?)</script>', page, re.S)
    assert found is not None
    charts = {one["id"]: one for one in msgspec.json.decode(found.group(1))}
    bins = [one for one in whole().horizons[0].models[0].calibration if one.label == 2]
    up = next(trace for trace in charts["calibration-0"]["data"] if trace.get("name") == "up")
    assert up["x"] == [round(one.said, 4) for one in bins] and up["y"] == [round(one.came, 4) for one in bins]
    assert charts["coverage-0"]["data"][0]["name"] == whole().horizons[0].models[0].title


def test_the_same_card_is_the_same_page(card: Card, page: str) -> None:
    assert render(from_json(to_json(card))) == page


def test_every_chart_of_the_page_is_drawn_by_its_script(page: str, repository: Path) -> None:
    script = (repository / "hlhft/report/assets/charts.js").read_text()
    assert script in page and "Plotly.react(chart.id" in script


def test_the_model_is_named_as_settings_name_it(dataset: Dataset) -> None:
    model = msgspec.structs.replace(record(), model_id=7011451906116796822)
    page = render(card_of(dataset, model, REPORT, None))
    assert "614dae5c3fd3c196" in page and "7011451906116796822" not in page


def test_a_walk_is_said_to_be_one_with_its_days_and_their_models(dataset: Dataset) -> None:
    found = whole()
    (day,) = found.horizons[0].by_day
    days = tuple(msgspec.structs.replace(day, begin_ns=number * DAY_NS) for number in (20_000, 20_001))
    found = msgspec.structs.replace(found, folds=2, horizons=(msgspec.structs.replace(found.horizons[0], by_day=days),))
    models = tuple(
        DayModel(begin_ns=one.begin_ns, from_ns=0, to_ns=one.begin_ns - 1, rows=777, seed=1, stop_nll=0.5)
        for one in days
    )
    card = card_of(dataset, record(), REPORT, found, models)
    assert from_json(to_json(card)) == card
    page = render(card)
    assert "Walked forward over 2 days" in page and "<h2>The model of each day</h2>" in page
    assert page.count("<td>2024-10-04</td>") == page.count("<td>2024-10-05</td>") == 2 and "<td>777</td>" in page


def test_the_card_of_one_split_says_nothing_of_a_walk(page: str) -> None:
    assert "Walked forward" not in page and "The model of each day" not in page
