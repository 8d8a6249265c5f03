"""Known markets, as data files."""
