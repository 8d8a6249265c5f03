import numpy as np
import pytest

from tests.alpha.truth.generator import Plant, World, simulate
from tests.alpha.truth.oracle import assert_possible, bayes_rate, losses, matthews, skill

CROSSED, LINEAR, NONE = World(plant=Plant.CROSSED), World(plant=Plant.LINEAR), World(plant=Plant.NONE)
ROWS = 8_000


@pytest.mark.parametrize(
    ("truth", "forecast", "expected"),
    [
        ([0, 1, 2], [0, 1, 2], 1.0),
        ([0, 0, 2, 2], [2, 2, 0, 0], -1.0),
        ([0, 1, 2], [1, 1, 1], 0.0),
        # Confusion ((2, 0, 0), (1, 1, 0), (0, 0, 2)) by hand: (5 * 6 - 12) / sqrt((36 - 14) (36 - 12)).
        ([0, 0, 1, 1, 2, 2], [0, 0, 0, 1, 2, 2], 18.0 / np.sqrt(22.0 * 24.0)),
    ],
)
def test_matthews_by_hand(truth: list[int], forecast: list[int], expected: float) -> None:
    assert matthews(np.array(truth), np.array(forecast)) == pytest.approx(expected)


def test_the_rate_of_the_crossed_plant_is_its_closed_form() -> None:
    # The rule never says "none": confusion in shares is hit, flat and miss of each half.
    hit, flat = CROSSED.hit, CROSSED.flat
    told, is_so = np.array([0.5, 0.0, 0.5]), np.array([(1 - flat) / 2, flat, (1 - flat) / 2])
    expected = (hit - told @ is_so) / np.sqrt((1 - told @ told) * (1 - is_so @ is_so))
    rate = bayes_rate(CROSSED)
    assert rate.mcc == pytest.approx(expected, abs=4.0 * rate.mcc_deviation_of_root / np.sqrt(200_000))
    shares = np.array([hit, flat, 1 - flat - hit])
    assert rate.nll == pytest.approx(-(shares @ np.log(shares)), abs=0.01)


def test_nothing_can_be_known_without_a_plant() -> None:
    rate = bayes_rate(NONE)
    assert rate.mcc == 0.0
    assert rate.nll == pytest.approx(-2 * 0.425 * np.log(0.425) - 0.15 * np.log(0.15), abs=0.01)


@pytest.mark.parametrize("world", [CROSSED, LINEAR], ids=lambda world: world.plant.value)
def test_a_path_is_as_knowable_as_its_world(world: World) -> None:
    path, rate = simulate(world, ROWS, 5), bayes_rate(world)
    truth, bayes = path.classes[:-1], path.probabilities[:-1]
    own = skill(truth, bayes, bayes)
    assert own.share == 1.0
    assert own.mcc == pytest.approx(rate.mcc, abs=4.0 * rate.mcc_deviation_of_root / np.sqrt(ROWS))
    assert losses(truth, bayes).mean() == pytest.approx(rate.nll, abs=4.0 * rate.nll_deviation_of_root / np.sqrt(ROWS))


@pytest.mark.parametrize("world", [CROSSED, LINEAR, NONE], ids=lambda world: world.plant.value)
def test_whoever_knows_the_law_or_less_is_possible(world: World) -> None:
    path = simulate(world, ROWS, 6)
    truth, bayes = path.classes[:-1], path.probabilities[:-1]
    assert_possible(truth, bayes, bayes)
    assert_possible(truth, np.full(bayes.shape, 1.0 / 3.0), bayes)
    assert_possible(truth, 0.9 * bayes + 0.1 / 3.0, bayes)


@pytest.mark.parametrize("world", [CROSSED, LINEAR, NONE], ids=lambda world: world.plant.value)
def test_a_little_knowledge_of_the_future_is_too_good_to_be_true(world: World) -> None:
    path = simulate(world, ROWS, 6)
    truth, bayes = path.classes[:-1], path.probabilities[:-1]
    leaking = 0.9 * bayes + 0.1 * np.eye(3)[truth]
    with pytest.raises(AssertionError, match="too good to be true"):
        assert_possible(truth, leaking, bayes)
