"""What templates may call: filters, tests and methods."""
