"""How it is trained: a state space and vector fields on it."""
