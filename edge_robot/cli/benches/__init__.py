"""The commands of `edge-robot bench`, by what they measure."""
