"""Everything that pages, API and commands read of runs."""
