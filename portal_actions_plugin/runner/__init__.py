"""What happens in a worker: execute a step, sweep up after deaths, and the processes themselves."""
