"""What one measurement does to the tracks: a module for each kind of sensor."""
