"""What is proved, written down, and checked again by other code."""
