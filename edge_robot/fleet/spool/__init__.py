"""Store and forward: what the robot has to tell is kept on its disk until the archive has it."""
