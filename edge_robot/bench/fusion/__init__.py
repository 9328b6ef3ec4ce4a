"""How good tracks are, and how fast: filters, recorded drives, sensors together, two robots."""
