"""What belongs to a run and is read by itself: the items of its steps, and its logs."""
