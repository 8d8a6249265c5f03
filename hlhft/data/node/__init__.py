"""One's own node: the files it writes become an order-level book, read after the fact or while they are written."""
