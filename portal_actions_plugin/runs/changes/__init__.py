"""Every change of a run: claims, transitions, locks, steps, log lines and doorbells. Nobody else writes a status."""
