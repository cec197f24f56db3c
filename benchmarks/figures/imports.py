"""How long a new process takes to import the plugin and to set it up."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from benchmarks.effort import Effort, Values
from benchmarks.rig import Rig

_TIMES = 7
_PROGRAM = """\
import time
began = time.perf_counter()
import flask
after_flask = time.perf_counter()
import portal_actions_plugin
from benchmarks.host import create_host
app = create_host()
app.config.update(SECRET_KEY="x", PORTAL_ACTIONS_DATABASE_URL=%r, PORTAL_ACTIONS_REDIS_URL=%r)
plugin = portal_actions_plugin.PortalActions()
plugin.identity_loader(lambda: None)
plugin.init_app(app)
ended = time.perf_counter()
print(ended - began, ended - after_flask)
"""


def measure(rig: Rig, effort: Effort) -> Values:
    """Milliseconds, with Flask and beyond it; a value for each process."""
    program = _PROGRAM % (rig.database_url, rig.redis_url)
    found: dict[str, list[float]] = {"import and init_app": [], "import and init_app, beyond Flask": []}
    for _ in range(_TIMES if effort.rounds > 1 else 3):
        ran = subprocess.run(
            [sys.executable, "-c", program],
            env=rig.environment,
            cwd=Path(__file__).parents[2],
            stdout=subprocess.PIPE,
            check=True,
            text=True,
        )
        for values, seconds in zip(found.values(), ran.stdout.split(), strict=True):
            values.append(float(seconds) * 1000)
    return found
