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


def test_bilinear_normalisation_forgets_scale_and_level_but_for_the_share_as_it_is() -> None:
    part = BilinearNormalisation(6, 3)
    with torch.no_grad():
        part.shares[:] = torch.tensor([0.0, 1.0, 0.0])
    rows = torch.randn(4, 6, 3)
    assert torch.allclose(part(rows), part(rows * 3.0 + 5.0), atol=1e-4)
    with torch.no_grad():
        part.shares[:] = torch.tensor([1.0, 0.0, 0.0])
    assert torch.equal(part(rows), rows)


def test_a_column_that_stands_still_is_zero_along_time() -> None:
    part = BilinearNormalisation(6, 3)
    with torch.no_grad():
        part.shares[:] = torch.tensor([0.0, 1.0, 0.0])
    assert torch.equal(part(torch.full((1, 6, 3), 7.0)), torch.zeros(1, 6, 3))


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
