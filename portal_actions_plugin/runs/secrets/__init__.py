"""Secrets of a run: sealed at rest, masked in what it writes, and what may be stored at all."""
