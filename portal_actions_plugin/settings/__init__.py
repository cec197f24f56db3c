"""Every setting, and how its value is read."""
