"""Which frames are worth a second opinion: expected gain, novelty, budgets."""
