"""The bodies of /info, typed."""

from __future__ import annotations

import msgspec
import pytest

from hlhft.exchange import requests as req

USER = "0x" + "aB" * 20


def test_names_are_those_of_the_wire():
    read = msgspec.convert({"user": USER, "startTime": 1, "aggregateByTime": True}, type=req.FillsRange)
    assert (read.start_time, read.end_time, read.aggregate_by_time) == (1, None, True)
    assert msgspec.convert({"coin": "BTC", "nSigFigs": 5, "mantissa": 2}, type=req.BookRequest).n_sig_figs == 5


def test_what_is_not_known_is_ignored():
    assert msgspec.convert({"type": "meta", "x": 1}, type=req.OfDex).dex is None


@pytest.mark.parametrize(
    ("shape", "body"),
    [
        (req.OfUser, {}),
        (req.OfUser, {"user": "0x12"}),
        (req.OfUser, {"user": "0x" + "g" * 40}),
        (req.OfUser, {"user": 5}),
        (req.OfCoin, {"coin": "x" * 65}),
        (req.BookRequest, {"coin": "BTC", "nSigFigs": 1}),
        (req.BookRequest, {"coin": "BTC", "nSigFigs": 6}),
        (req.CandleRequest, {"req": {"coin": "BTC", "interval": "1m"}}),
        (req.CoinRange, {"coin": "BTC", "startTime": -1}),
        (req.CoinRange, {"coin": "BTC", "startTime": 1.5}),
        (req.CoinRange, {"coin": "BTC", "startTime": "1"}),
        (req.StatusRequest, {"user": USER, "oid": -1}),
        (req.StatusRequest, {"user": USER, "oid": "0x12"}),
        (req.StatusRequest, {"user": USER, "oid": 2**64}),
    ],
)
def test_wrong_types_and_sizes_are_refused(shape, body):
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(body, type=shape)
