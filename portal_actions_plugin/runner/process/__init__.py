"""A job process: its life, its worker's view of it, and what keeps it apart from others."""
