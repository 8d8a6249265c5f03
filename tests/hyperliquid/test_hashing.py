"""The compiled hash against the library's, at every length around a block and on random bytes."""

from __future__ import annotations

import random

import numpy as np
import pytest

from hlhft.hyperliquid.hashing import BLOCK_BYTES, BLOCK_WORDS, LANES, ROUND_CONSTANTS, hash_blocks, pad, permute
from hlhft.hyperliquid.signing import keccak

ROOM = 8 * BLOCK_BYTES


def hashed(content: bytes, *, block: int = 0) -> bytes:
    data = np.full(ROOM, 0xEE, np.uint8)
    lanes = np.full(LANES, 2**64 - 1, np.uint64)
    first = block * BLOCK_BYTES
    data[first : first + len(content)] = np.frombuffer(content, np.uint8)
    blocks = pad(data, first, len(content))
    hash_blocks(data.view(np.uint64), block * BLOCK_WORDS, blocks, lanes)
    assert (data[:first] == 0xEE).all() and (data[first + blocks * BLOCK_BYTES :] == 0xEE).all(), "only its own blocks"
    return lanes[:4].tobytes()


@pytest.mark.parametrize("length", [0, 1, 7, 8, 134, 135, 136, 137, 271, 272, 273, 407, 408, 600])
def test_it_is_the_hash_of_the_library(length: int) -> None:
    content = random.Random(length).randbytes(length)
    assert hashed(content) == keccak(content)
    assert hashed(content, block=2) == keccak(content)


def test_random_lengths() -> None:
    seed = 20260801
    draw = random.Random(seed)
    for number in range(40):
        content = draw.randbytes(draw.randrange(5 * BLOCK_BYTES))
        assert hashed(content) == keccak(content), f"seed {seed}, text {number}"


def test_the_empty_text() -> None:
    """The best known value of Keccak-256; that of SHA3-256 differs."""
    assert hashed(b"").hex() == "c5d2460186f7233c927e7db2dcc703c0e500b653ca82273b7bfad8045d85a470"


def test_the_permutation_of_nothing() -> None:
    """First lanes of the reference's published test vector for 1600 zero bits."""
    lanes = np.zeros(LANES, np.uint64)
    permute(lanes)
    assert [int(lane) for lane in lanes[:3]] == [0xF1258F7940E1DDE7, 0x84D5CCF933C0478A, 0xD598261EA65AA9EE]


def test_round_constants_are_those_of_the_register() -> None:
    """Keccak reference, section 1.2: bit 2^j - 1 of constant i is the register's output at 7 i + j."""
    register, outputs = 1, []
    for _ in range(7 * 24):
        outputs.append(register & 1)
        register = (register << 1) ^ (0x171 if register & 0x80 else 0)
    for turn, constant in enumerate(ROUND_CONSTANTS):
        assert int(constant) == sum(outputs[7 * turn + bit] << (2**bit - 1) for bit in range(7))
