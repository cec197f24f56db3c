"""What stands before a start or a change: who asks, may they, how often, was it asked before, does another attempt help."""
