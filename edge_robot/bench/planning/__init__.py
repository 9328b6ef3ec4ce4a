"""Our planners beside others: on maps of floors, in BARN's worlds, among people."""
