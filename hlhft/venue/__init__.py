"""The venue kernel: what the exchange does with orders, once, for the backtest and for the embedded exchange."""
