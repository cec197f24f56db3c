"""``/metrics``, for a Prometheus that sends the admin's token."""

from __future__ import annotations

from flask import Flask, Response, abort
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest

from demo_portal import people
from portal_actions_plugin.metrics import collector

ADMIN = "platform-admin"


def init_app(app: Flask) -> None:
    """Register a collector, which asks nothing yet, and add the page."""
    registry = CollectorRegistry()
    registry.register(collector(app))

    @app.get("/metrics")
    def metrics() -> Response:
        person = people.signed_in()
        if person is None or person.role != ADMIN:
            abort(403)
        return Response(generate_latest(registry), content_type=CONTENT_TYPE_LATEST)
