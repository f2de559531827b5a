"""Training runs: flows and discrete methods simulated, and the laws watched in real ones."""
