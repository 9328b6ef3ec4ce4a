"""From an fp32 detector to an int8 one, and the proof that it is worth shipping."""
