"""The brain: book, features, strategy, order table, risk, budgets and batching; pure, compiled, deterministic."""
