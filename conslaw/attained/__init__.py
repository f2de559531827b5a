"""Near one's own weights: whether a network has all the gradients that its parametrisation allows."""
