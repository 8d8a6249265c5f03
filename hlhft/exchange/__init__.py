"""The embedded exchange: the venue kernel behind Hyperliquid's API, in one process, deterministic for a seed."""
