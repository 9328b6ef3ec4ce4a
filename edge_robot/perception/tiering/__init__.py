"""Which frames are worth a second opinion: expected gain, budgets, privacy."""
