"""LiT (Xiao et al., Frontiers in AI 8:1616485, 2025): the order book as structured patches, without convolutions.

A patch is one whole side of the book over some rows. Patches become tokens by one linear map, joined with learned
embeddings of side and time; tokens attend to each other; the tokens of each moment go through an LSTM in order of time;
dense layers end in three classes for each horizon. Behind switches: bilinear normalisation, tokens of the flow, and a
start from the imbalance rule.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from hlhft.alpha.models.config import CLASSES, LitConfig
from hlhft.alpha.models.parts import AttentionLayer, BilinearNormalisation, ImbalanceRule, Standardiser

_EMBEDDING_DEVIATION = 0.02


class Lit(nn.Module):
    """Raw feature rows, float32[batch, length, features], to logits, float32[batch, horizons, 3].

    It starts near the imbalance rule or, without it, near the last bias, which training sets to the logarithms of the
    classes' shares. Near and not at it: from zeros in the last layer it does not learn what needs two values together
    (half right after twelve epochs of a product's sign, where small first weights give 0.98).
    """

    def __init__(self, config: LitConfig) -> None:
        super().__init__()
        self.config = config
        self.standardiser = Standardiser(config.features)
        self.normalisation = (
            BilinearNormalisation(config.length, config.features) if config.bilinear_normalisation else None
        )
        self.rule = ImbalanceRule(config.horizons) if config.imbalance_residual else None
        self.book = nn.Linear(config.patch_rows * 2 * config.levels, config.width)
        self.flow = nn.Linear(config.patch_rows * config.flow_columns, config.width) if config.flow_tokens else None
        self.kind_embedding = nn.Parameter(torch.randn(config.kinds, config.width) * _EMBEDDING_DEVIATION)
        self.time_embedding = nn.Parameter(torch.randn(config.steps, 1, config.width) * _EMBEDDING_DEVIATION)
        self.layers = nn.ModuleList(
            AttentionLayer(config.width, config.heads, config.feed_forward) for _ in range(config.layers)
        )
        self.norm = nn.LayerNorm(config.width)
        self.lstm = nn.LSTM(config.kinds * config.width, config.lstm_width, batch_first=True)
        self.dense = nn.Linear(config.lstm_width, config.width)
        self.head = nn.Linear(config.width, config.horizons * CLASSES)
        nn.init.zeros_(self.head.bias)

    def forward(self, rows: Tensor) -> Tensor:
        """float32[batch, length, features], raw, to logits float32[batch, horizons, 3]."""
        config = self.config
        tokens = self._tokens(rows)
        for layer in self.layers:
            tokens = layer(tokens)
        moments = self.norm(tokens).reshape(-1, config.steps, config.kinds * config.width)
        read, _ = self.lstm(moments)
        hidden = functional.dropout(functional.relu(self.dense(read[:, -1])), config.dropout, self.training)
        logits = self.head(hidden)
        if self.rule is not None:
            logits = logits + self.rule(rows[:, -1, config.imbalance_column])
        return logits.view(-1, config.horizons, CLASSES)

    def _tokens(self, rows: Tensor) -> Tensor:
        """float32[batch, steps x kinds, width]: of each step the bids, the asks, and the flow where it has tokens."""
        config = self.config
        rows = self.standardiser(rows)
        if self.normalisation is not None:
            rows = self.normalisation(rows)
        book = rows[:, :, : config.book_columns].reshape(-1, config.steps, config.patch_rows, 2, 2 * config.levels)
        sides = self.book(book.transpose(2, 3).reshape(-1, config.steps, 2, config.patch_rows * 2 * config.levels))
        if self.flow is not None:
            flow = rows[:, :, config.book_columns :]
            flow = flow.reshape(-1, config.steps, 1, config.patch_rows * config.flow_columns)
            sides = torch.cat([sides, self.flow(flow)], dim=2)
        tokens = sides + self.kind_embedding + self.time_embedding
        return tokens.reshape(-1, config.steps * config.kinds, config.width)
