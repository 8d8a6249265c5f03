"""Whole numbers: products and quotients that would not fit 64 bits on the way, and the generator of what is drawn."""

from __future__ import annotations

from hlhft.compiled import compiled

EXACT_MAX = 2**62

# L'Ecuyer's combined generator (Communications of the ACM 31, 1988): two multiplicative ones, period about 2.3e18, no
# product above 2^47, so that nothing overflows and all is the same with and without compilation.
MODULUS_1, _MULTIPLIER_1 = 2_147_483_563, 40_014
MODULUS_2, _MULTIPLIER_2 = 2_147_483_399, 40_692


@compiled
def next_state(first, second):
    """What follows a state of the generator, two numbers in 1 .. MODULUS_1 - 1 and 1 .. MODULUS_2 - 1."""
    return first * _MULTIPLIER_1 % MODULUS_1, second * _MULTIPLIER_2 % MODULUS_2


@compiled
def drawn(first, second):
    """The number that a state stands for, uniform in 0 .. MODULUS_1 - 2."""
    return (first - second) % (MODULUS_1 - 1)


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
