"""Replays recorded events through the venue kernel and the core, with latency between them."""
