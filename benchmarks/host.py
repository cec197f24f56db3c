"""The host portal of the benchmark, without the plugin: what a figure of memory is measured against."""

from __future__ import annotations

import os

from flask import Flask


def create_host() -> Flask:
    """A Flask app."""
    app = Flask("benchmark", instance_path=os.environ["BENCHMARK_FOLDER"])
    app.add_url_rule("/hello", view_func=lambda: "hello")
    return app
