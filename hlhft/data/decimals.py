"""Many decimal numbers as text at once become whole numbers, exactly.

No float is involved: digits are read as integers and the point's place is kept beside them, so what a feed wrote as
"0.1" is one tenth. Plain numbers are read in bulk; one with an exponent ("1e-05") is first written out by Decimal.
"""

from __future__ import annotations

import re
from decimal import Decimal

import numpy as np
from numpy.typing import NDArray

DIGITS_MAX = 18  # what an int64 holds of any digits
_COMMA, _POINT, _MINUS = 44, 46, 45
_PLAIN = re.compile(rb"-?[0-9]+(?:\.[0-9]*)?\Z")
_EXPONENT = re.compile(rb"-?[0-9]+(?:\.[0-9]*)?[eE][+-]?[0-9]{1,3}\Z")
_POWERS = 10 ** np.arange(DIGITS_MAX + 1, dtype=np.int64)

Int64 = NDArray[np.int64]


class DecimalError(ValueError):
    """A token that is no decimal number, or none of the wanted precision; `index` is its place among the tokens."""

    def __init__(self, index: int, message: str) -> None:
        self.index = index
        super().__init__(message)


def read(text: bytes) -> tuple[Int64, Int64]:
    """The comma-separated numbers of `text` as (digits, decimals): value = digits x 10^-decimals, both int64[n].

    At most DIGITS_MAX digits a number. Raises DecimalError at the first token that is no number.
    """
    if text.translate(None, b"0123456789.,-"):
        text = _without_exponents(text)
    data = np.frombuffer(text, dtype=np.uint8)
    ends = np.append(np.flatnonzero(data == _COMMA), len(data))
    starts = np.append(0, ends[:-1] + 1)
    points = np.flatnonzero(data == _POINT)
    owner = np.searchsorted(ends, points)
    minus = np.flatnonzero(data == _MINUS)
    minus_owner = np.searchsorted(ends, minus)
    lengths = ends - starts
    decimals = np.zeros(len(ends), dtype=np.int64)
    decimals[owner] = ends[owner] - points - 1
    digit_count = lengths.copy()
    digit_count[owner] -= 1
    digit_count[minus_owner] -= 1
    malformed = (digit_count < 1) | (digit_count > DIGITS_MAX)
    malformed[owner[1:][owner[1:] == owner[:-1]]] = True
    malformed[minus_owner[minus != starts[minus_owner]]] = True
    malformed[owner[data[np.maximum(points - 1, 0)] - 48 > 9]] = True
    if malformed.any():
        index = int(np.flatnonzero(malformed)[0])
        raise DecimalError(index, _complaint(text[starts[index] : ends[index]]))
    values = np.fromstring(text.replace(b".", b""), dtype=np.int64, sep=",")
    assert len(values) == len(ends), "every well-formed token is read"
    return values, decimals


def finer(digits: Int64, decimals: Int64, wanted: int) -> NDArray[np.bool_]:
    """Which numbers have a part below 10^-wanted, bool[n]."""
    down = _POWERS[np.clip(decimals - wanted, 0, DIGITS_MAX)]
    return np.asarray((digits % down != 0) | ((decimals - wanted > DIGITS_MAX) & (digits != 0)))


def scale(
    digits: Int64, decimals: Int64, wanted: int, *, what: str = "number", cut: NDArray[np.bool_] | None = None
) -> Int64:
    """digits x 10^-decimals as whole units of 10^-wanted, int64[n].

    Raises DecimalError when a number is finer (but where `cut`, the finer part of a positive number is dropped) or too
    large; its index counts the numbers given.
    """
    shift = wanted - decimals
    too_fine = finer(digits, decimals, wanted)
    if cut is not None:
        too_fine &= ~cut
    up = _POWERS[np.clip(shift, 0, DIGITS_MAX)]
    # The largest product that an int64 holds, by whole division.
    too_large = np.abs(digits) > np.iinfo(np.int64).max // up
    bad = too_fine | too_large
    if bad.any():
        index = int(np.flatnonzero(bad)[0])
        text = format(Decimal(int(digits[index])).scaleb(-int(decimals[index])), "f")
        trouble = f"more than {wanted} decimals" if too_fine[index] else "too many digits"
        raise DecimalError(index, f"{what} {text} has {trouble}")
    return np.where(shift >= 0, digits * up, digits // _POWERS[np.clip(-shift, 0, DIGITS_MAX)])


def _without_exponents(text: bytes) -> bytes:
    tokens = text.split(b",")
    for index, token in enumerate(tokens):
        if not _PLAIN.match(token):
            if not _EXPONENT.match(token):
                raise DecimalError(index, _complaint(token))
            plain = format(Decimal(token.decode("ascii")), "f").encode()
            if len(plain) > DIGITS_MAX + 2:
                raise DecimalError(index, _complaint(token))
            tokens[index] = plain
    return b",".join(tokens)


def _complaint(token: bytes) -> str:
    shown = token[:40].decode("ascii", "backslashreplace")
    return f'"{shown}" is not a decimal number of at most {DIGITS_MAX} digits'
