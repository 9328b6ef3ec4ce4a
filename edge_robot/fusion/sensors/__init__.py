"""What each sensor should measure of a state: one module per kind, with derivatives."""
