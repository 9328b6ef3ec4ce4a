"""Whether the robot stops, and stays, whatever fails between an operator and its wheels."""
