"""The warehouses of the scenarios in Gazebo, as SDF, and what moves and judges in them."""
