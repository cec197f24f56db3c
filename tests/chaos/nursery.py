"""Has imported everything, and forks web processes and supervisors: importing takes longer than most of them live.

Reads a line of JSON for each: ``role``, ``command`` and ``log``; answers with its process id.
"""

from __future__ import annotations

import json
import os
import random
import signal
import sys
from typing import Any

from flask import cli

from portal_actions_plugin.runner import supervisor
from portal_actions_plugin.storage import migrations
from tests.chaos import portal

IMPORTED = (migrations, supervisor, portal)


def wait_for_orders() -> dict[str, Any]:
    """Fork a child for each order; returns it in the child only."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for them
    for line in sys.stdin:
        order: dict[str, Any] = json.loads(line)
        pid = os.fork()
        if pid == 0:
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            return order
        print(pid, flush=True)
    raise SystemExit(0)


def main() -> None:
    order = wait_for_orders()
    random.seed()
    log = os.open(order["log"], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    null = os.open(os.devnull, os.O_RDONLY)
    for source, target in ((null, 0), (log, 1), (log, 2)):
        os.dup2(source, target)
    os.environ["CHAOS_ROLE"] = order["role"]
    sys.argv = ["flask", "--app", "tests.chaos.portal", *order["command"]]
    cli.main()


if __name__ == "__main__":
    main()
