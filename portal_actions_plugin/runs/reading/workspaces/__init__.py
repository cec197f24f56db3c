"""A run's workspace as people see it."""
