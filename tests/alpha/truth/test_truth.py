"""Whether the pipeline finds what is there, as much of it as can be found, and nothing where nothing is."""

from pathlib import Path as File

import numpy as np
import pytest

from hlhft.alpha.baselines import Rival, Settings, fit, gather
from tests.alpha.truth.cases import Case, case_of, world_of
from tests.alpha.truth.generator import Plant
from tests.alpha.truth.oracle import Skill, assert_possible, bayes_rate, skill
from tests.alpha.truth.pipeline import config_of, figure, judged, share, trained, untrained

pytestmark = pytest.mark.alpha

FOUND, ERROR_MAX, NOTHING = 0.95, 0.02, 0.02
CROSSED_ROWS, LINEAR_ROWS, NONE_ROWS = 64_000, 32_000, 40_000


def test_a_linear_plant_is_found_by_logistic_regression(tmp_path: File) -> None:
    case = case_of(world_of(Plant.LINEAR), LINEAR_ROWS, 1, tmp_path)
    found = rival_skill(case, "logistic", most=LINEAR_ROWS)
    assert found.share >= FOUND
    rate = bayes_rate(case.path.world)
    deviation = rate.mcc_deviation_of_root / np.sqrt(len(case.split.test.rows))
    assert found.oracle_mcc == pytest.approx(rate.mcc, abs=4.0 * deviation)


@pytest.fixture(scope="module")
def crossed(tmp_path_factory: pytest.TempPathFactory) -> Case:
    return case_of(world_of(Plant.CROSSED), CROSSED_ROWS, 1, tmp_path_factory.mktemp("crossed"))


def test_a_crossed_plant_is_found_by_lit(crossed: Case, tmp_path: File) -> None:
    horizon = judged(crossed, trained(crossed, tmp_path / "model", config_of(crossed)))
    assert share(horizon, "model") >= FOUND
    assert figure(horizon, "model", "ece") <= ERROR_MAX
    assert figure(horizon, "model", "nll") <= bayes_rate(crossed.path.world).nll + 0.02


@pytest.mark.parametrize(("rival", "most"), [("imbalance", 0.4), ("logistic", 0.4), ("lightgbm", 0.8)])
def test_a_crossed_plant_is_not_found_in_the_last_row(crossed: Case, rival: str, most: float) -> None:
    assert rival_skill(crossed, rival).share <= most


def test_a_crossed_plant_is_not_found_by_one_linear_layer_over_all_that_matters(crossed: Case) -> None:
    assert rival_skill(crossed, "logistic", lags=(crossed.path.world.lag,)).share <= 0.4


def test_a_crossed_plant_is_not_found_by_the_residual_alone(crossed: Case) -> None:
    rule = untrained(crossed, config_of(crossed, imbalance_residual=True))
    assert abs(share(judged(crossed, rule), "model")) <= 0.4


def test_a_crossed_plant_is_not_found_by_a_lit_whose_window_is_too_short_by_a_row(tmp_path: File) -> None:
    world = world_of(Plant.CROSSED)
    case = case_of(world, CROSSED_ROWS, 1, tmp_path, length=world.lag)
    # The touch lasts, so that a later row tells some of it; that the rest is missing shows where LiT has it from.
    assert share(judged(case, trained(case, tmp_path / "model", config_of(case))), "model") <= 0.8


def test_where_nothing_is_nothing_is_found(tmp_path: File) -> None:
    case = case_of(world_of(Plant.NONE), NONE_ROWS, 1, tmp_path)
    model = trained(case, tmp_path / "model", config_of(case))
    horizon = judged(case, model)
    assert abs(figure(horizon, "model", "mcc")) <= NOTHING
    assert figure(horizon, "model", "ece") <= ERROR_MAX
    assert figure(horizon, "model", "nll") <= figure(horizon, "oracle", "nll") + 0.01
    rows = case.split.test.rows
    assert_possible(case.classes(rows), model.predict(case.dataset, rows)[0][:, 0], case.bayes(rows))


def rival_skill(case: Case, name: str, *, lags: tuple[int, ...] = (), most: int = 4_000) -> Skill:
    """A rival that learns from `most` rows of each block at most, on the test block."""
    blocks = (case.split.train, case.split.stop, case.split.calibrate)
    rival = fit(name, *(gather(case.dataset, block.rows[:most], 0, lags=lags) for block in blocks), Settings(lags=lags))
    assert isinstance(rival, Rival)
    rows = case.split.test.rows
    said = rival.predict(gather(case.dataset, rows, 0, lags=lags))
    return skill(case.classes(rows), said.p, case.bayes(rows))
