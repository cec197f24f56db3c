"""Checking a template's parameters when it is loaded, before anybody fills them in."""
