"""Market making on Hyperliquid: one deterministic core, driven live, on paper, in backtests and under faults."""

__version__ = "0.1.0"
