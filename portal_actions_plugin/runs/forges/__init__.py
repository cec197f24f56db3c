"""What is known of forges before a run: what its steps ask of which one, and what the portal's credentials may do there."""
