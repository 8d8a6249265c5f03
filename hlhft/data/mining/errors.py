"""What keeps a mining from being begun or from going on, each as one sentence with what to do."""

from __future__ import annotations


class WishError(Exception):
    """What was asked for cannot be mined: dates or coins that are not there. Wrong use."""


class MiningError(Exception):
    """The environment keeps the archive from being read or the catalogue from being written. Nothing is tried again."""


class ObjectError(Exception):
    """One object cannot be had or decoded; the others can. The sentence names it."""
