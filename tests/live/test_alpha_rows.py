"""Rows of a running engine: those of the features, and the newest of each market kept in their order."""

from __future__ import annotations

import numpy as np

from hlhft.alpha.features import Features
from hlhft.alpha.schema import FeatureSchema
from hlhft.config.settings import Config
from hlhft.core.brain import Brain
from hlhft.hyperliquid.decode import Decoder
from hlhft.live.alpha_rows import AlphaRows
from hlhft.live.assembly import brain_of
from hlhft.strategies import load
from tests.live.test_feed import BBO, BOOK, MARKETS, TIME_MS, TRADES

SCHEMA = FeatureSchema(levels=2)
KEPT = 5


def brain() -> Brain:
    return brain_of(Config(), load("two_sided"), MARKETS)


def frames(rounds: int) -> list[bytes]:
    made = []
    for number in range(rounds):
        at = TIME_MS + 100 * number
        made += [BOOK % at, BBO % at, TRADES % at]
    return made


def test_rows_are_those_of_the_features_and_the_newest_are_kept() -> None:
    one, decoder = brain(), Decoder(MARKETS)
    rows, features = AlphaRows(one, SCHEMA, kept=KEPT), Features(SCHEMA, one)
    told: dict[int, list[tuple[int, bytes]]] = {0: [], 1: []}
    for number, frame in enumerate(frames(8)):
        count = decoder.decode(frame, (TIME_MS + 40 * number) * 1_000_000)
        one.step(decoder.events, count)
        expected = features.update(decoder.events, count)
        heads, values = rows.rows(decoder.events, count)
        assert len(heads) == expected
        assert (heads == features.heads[:expected]).all() and (values == features.values[:expected]).all()
        for head, value in zip(heads, values):
            told[int(head["market"])].append((int(head["sequence"]), value.tobytes()))
    assert len(told[1]) > KEPT
    for market, newest in told.items():
        for count in (1, 3, KEPT, KEPT + 3):
            heads, values = rows.newest(market, count)
            wanted = newest[-min(count, KEPT) :]
            assert [(int(head["sequence"]), value.tobytes()) for head, value in zip(heads, values)] == wanted
            assert values.dtype == np.float32 and values.shape[1] == SCHEMA.columns


def test_a_market_without_rows_has_none() -> None:
    rows = AlphaRows(brain(), SCHEMA, kept=KEPT)
    rows.warm()
    heads, values = rows.newest(0, 3)
    assert len(heads) == 0 and values.shape == (0, SCHEMA.columns)
