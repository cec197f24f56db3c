"""What templates may call: filters, tests, methods and functions."""
