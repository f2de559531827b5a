"""Near one's own weights: whether the true gradients of a network span all that its parametrisation allows."""
