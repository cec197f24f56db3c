"""Tests that packages of providers import: what has to hold of every forge."""
