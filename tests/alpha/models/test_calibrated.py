"""A network in its calibration: probabilities and the moves that follow from them, by hand."""

from __future__ import annotations

import pytest
import torch

from hlhft.alpha.models.calibrated import calibrated
from hlhft.alpha.models.config import LitConfig

pytestmark = pytest.mark.alpha

CONFIG = LitConfig(
    features=8, levels=2, imbalance_column=0, length=4, horizons=2, width=8, heads=1, layers=1, feed_forward=8,
    lstm_width=8,
)  # fmt: skip


def test_logits_are_scaled_shifted_and_mixed_by_horizon() -> None:
    torch.manual_seed(0)
    model = calibrated(CONFIG).eval()
    model.scale[:] = torch.tensor([[2.0], [0.0]])
    model.shift[:] = torch.tensor([[0.0, 0.5, 0.0], [0.0, 0.0, 0.0]])
    model.moves[:] = torch.tensor([[-3.0, 0.0, 3.0], [-1.0, 0.0, 4.0]])
    model.deviations[:] = torch.tensor([[1.0, 1.0, 1.0], [0.0, 0.0, 0.0]])
    rows = torch.randn(5, 4, 8)
    with torch.no_grad():
        logits = model.network(rows)
        p, mu, sigma = model(rows)
    expected = torch.softmax(logits[:, 0] * 2.0 + torch.tensor([0.0, 0.5, 0.0]), dim=1)
    assert torch.allclose(p[:, 0], expected, atol=1e-6)
    assert torch.allclose(mu[:, 0], 3.0 * (expected[:, 2] - expected[:, 0]), atol=1e-5)
    assert torch.allclose(p[:, 1], torch.full((5, 3), 1 / 3), atol=1e-6)
    # Moves of -1, 0 and 4, each a third: mean 1, variance (4 + 1 + 9) / 3.
    assert torch.allclose(mu[:, 1], torch.ones(5), atol=1e-6)
    assert torch.allclose(sigma[:, 1], torch.full((5,), (14 / 3) ** 0.5), atol=1e-5)


def test_untouched_it_changes_nothing() -> None:
    model = calibrated(CONFIG).eval()
    rows = torch.randn(3, 4, 8)
    p, mu, sigma = model(rows)
    assert torch.allclose(p, torch.softmax(model.network(rows), dim=-1))
    assert mu.abs().max() == 0 and sigma.abs().max() == 0
