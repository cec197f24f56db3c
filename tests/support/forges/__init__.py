"""Doubles of real forges over real sockets: what they share lies here, each forge in a folder of its own.

They are written after the forges' documentation and use nothing of the package that is tested: a double by a client's
author would only repeat the author's mistakes.
"""
