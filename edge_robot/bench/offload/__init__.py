"""The fleet bridge under faults, over bad links, and beside bare calls and other policies."""
