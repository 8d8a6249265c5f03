"""Quoting strategies: each one small compiled function with declared parameters and memory."""
