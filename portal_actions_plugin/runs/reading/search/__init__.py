"""Lists by words and names: which runs have them, newest first, by looking at a bounded number of rows."""
