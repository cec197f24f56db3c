"""What steps with ``each`` go through: their lists, worked out once and kept, and the item that is next."""
