"""Benchmarks: each measures one thing and returns figures for a table and for JSON."""
