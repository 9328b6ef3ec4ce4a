"""Offers heavy work to a fleet backend and falls back the moment the link drops."""
