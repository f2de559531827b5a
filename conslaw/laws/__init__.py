"""What training conserves: bounds from above (Lie ranks), laws from below, in the notation of the model."""
