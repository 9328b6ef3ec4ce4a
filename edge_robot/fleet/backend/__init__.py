"""The fleet backend: a server that answers the Open Inference Protocol with models."""
