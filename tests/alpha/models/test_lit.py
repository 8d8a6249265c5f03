"""LiT: shapes, where it starts, what it sees, and what it can learn."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch.nn import functional

from hlhft.alpha.models.build import build
from hlhft.alpha.models.config import LitConfig
from hlhft.alpha.models.lit import Lit

pytestmark = pytest.mark.alpha

SMALL: dict[str, Any] = {
    "features": 14,
    "levels": 2,
    "imbalance_column": 9,
    "length": 8,
    "width": 16,
    "heads": 2,
    "layers": 1,
    "feed_forward": 32,
    "lstm_width": 16,
}
SWITCHES = ("bilinear_normalisation", "flow_tokens", "imbalance_residual")


def small(**changes: Any) -> Lit:
    network = build(LitConfig(**{**SMALL, **changes}))
    assert isinstance(network, Lit)
    return network.eval()


@pytest.mark.parametrize("on", [(), *[(name,) for name in SWITCHES], SWITCHES])
def test_logits_have_their_shape_and_start_small(on: tuple[str, ...]) -> None:
    network = small(horizons=3, **dict.fromkeys(on, True))
    logits = network(torch.randn(5, 8, 14))
    assert logits.shape == (5, 3, 3) and logits.abs().max().item() < 1.0


def test_with_the_residual_the_rule_is_added() -> None:
    network = small(imbalance_residual=True)
    assert network.rule is not None
    network.rule.table[:] = torch.randn_like(network.rule.table)
    torch.nn.init.zeros_(network.head.weight)
    rows = torch.rand(6, 8, 14) * 2.0 - 1.0
    assert torch.allclose(network(rows)[:, 0], network.rule(rows[:, -1, 9]))


def sees(network: Lit) -> set[int]:
    """The columns that move the logits."""
    torch.nn.init.normal_(network.head.weight)
    rows = torch.randn(3, 8, 14, requires_grad=True)
    network(rows).sum().backward()
    assert rows.grad is not None
    return {column for column in range(14) if bool(rows.grad[:, :, column].abs().sum() > 0)}


def test_without_flow_tokens_it_sees_the_book_only() -> None:
    assert sees(small()) == set(range(8))


def test_with_flow_tokens_it_sees_everything() -> None:
    assert sees(small(flow_tokens=True)) == set(range(14))


def test_every_row_of_the_window_is_seen() -> None:
    network = small()
    torch.nn.init.normal_(network.head.weight)
    rows = torch.randn(3, 8, 14, requires_grad=True)
    network(rows).sum().backward()
    assert rows.grad is not None and bool((rows.grad.abs().sum(dim=(0, 2)) > 0).all())


def test_a_patch_is_one_side_of_some_rows() -> None:
    """The first token takes the bids' columns of the first `patch_rows` rows, in their order."""
    network = small()
    rows = torch.randn(1, 8, 14)
    with torch.no_grad():
        token = network._tokens(rows)[0, 0]
        patch = rows[0, :4, :4].reshape(-1)
        expected = network.book(patch) + network.kind_embedding[0] + network.time_embedding[0, 0]
        asks = network.book(rows[0, 4:, 4:8].reshape(-1)) + network.kind_embedding[1] + network.time_embedding[1, 0]
        assert torch.allclose(token, expected, atol=1e-6)
        assert torch.allclose(network._tokens(rows)[0, 3], asks, atol=1e-6)


def test_it_learns_what_needs_two_levels_at_two_times() -> None:
    """The sign of a product, deep ask size now x bid size before, which says nothing by either factor alone."""
    torch.manual_seed(0)
    network = small(dropout=0.0).train()
    rows = torch.randn(16384, 8, 14)
    classes = torch.where(rows[:, -1, 7] * rows[:, 3, 1] > 0, 2, 0)
    optimiser = torch.optim.AdamW(network.parameters(), 3e-3)
    for epoch in range(5):
        for part in torch.randperm(16384, generator=torch.Generator().manual_seed(epoch)).split(64):
            optimiser.zero_grad()
            functional.cross_entropy(network(rows[part])[:, 0], classes[part]).backward()
            optimiser.step()
    fresh = torch.randn(2048, 8, 14)
    right = network.eval()(fresh)[:, 0].argmax(1) == torch.where(fresh[:, -1, 7] * fresh[:, 3, 1] > 0, 2, 0)
    assert right.float().mean().item() > 0.9
