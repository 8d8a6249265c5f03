"""Keccak-256, compiled: the hash of an action costs well under a microsecond a block and no call from Python.

It is the same function as `hlhft.hyperliquid.signing.keccak`, which stays the one that everything else uses and that
this is held to. Data lie in an array of whole blocks, as bytes and as words of 64 bits at once (little-endian machines
only, as all that this project runs on are), so that nothing is copied. Hashed is what everybody may see, so the time it
takes tells nothing.

Source: the Keccak reference, version 3.0, sections 1 and 3; rate 1088, capacity 512, padding 0x01 (not SHA3's 0x06).
"""

from __future__ import annotations

import numpy as np

from hlhft.compiled import compiled

BLOCK_BYTES = 136
BLOCK_WORDS = 17
LANES = 25
_ROUNDS = 24

ROUND_CONSTANTS = np.array(
    [
        0x0000000000000001, 0x0000000000008082, 0x800000000000808A, 0x8000000080008000,
        0x000000000000808B, 0x0000000080000001, 0x8000000080008081, 0x8000000000008009,
        0x000000000000008A, 0x0000000000000088, 0x0000000080008009, 0x000000008000000A,
        0x000000008000808B, 0x800000000000008B, 0x8000000000008089, 0x8000000000008003,
        0x8000000000008002, 0x8000000000000080, 0x000000000000800A, 0x800000008000000A,
        0x8000000080008081, 0x8000000000008080, 0x0000000080000001, 0x8000000080008008,
    ],
    np.uint64,
)  # fmt: skip


@compiled
def _rotated(lane, bits):
    return lane << np.uint64(bits) | lane >> np.uint64(64 - bits)


@compiled
def permute(lanes):
    """Keccak-f[1600] on uint64[25], in place: lane x + 5 y holds column x of row y."""
    a0, a1, a2, a3, a4 = lanes[0], lanes[1], lanes[2], lanes[3], lanes[4]
    a5, a6, a7, a8, a9 = lanes[5], lanes[6], lanes[7], lanes[8], lanes[9]
    a10, a11, a12, a13, a14 = lanes[10], lanes[11], lanes[12], lanes[13], lanes[14]
    a15, a16, a17, a18, a19 = lanes[15], lanes[16], lanes[17], lanes[18], lanes[19]
    a20, a21, a22, a23, a24 = lanes[20], lanes[21], lanes[22], lanes[23], lanes[24]
    for turn in range(_ROUNDS):
        c0, c1 = a0 ^ a5 ^ a10 ^ a15 ^ a20, a1 ^ a6 ^ a11 ^ a16 ^ a21
        c2, c3 = a2 ^ a7 ^ a12 ^ a17 ^ a22, a3 ^ a8 ^ a13 ^ a18 ^ a23
        c4 = a4 ^ a9 ^ a14 ^ a19 ^ a24
        d0, d1 = c4 ^ _rotated(c1, 1), c0 ^ _rotated(c2, 1)
        d2, d3 = c1 ^ _rotated(c3, 1), c2 ^ _rotated(c4, 1)
        d4 = c3 ^ _rotated(c0, 1)
        b0 = a0 ^ d0
        b1 = _rotated(a6 ^ d1, 44)
        b2 = _rotated(a12 ^ d2, 43)
        b3 = _rotated(a18 ^ d3, 21)
        b4 = _rotated(a24 ^ d4, 14)
        b5 = _rotated(a3 ^ d3, 28)
        b6 = _rotated(a9 ^ d4, 20)
        b7 = _rotated(a10 ^ d0, 3)
        b8 = _rotated(a16 ^ d1, 45)
        b9 = _rotated(a22 ^ d2, 61)
        b10 = _rotated(a1 ^ d1, 1)
        b11 = _rotated(a7 ^ d2, 6)
        b12 = _rotated(a13 ^ d3, 25)
        b13 = _rotated(a19 ^ d4, 8)
        b14 = _rotated(a20 ^ d0, 18)
        b15 = _rotated(a4 ^ d4, 27)
        b16 = _rotated(a5 ^ d0, 36)
        b17 = _rotated(a11 ^ d1, 10)
        b18 = _rotated(a17 ^ d2, 15)
        b19 = _rotated(a23 ^ d3, 56)
        b20 = _rotated(a2 ^ d2, 62)
        b21 = _rotated(a8 ^ d3, 55)
        b22 = _rotated(a14 ^ d4, 39)
        b23 = _rotated(a15 ^ d0, 41)
        b24 = _rotated(a21 ^ d1, 2)
        a0 = b0 ^ (~b1 & b2) ^ ROUND_CONSTANTS[turn]
        a1 = b1 ^ (~b2 & b3)
        a2 = b2 ^ (~b3 & b4)
        a3 = b3 ^ (~b4 & b0)
        a4 = b4 ^ (~b0 & b1)
        a5 = b5 ^ (~b6 & b7)
        a6 = b6 ^ (~b7 & b8)
        a7 = b7 ^ (~b8 & b9)
        a8 = b8 ^ (~b9 & b5)
        a9 = b9 ^ (~b5 & b6)
        a10 = b10 ^ (~b11 & b12)
        a11 = b11 ^ (~b12 & b13)
        a12 = b12 ^ (~b13 & b14)
        a13 = b13 ^ (~b14 & b10)
        a14 = b14 ^ (~b10 & b11)
        a15 = b15 ^ (~b16 & b17)
        a16 = b16 ^ (~b17 & b18)
        a17 = b17 ^ (~b18 & b19)
        a18 = b18 ^ (~b19 & b15)
        a19 = b19 ^ (~b15 & b16)
        a20 = b20 ^ (~b21 & b22)
        a21 = b21 ^ (~b22 & b23)
        a22 = b22 ^ (~b23 & b24)
        a23 = b23 ^ (~b24 & b20)
        a24 = b24 ^ (~b20 & b21)
    lanes[0], lanes[1], lanes[2], lanes[3], lanes[4] = a0, a1, a2, a3, a4
    lanes[5], lanes[6], lanes[7], lanes[8], lanes[9] = a5, a6, a7, a8, a9
    lanes[10], lanes[11], lanes[12], lanes[13], lanes[14] = a10, a11, a12, a13, a14
    lanes[15], lanes[16], lanes[17], lanes[18], lanes[19] = a15, a16, a17, a18, a19
    lanes[20], lanes[21], lanes[22], lanes[23], lanes[24] = a20, a21, a22, a23, a24


@compiled
def pad(data, first, length):
    """Pads `length` bytes of uint8 `data` from `first` on to whole blocks, in place; returns how many.

    `data` must have room for them: a whole block more than `length` always suffices.
    """
    blocks = length // BLOCK_BYTES + 1
    end = first + blocks * BLOCK_BYTES
    for at in range(first + length, end):
        data[at] = 0
    data[first + length] = 1
    data[end - 1] |= 0x80
    return blocks


@compiled
def hash_blocks(words, first, blocks, lanes):
    """The hash of padded blocks, uint64 `words` from `first` on, into the first four of `lanes`, uint64[25]: its 32
    bytes in order."""
    for lane in range(LANES):
        lanes[lane] = 0
    for block in range(blocks):
        for word in range(BLOCK_WORDS):
            lanes[word] ^= words[first + block * BLOCK_WORDS + word]
        permute(lanes)
