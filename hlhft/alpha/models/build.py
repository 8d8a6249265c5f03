"""From settings to a network, in one place."""

from __future__ import annotations

import torch

from hlhft.alpha.models.config import LitConfig, ModelConfig
from hlhft.alpha.models.deeplob import DeepLob
from hlhft.alpha.models.lit import Lit

Network = Lit | DeepLob


def build(config: ModelConfig, *, seed: int = 0) -> Network:
    """The network of `config` with first weights drawn from `seed`: the same seed gives the same weights.

    The process's random state is left as it was.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return Lit(config) if isinstance(config, LitConfig) else DeepLob(config)


def weights_count(network: Network) -> int:
    """How many numbers are trained."""
    return sum(parameter.numel() for parameter in network.parameters() if parameter.requires_grad)
