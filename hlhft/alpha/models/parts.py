"""What networks are made of: standardisation, bilinear normalisation, the imbalance rule, an attention layer.

Everything exports to ONNX with a free batch dimension, and everything fitted outside of gradient descent is a buffer,
so that it travels with the weights.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from hlhft.alpha.models.config import CLASSES

STANDARD_MAX = 10.0  # deviations: what lies farther out is told as this far, so that one wild row cannot rule a window
KNOTS = 11  # of the imbalance rule, evenly over -1..1
_EPSILON = 1e-5


class Standardiser(nn.Module):
    """(x - mean) / deviation of each column, within ±STANDARD_MAX. Fitted on the train block only, else identity."""

    mean: Tensor
    deviation: Tensor

    def __init__(self, features: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(features))
        self.register_buffer("deviation", torch.ones(features))

    def forward(self, rows: Tensor) -> Tensor:
        """float32[..., features] to the same shape."""
        return torch.clamp((rows - self.mean) / self.deviation, -STANDARD_MAX, STANDARD_MAX)


class BilinearNormalisation(nn.Module):
    """A learned blend of the window as it is, normalised along time, and normalised along features (Tran et al. 2021).

    The first part is ours: a level that stays for a whole window says something too, and normalisation along time takes
    it away. Each part has gains of its own, per column or per row of the window; so have the offsets.
    """

    def __init__(self, length: int, features: int) -> None:
        super().__init__()
        self.gain = nn.Parameter(torch.full((features,), 0.5))
        self.time_gain = nn.Parameter(torch.full((features,), 0.25))
        self.time_offset = nn.Parameter(torch.zeros(features))
        self.feature_gain = nn.Parameter(torch.full((length, 1), 0.25))
        self.feature_offset = nn.Parameter(torch.zeros(length, 1))

    def forward(self, rows: Tensor) -> Tensor:
        """float32[batch, length, features] to the same shape."""
        along_time = _normalised(rows, 1) * self.time_gain + self.time_offset
        along_features = _normalised(rows, 2) * self.feature_gain + self.feature_offset
        return rows * self.gain + along_time + along_features


def _normalised(rows: Tensor, axis: int) -> Tensor:
    centred = rows - rows.mean(dim=axis, keepdim=True)
    # A column that stands still for a whole window is zero, not noise blown up.
    return centred * torch.rsqrt((centred * centred).mean(dim=axis, keepdim=True) + _EPSILON)


class ImbalanceRule(nn.Module):
    """Logits as a function of the touch imbalance alone: a table over KNOTS values, linear between them.

    The table is fitted in closed form (`training`), and not trained. Unfitted, it is zero.
    """

    knots: Tensor
    table: Tensor

    def __init__(self, horizons: int) -> None:
        super().__init__()
        self.register_buffer("knots", torch.linspace(-1.0, 1.0, KNOTS))
        self.register_buffer("table", torch.zeros(KNOTS, horizons * CLASSES))

    def shares(self, imbalance: Tensor) -> Tensor:
        """How near each of the knots is: float32[batch] to float32[batch, KNOTS], each row adding up to one."""
        distance = torch.abs(imbalance.clamp(-1.0, 1.0).unsqueeze(-1) - self.knots)
        return functional.relu(1.0 - distance * ((KNOTS - 1) / 2.0))

    def forward(self, imbalance: Tensor) -> Tensor:
        """float32[batch] to float32[batch, horizons x 3]."""
        return self.shares(imbalance) @ self.table


class AttentionLayer(nn.Module):
    """One transformer layer, normalised before its parts: attention of all tokens to all, then a feed-forward part."""

    def __init__(self, width: int, heads: int, feed_forward: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm_attention = nn.LayerNorm(width)
        self.query_key_value = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)
        self.norm_forward = nn.LayerNorm(width)
        self.widen = nn.Linear(width, feed_forward)
        self.narrow = nn.Linear(feed_forward, width)

    def forward(self, tokens: Tensor) -> Tensor:
        """float32[batch, tokens, width] to the same shape."""
        tokens = tokens + self._attended(self.norm_attention(tokens))
        return tokens + self.narrow(functional.relu(self.widen(self.norm_forward(tokens))))

    def _attended(self, tokens: Tensor) -> Tensor:
        count, width = tokens.shape[1], tokens.shape[2]
        parts = self.query_key_value(tokens).view(-1, count, 3, self.heads, width // self.heads)
        query, key, value = parts.permute(2, 0, 3, 1, 4).unbind(0)
        mixed = functional.scaled_dot_product_attention(query, key, value)
        return self.out(mixed.transpose(1, 2).reshape(-1, count, width))
