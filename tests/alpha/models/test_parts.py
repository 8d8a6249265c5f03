"""Parts of networks against what they promise."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from hlhft.alpha.models.parts import (
    KNOTS,
    STANDARD_MAX,
    AttentionLayer,
    BilinearNormalisation,
    ImbalanceRule,
    Standardiser,
)

pytestmark = pytest.mark.alpha


def test_standardised_rows_are_held_within_the_bound() -> None:
    part = Standardiser(2)
    part.mean[:], part.deviation[:] = torch.tensor([1.0, 0.0]), torch.tensor([2.0, 1.0])
    found = part(torch.tensor([[[3.0, 1e9]], [[1.0, -1e9]]]))
    assert found.tolist() == [[[1.0, STANDARD_MAX]], [[0.0, -STANDARD_MAX]]]


def blend(gain: float, time_gain: float, feature_gain: float) -> BilinearNormalisation:
    part = BilinearNormalisation(6, 3)
    with torch.no_grad():
        part.gain.fill_(gain)
        part.time_gain.fill_(time_gain)
        part.feature_gain.fill_(feature_gain)
    return part


def test_normalised_along_time_scale_and_level_of_a_column_are_forgotten() -> None:
    rows = torch.randn(4, 6, 3)
    scaled = rows * torch.tensor([3.0, 1.0, 9.0]) + torch.tensor([5.0, 0.0, -2.0])
    assert torch.allclose(blend(0, 1, 0)(rows), blend(0, 1, 0)(scaled), atol=1e-4)
    assert not torch.allclose(blend(0, 0, 1)(rows), blend(0, 0, 1)(scaled), atol=1e-1)


def test_normalised_along_features_scale_and_level_of_a_row_are_forgotten() -> None:
    rows = torch.tensor([-1.0, 0.0, 2.0]) + 0.1 * torch.randn(4, 6, 3)  # no row is all but constant
    assert torch.allclose(blend(0, 0, 1)(rows), blend(0, 0, 1)(rows * 3.0 + 5.0), atol=1e-2)


def test_the_window_as_it_is_has_its_part() -> None:
    rows = torch.randn(4, 6, 3)
    assert torch.equal(blend(1, 0, 0)(rows), rows)
    assert torch.allclose(blend(0.5, 0.25, 0.25)(rows), BilinearNormalisation(6, 3)(rows))


def test_a_column_that_stands_still_is_zero_along_time() -> None:
    assert torch.equal(blend(0, 1, 0)(torch.full((1, 6, 3), 7.0)), torch.zeros(1, 6, 3))


@pytest.mark.parametrize("imbalance", [-2.0, -1.0, -0.31, 0.0, 0.2, 0.999, 1.0, 5.0])
def test_the_rule_is_linear_between_its_knots(imbalance: float) -> None:
    rule = ImbalanceRule(1)
    table = torch.randn(KNOTS, 3)
    rule.table[:] = table
    inside = min(max(imbalance, -1.0), 1.0)
    expected = [np.interp(inside, np.linspace(-1, 1, KNOTS), table[:, k].numpy()) for k in range(3)]
    assert np.allclose(rule(torch.tensor([imbalance]))[0].numpy(), expected, atol=1e-5)
    assert rule.shares(torch.tensor([imbalance])).sum().item() == pytest.approx(1.0, abs=1e-6)


def test_attention_does_not_care_in_which_order_tokens_come() -> None:
    torch.manual_seed(0)
    layer = AttentionLayer(8, 2, 16)
    tokens = torch.randn(2, 5, 8)
    order = torch.tensor([4, 2, 0, 1, 3])
    assert torch.allclose(layer(tokens)[:, order], layer(tokens[:, order]), atol=1e-5)
