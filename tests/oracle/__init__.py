"""What Backstage's own engine says: recorded in ``tables``, compared with ours by tests that need no Node.

``python -m tests.oracle.record`` asks it again after a change of the questions. ``make nightly`` asks it live.
"""
