"""What a mining will cost, before it begins: bytes and requests at the list prices of who stores them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal

from hlhft.data.mining.keys import ARCHIVE, NODE, Bucket, Listed

PRICES_OF = "AWS S3 list prices as known in mid-2025: us-east-1, and ap-northeast-1 for fills"
GIGABYTE = 10**9
# By bucket, since its region decides: US dollars a gigabyte sent to the internet (the first 10 TB of a month), a GET
# and a LIST request. Inside the bucket's own region sending is free, in other regions of AWS it costs less.
EGRESS_USD_PER_GB: Mapping[Bucket, Decimal] = {ARCHIVE: Decimal("0.09"), NODE: Decimal("0.114")}
GET_USD: Mapping[Bucket, Decimal] = {ARCHIVE: Decimal("0.0000004"), NODE: Decimal("0.00000037")}
LIST_USD: Mapping[Bucket, Decimal] = {ARCHIVE: Decimal("0.000005"), NODE: Decimal("0.0000047")}


@dataclass(frozen=True, slots=True)
class Cost:
    """What some objects cost to fetch."""

    objects: int
    size_bytes: int
    usd: Decimal

    @property
    def text(self) -> str:
        """Dollars and cents, rounded up: less than a cent is a cent."""
        return f"${self.usd.quantize(Decimal('0.01'), rounding='ROUND_CEILING')}"


def cost_of(objects: Iterable[Listed], usd_per_gb: Decimal | None = None) -> Cost:
    """Of fetching each object once; `usd_per_gb` takes the place of the list prices for what is sent."""
    count = size_bytes = 0
    usd = Decimal(0)
    for one in objects:
        per_gb = EGRESS_USD_PER_GB[one.bucket] if usd_per_gb is None else usd_per_gb
        usd += per_gb * one.size_bytes / GIGABYTE + GET_USD[one.bucket]
        size_bytes += one.size_bytes
        count += 1
    return Cost(count, size_bytes, usd)


def size_text(size_bytes: int) -> str:
    """A number of bytes for people: as bytes below a kilobyte, else with one decimal in kB, MB or GB."""
    if size_bytes < 1000:
        return f"{size_bytes} bytes"
    for unit, factor in (("kB", 10**3), ("MB", 10**6)):
        if size_bytes < 999.95 * factor:
            return f"{size_bytes / factor:.1f} {unit}"
    return f"{size_bytes / GIGABYTE:.1f} GB"
