"""The page of a run: what it shows, and what the run has given in the end."""
