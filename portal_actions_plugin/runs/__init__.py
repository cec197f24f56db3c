"""Runs: their states, how they change, who may start them, and everything that is read of them."""
