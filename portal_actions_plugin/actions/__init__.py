"""What can be run: the registry, what a handler gets, and the built-in actions."""
