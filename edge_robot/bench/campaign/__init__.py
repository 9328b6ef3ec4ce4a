"""Random faults in virtual time: the robot's real nodes in a corridor with people."""
