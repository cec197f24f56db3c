"""A template tried on the real state: its steps are called, what they read is real, and what they would write is kept."""
