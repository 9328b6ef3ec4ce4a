"""The embedded MuJoCo world: scenarios, robot, sensors."""
