"""What keeps a portal in shape over time: retention, what is measured, and whether it is ready."""
