"""Hearing doorbells on Redis: ours, those of other portals, those of the version before; and what of trouble is Redis'."""
