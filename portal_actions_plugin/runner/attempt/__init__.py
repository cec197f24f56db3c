"""One attempt of one action run: prepared, executed, recorded."""
