"""Numbers, addresses, client order ids and times as the wire writes them, and back into whole units, exactly.

Requests carry decimal text without trailing zeros (the signature is over the text), answers keep at least one decimal
(venue reference section 5.3 and appendix C). Every text has a greatest length; what is refused carries a fault, which
the caller puts into the venue's words.
"""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass
from decimal import Decimal
from enum import IntEnum

from hlhft.units import decimal_text

NS_PER_MS = 1_000_000
MS_MAX = (2**63 - 1) // NS_PER_MS  # what is a time in nanoseconds in 64 bits
CLOID_MAX = 2**128 - 1
ZERO_ADDRESS = "0x" + 40 * "0"

_CANONICAL = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]*[1-9])?\Z", re.ASCII)
_PADDED = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)\Z", re.ASCII)
_EXPONENT = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)[eE][+-]?[0-9]{1,3}\Z", re.ASCII)
_ADDRESS = re.compile(r"0x[0-9a-fA-F]{40}\Z", re.ASCII)
_CLOID = re.compile(r"0x[0-9a-fA-F]{32}\Z", re.ASCII)


class WireFault(IntEnum):
    """Why a value of a request is refused."""

    NOT_TEXT = 1  # of another type than the wire wants there
    MALFORMED = 2  # no number, address or client order id; NaN and infinities are no numbers
    TOO_LONG = 3  # longer than any such text
    NEGATIVE = 4
    EXPONENT = 5  # a number in scientific notation
    PADDED = 6  # trailing or leading zeros, a plus sign, a bare point: not the form that is signed
    TOO_FINE = 7  # more decimals than the unit has
    TOO_LARGE = 8


class WireError(ValueError):
    """A value that the wire does not carry there; `fault` says why."""

    def __init__(self, fault: WireFault, message: str) -> None:
        self.fault = fault
        super().__init__(message)


@dataclass(frozen=True, slots=True, kw_only=True)
class NumberRules:
    """Which forms of a number in a request are taken.

    That trailing zeros break the signature is documented (venue reference section 2); what the venue says to other
    forms is unverified, so it is a setting.
    """

    padded: bool = False  # trailing zeros, leading zeros, a plus sign, a bare point
    exponents: bool = False
    characters_max: int = 48


NUMBERS_MAX = 16_384  # texts that are remembered: a book says the same prices again and again
STRICT = NumberRules()
# Amounts and rates of user-signed actions are signed as the text they are, so no form of them breaks a signature.
PADDED = NumberRules(padded=True)


@functools.lru_cache(maxsize=NUMBERS_MAX)
def answer_number(units: int, decimals: int) -> str:
    """`units` x 10^-decimals as the venue writes it: plain notation, at least one decimal ("1500.0", "0.00001")."""
    text = decimal_text(units, decimals)
    return text if "." in text else text + ".0"


def read_number(text: object, decimals: int, *, maximum: int, rules: NumberRules = STRICT) -> int:
    """The number of a request in whole units of 10^-decimals, 0 .. `maximum`, exact.

    A negative zero is zero. Raises WireError, with the first fault that applies in the order of: type, length, form,
    sign, decimals, size.
    """
    if not isinstance(text, str):
        raise WireError(WireFault.NOT_TEXT, f"a number is text here, not {type(text).__name__}")
    if len(text) > rules.characters_max:
        raise WireError(WireFault.TOO_LONG, f"a number has at most {rules.characters_max} characters, not {len(text)}")
    plain = text if _CANONICAL.match(text) else _plain(text, rules)
    whole, _, fraction = plain.lstrip("+-").partition(".")
    fraction = fraction.rstrip("0")
    if plain.startswith("-") and (whole.strip("0") or fraction):
        raise WireError(WireFault.NEGATIVE, f"{text} is negative")
    if len(fraction) > decimals:
        raise WireError(WireFault.TOO_FINE, f"{text} has more than {decimals} decimals")
    units = int((whole + fraction.ljust(decimals, "0")) or "0")
    if units > maximum:
        raise WireError(WireFault.TOO_LARGE, f"{text} is above {decimal_text(maximum, decimals)}")
    return units


def read_address(value: object) -> str:
    """The address in lower case. Raises WireError when it is no text of 0x and 40 hex digits."""
    return _hex_text(value, _ADDRESS, "an address is 0x and 40 hex digits")


def read_cloid(value: object) -> int:
    """The client order id as a number, 0 .. CLOID_MAX. Raises WireError when it is no text of 0x and 32 hex digits."""
    return int(_hex_text(value, _CLOID, "a client order id is 0x and 32 hex digits"), 16)


def cloid_text(cloid: int) -> str:
    """The client order id as the wire writes it, lower-case. `cloid` lies in 0 .. CLOID_MAX."""
    assert 0 <= cloid <= CLOID_MAX, "a client order id has 128 bits"
    return f"0x{cloid:032x}"


def ms_of(ns: int) -> int:
    """Nanoseconds as the wire's milliseconds, rounded down."""
    return ns // NS_PER_MS


def ns_of(ms: int) -> int:
    """The wire's milliseconds in nanoseconds. `ms` lies in 0 .. MS_MAX."""
    return ms * NS_PER_MS


def _plain(text: str, rules: NumberRules) -> str:
    """Another form of a number in plain notation, when the rules take it. Raises WireError when not."""
    if _PADDED.match(text):
        if not rules.padded:
            raise WireError(WireFault.PADDED, f"{text} is not in the form that is signed")
        return text
    if _EXPONENT.match(text):
        if not rules.exponents:
            raise WireError(WireFault.EXPONENT, f"{text} is in scientific notation")
        return format(Decimal(text), "f")
    raise WireError(WireFault.MALFORMED, f"{text!r} is not a number")


def _hex_text(value: object, pattern: re.Pattern[str], meaning: str) -> str:
    if not isinstance(value, str):
        raise WireError(WireFault.NOT_TEXT, f"{meaning}, not {type(value).__name__}")
    if not pattern.match(value):
        raise WireError(WireFault.MALFORMED, f"{meaning}, not {value[:48]!r}")
    return value.lower()
