"""What the columns of somebody else's data set are, in the words of `hlhft.alpha.schema`."""

from __future__ import annotations

import hashlib

import msgspec


class ForeignSchema(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Features that came with a data set and are not computed here: for comparison with what others published.

    The first 4 * levels columns are the book in the order of `FeatureSchema`: side bid then ask, level 0 first, price
    then size; in the set's own scale. A model of such a schema is never served: no live feed has these columns.
    """

    format: str  # as "fi-2010, z-score"
    levels: int
    names: tuple[str, ...]
    imbalance: str  # the column of the touch imbalance, -1 to 1
    half_life_ms: int = 0  # of what a column remembers beyond its row; nothing is known of it
    version: int = 1

    @property
    def columns(self) -> int:
        """F, the number of values in a row."""
        return len(self.names)

    @property
    def book_columns(self) -> int:
        """How many of the first columns are the book."""
        return 4 * self.levels

    @property
    def flow_columns(self) -> slice:
        """The columns that are not the book."""
        return slice(self.book_columns, len(self.names))

    @property
    def imbalance_column(self) -> int:
        """The column of the touch imbalance."""
        return self.names.index(self.imbalance)

    @property
    def hash(self) -> str:
        """32 hexadecimal digits over format, names and version."""
        return hashlib.blake2b(msgspec.json.encode(self), digest_size=16).hexdigest()
