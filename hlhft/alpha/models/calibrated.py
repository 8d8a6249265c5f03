"""A network with its calibration inside, so that what is served is one graph: raw rows to probabilities and moves."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from hlhft.alpha.models.build import Network, build
from hlhft.alpha.models.config import CLASSES, ModelConfig


class Calibrated(nn.Module):
    """Raw rows, float32[batch, length, features], to (p [batch, horizons, 3], mu_bp and sigma_bp [batch, horizons]).

    Logits are scaled and shifted for each horizon, then softmax. A class stands for a move with a mean and a deviation
    of its own; mu and sigma are those of the mixture, in basis points.
    """

    scale: Tensor
    shift: Tensor
    moves: Tensor
    deviations: Tensor

    def __init__(self, network: Network) -> None:
        super().__init__()
        horizons = network.config.horizons
        self.network = network
        self.register_buffer("scale", torch.ones(horizons, 1))
        self.register_buffer("shift", torch.zeros(horizons, CLASSES))
        self.register_buffer("moves", torch.zeros(horizons, CLASSES))
        self.register_buffer("deviations", torch.zeros(horizons, CLASSES))

    def forward(self, rows: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """See the class."""
        p = torch.softmax(self.network(rows) * self.scale + self.shift, dim=-1)
        mu = (p * self.moves).sum(dim=-1)
        # Around the mean: the difference of two squares would lose what is small.
        apart = self.moves - mu.unsqueeze(-1)
        variance = (p * (self.deviations * self.deviations + apart * apart)).sum(dim=-1)
        return p, mu, torch.sqrt(variance)


def calibrated(config: ModelConfig) -> Calibrated:
    """An untrained network of `config` in a calibration that changes nothing: what stored weights are loaded into."""
    return Calibrated(build(config))
