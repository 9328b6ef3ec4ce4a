"""Which frames are worth a second opinion: predicted gain, budgets, privacy."""
