"""The embedded exchange: the venue's kernel behind the venue's own wire."""
