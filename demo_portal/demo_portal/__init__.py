"""A small developer portal: the reference host of Portal Actions."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from flask import Flask


def create_app() -> Flask:
    """Make the portal; the environment says where its data is, see ``settings``."""
    # Late, so that the start program stays as light as what it is: it only starts other processes.
    from demo_portal.app import create_app as make

    return make()
