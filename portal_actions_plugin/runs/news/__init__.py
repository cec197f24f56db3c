"""What is told after a commit: a worker by RQ, the host by signals, web processes by pub/sub. Losing any of it loses nothing."""
