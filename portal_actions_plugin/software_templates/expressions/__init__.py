"""Expressions in templates: what they may call, in which bounds, and how they are rendered."""
