"""Networks from settings: the same seed gives the same weights, and nobody else's draws change."""

from __future__ import annotations

import pytest
import torch

from hlhft.alpha.models.build import build, weights_count
from hlhft.alpha.models.config import DeepLobConfig, LitConfig

pytestmark = pytest.mark.alpha

LIT = LitConfig(features=20, levels=5, imbalance_column=3, length=8)


def test_the_seed_decides_the_weights() -> None:
    first, again, other = build(LIT, seed=1), build(LIT, seed=1), build(LIT, seed=2)
    assert all(torch.equal(a, b) for a, b in zip(first.state_dict().values(), again.state_dict().values()))
    assert not torch.equal(first.book.weight, other.book.weight)


def test_the_process_draws_go_on_as_if_nothing_was_built() -> None:
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    build(LIT)
    assert torch.equal(torch.rand(3), expected)


def test_sizes_are_those_of_the_papers() -> None:
    assert 100_000 < weights_count(build(LIT)) < 250_000
    deeplob = DeepLobConfig(features=40, levels=10, imbalance_column=0)
    assert 60_000 < weights_count(build(deeplob)) < 150_000  # 60k to 140k are reported
