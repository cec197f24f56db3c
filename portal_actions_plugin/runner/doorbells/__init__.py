"""Doorbells on Redis that are not simply ours: of other portals, of the version before, and what Redis answers."""
