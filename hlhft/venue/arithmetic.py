"""Products and quotients of whole numbers that would not fit 64 bits on the way."""

from __future__ import annotations

from hlhft.compiled import compiled

EXACT_MAX = 2**62


@compiled
def multiply_divide(first, second, divisor):
    """first x second / divisor, truncated toward zero, exact however large the product is.

    |first|, |second| and the result below 2^62, 0 < divisor < 2^62.
    """
    left = abs(first)
    right = abs(second)
    if right == 0 or left <= EXACT_MAX // right:
        result = left * right // divisor
    else:
        result = left // divisor * right + _fraction_of(left % divisor, right, divisor)
    return -result if (first < 0) != (second < 0) else result


@compiled
def _fraction_of(part, right, divisor):
    """part x right // divisor for part < divisor: long multiplication that divides as it goes, 62 binary digits."""
    quotient = 0
    remainder = 0
    for digit in range(61, -1, -1):
        quotient *= 2
        remainder *= 2
        if remainder >= divisor:
            remainder -= divisor
            quotient += 1
        if right >> digit & 1:
            remainder += part
            if remainder >= divisor:
                remainder -= divisor
                quotient += 1
    return quotient
