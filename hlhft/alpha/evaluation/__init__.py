"""How good a model's probabilities are, beside simple rules, after costs, and how much of that is luck."""
