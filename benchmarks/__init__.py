"""Measurements; `make bench`."""
