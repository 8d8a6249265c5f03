"""Models and policies: features, labels, training, honest evaluation, and the process that serves them."""
