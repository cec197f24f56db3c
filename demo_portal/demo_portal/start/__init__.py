"""The start program: everything that the portal needs, on this machine only, and gone when it goes."""
