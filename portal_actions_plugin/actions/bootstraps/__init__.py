"""What the bootstrap actions write: files of other tools, in words of their own fields."""
