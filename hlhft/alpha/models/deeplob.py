"""DeepLOB (Zhang, Zohren, Roberts, IEEE TSP 67, 2019): convolutions over levels and time, inception, LSTM.

The rival in the same harness: the same rows, standardisation, losses, seeds and calibration as LiT.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from hlhft.alpha.models.config import CLASSES, DeepLobConfig
from hlhft.alpha.models.parts import ImbalanceRule, Standardiser

_SLOPE = 0.01  # of the leaky rectifier, as published


class _Block(nn.Module):
    """A convolution that joins neighbours across, then two over four rows of time each."""

    def __init__(self, channels: int, filters: int, across: int, stride: int) -> None:
        super().__init__()
        self.across = nn.Conv2d(channels, filters, (1, across), stride=(1, stride))
        self.first = nn.Conv2d(filters, filters, (4, 1))
        self.second = nn.Conv2d(filters, filters, (4, 1))

    def forward(self, image: Tensor) -> Tensor:
        """float32[batch, channels, rows, columns] to fewer rows and columns."""
        for part in (self.across, self.first, self.second):
            image = functional.leaky_relu(part(image), _SLOPE)
        return image


class DeepLob(nn.Module):
    """Raw feature rows, float32[batch, length, features], to logits, float32[batch, horizons, 3]."""

    def __init__(self, config: DeepLobConfig) -> None:
        super().__init__()
        self.config = config
        self.standardiser = Standardiser(config.features)
        self.rule = ImbalanceRule(config.horizons) if config.imbalance_residual else None
        filters, inception = config.filters, config.inception
        # Price with size, then bid with ask, then all levels.
        self.blocks = nn.Sequential(
            _Block(1, filters, 2, 2), _Block(filters, filters, 2, 2), _Block(filters, filters, config.levels, 1)
        )
        self.short = nn.ModuleList([nn.Conv2d(filters, inception, 1), nn.Conv2d(inception, inception, (3, 1))])
        self.long = nn.ModuleList([nn.Conv2d(filters, inception, 1), nn.Conv2d(inception, inception, (5, 1))])
        self.pooled = nn.Conv2d(filters, inception, 1)
        self.lstm = nn.LSTM(3 * inception, config.lstm_width, batch_first=True)
        self.head = nn.Linear(config.lstm_width, config.horizons * CLASSES)
        nn.init.zeros_(self.head.bias)

    def forward(self, rows: Tensor) -> Tensor:
        """float32[batch, length, features], raw, to logits float32[batch, horizons, 3]."""
        config = self.config
        book = self.standardiser(rows)[:, :, : config.book_columns]
        # Side, level, (price, size) becomes level, side, (price, size): the order that its strides are made for.
        image = book.reshape(-1, config.length, 2, config.levels, 2).transpose(2, 3)
        image = self.blocks(image.reshape(-1, 1, config.length, config.book_columns))
        paths = [self._path(self.short, image, 1), self._path(self.long, image, 2)]
        around = functional.pad(image, (0, 0, 1, 1))
        paths.append(functional.leaky_relu(self.pooled(functional.max_pool2d(around, (3, 1), stride=1)), _SLOPE))
        read, _ = self.lstm(torch.cat(paths, dim=1).squeeze(3).transpose(1, 2))
        logits = self.head(functional.dropout(read[:, -1], config.dropout, self.training))
        if self.rule is not None:
            logits = logits + self.rule(rows[:, -1, config.imbalance_column])
        return logits.view(-1, config.horizons, CLASSES)

    @staticmethod
    def _path(parts: nn.ModuleList, image: Tensor, rows: int) -> Tensor:
        """One kernel over 2 x `rows` + 1 rows after one over a single, the length kept."""
        image = functional.leaky_relu(parts[0](image), _SLOPE)
        return functional.leaky_relu(parts[1](functional.pad(image, (0, 0, rows, rows))), _SLOPE)
