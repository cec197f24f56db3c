"""Scenarios that harm a portal from outside: ``python -m tests.outside --list`` says which, CONTRIBUTING how to write one.

Nothing but ``upgrade_under_load`` uses the other tests, or anything of the package but what a host and its operators have: settings,
commands, HTTP, hooks and signals, and the tables by plain SQL. So a scenario can be tried on the wheel of any commit.
"""
