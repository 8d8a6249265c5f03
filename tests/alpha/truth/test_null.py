"""Labels of another market: what is found all the same comes from how the rows were split.

Features change slowly and labels reach over many rows, so that a row's neighbours look like it and have its label.
Dealt out at random, they teach what is then asked. Blocks with purge and embargo keep them apart.
"""

import numpy as np
import pytest

from hlhft.alpha.dataset import Dataset
from tests.alpha.truth.intervals import interval
from tests.alpha.truth.null import at_random, found, in_blocks, unrelated

pytestmark = pytest.mark.alpha

PAIRS = 6


@pytest.fixture(scope="module")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> list[Dataset]:
    return unrelated(tmp_path_factory.mktemp("pairs"), PAIRS)


def test_random_folds_find_skill_that_is_not_there_and_our_blocks_do_not(pairs: list[Dataset]) -> None:
    dealt = interval(found(pairs, at_random), confidence=0.99)
    assert dealt.mean > 0.05 and dealt.low > 0.0
    ours = interval(found(pairs, in_blocks), confidence=0.99)
    assert ours.low <= 0.0 <= ours.high
    # An interval that held everything would say nothing.
    assert ours.high < dealt.low


def test_labels_of_the_other_market_last_for_many_rows_and_not_longer(pairs: list[Dataset]) -> None:
    classes = np.array(pairs[0].classes[:, 0])
    classes = classes[classes >= 0].astype(float)
    assert min(np.bincount(classes.astype(int)) / len(classes)) > 0.2
    assert np.corrcoef(classes[5:], classes[:-5])[0, 1] > 0.5
    assert abs(np.corrcoef(classes[40:], classes[:-40])[0, 1]) < 0.2
