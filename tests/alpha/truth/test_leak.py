"""A feature that looks one row ahead does not pass for skill: it is better than the best that there can be."""

from pathlib import Path as File

import numpy as np
import pytest

from hlhft.alpha.baselines import Rival, fit, gather
from tests.alpha.truth.cases import SCHEMA, Case, case_of, changed, with_blocks, world_of
from tests.alpha.truth.generator import Plant
from tests.alpha.truth.oracle import assert_possible

pytestmark = pytest.mark.alpha

ROWS = 12_000


@pytest.fixture(scope="module", params=[Plant.NONE, Plant.CROSSED], ids=lambda plant: plant.value)
def honest(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Case:
    return case_of(world_of(request.param), ROWS, 1, tmp_path_factory.mktemp("honest"))


def forecasts(case: Case) -> np.ndarray:
    """float64[k, 3] of LightGBM on the test block."""
    rival = fit("lightgbm", *(gather(case.dataset, block.rows, 0) for block in case.split.blocks[:3]))
    assert isinstance(rival, Rival)
    return rival.predict(gather(case.dataset, case.split.test.rows, 0)).p


def test_honest_features_are_possible(honest: Case) -> None:
    rows = honest.split.test.rows
    assert_possible(honest.classes(rows), forecasts(honest), honest.bayes(rows))


@pytest.mark.parametrize("name", ["move_bp", "trade_volume_fast"])
def test_one_column_that_looks_a_row_ahead_is_too_good_to_be_true(honest: Case, name: str, tmp_path: File) -> None:
    values, column = np.array(honest.dataset.values), SCHEMA.names.index(name)
    values[:-1, column] = values[1:, column].copy()
    leaking = with_blocks(honest.path, changed(honest.dataset, tmp_path / "leaking", values=values))
    rows = leaking.split.test.rows
    with pytest.raises(AssertionError, match="too good to be true"):
        assert_possible(leaking.classes(rows), forecasts(leaking), leaking.bayes(rows))
