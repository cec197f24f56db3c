"""What actions talk to: source code management."""
