"""Measures Portal Actions on one machine, in one run: ``make bench``, or ``python -m benchmarks --help``."""
