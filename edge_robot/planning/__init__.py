"""Map, tracks and goal in, trajectory out."""
