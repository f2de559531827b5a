"""Routes to conservation laws, each with an estimate of its work, and the plan that follows them."""
