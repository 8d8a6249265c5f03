"""DeepLOB: shapes, where it starts, and that levels meet the way its strides are made for."""

from __future__ import annotations

import pytest
import torch

from hlhft.alpha.models.build import build
from hlhft.alpha.models.config import DeepLobConfig
from hlhft.alpha.models.deeplob import DeepLob

pytestmark = pytest.mark.alpha


def small(length: int = 24) -> DeepLob:
    config = DeepLobConfig(
        features=14, levels=3, imbalance_column=13, length=length, horizons=2, filters=4, inception=4, lstm_width=8
    )
    network = build(config)
    assert isinstance(network, DeepLob)
    return network.eval()


@pytest.mark.parametrize("length", [19, 24])
def test_logits_have_their_shape_and_start_small(length: int) -> None:
    logits = small(length)(torch.randn(5, length, 14))
    assert logits.shape == (5, 2, 3) and logits.abs().max().item() < 1.0


def test_it_sees_the_book_and_nothing_else() -> None:
    network = small()
    torch.nn.init.normal_(network.head.weight)
    rows = torch.randn(3, 24, 14, requires_grad=True)
    network(rows).sum().backward()
    assert rows.grad is not None
    seen = rows.grad.abs().sum(dim=(0, 1)) > 0
    assert seen.tolist() == [True] * 12 + [False] * 2


def test_the_first_convolutions_join_price_with_size_and_then_bid_with_ask_of_a_level() -> None:
    network = small()
    reached: list[torch.Tensor] = []
    handle = network.blocks[1].across.register_forward_hook(lambda part, given, output: reached.append(output))
    rows = torch.zeros(1, 24, 14, requires_grad=True)
    network(rows)
    handle.remove()
    reached[0][..., 1].sum().backward()  # level 1 of 3
    assert rows.grad is not None
    columns = rows.grad.abs().sum(dim=(0, 1)).nonzero().flatten().tolist()
    assert columns == [2, 3, 8, 9]
