"""The whole stack in the embedded world: camera to wheels, calm, under load, and with faults."""
