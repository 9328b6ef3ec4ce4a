"""A fast simulator in the plane: a Jackal among cylinders, thousands of drives in minutes."""
