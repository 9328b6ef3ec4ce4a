"""The `edge-robot` command."""
