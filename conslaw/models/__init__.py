"""What is trained: a scalar potential, written once as array code."""
