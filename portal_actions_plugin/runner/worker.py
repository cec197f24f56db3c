"""A worker: hears doorbells on one RQ queue, and has a job process make what they ring for."""

from __future__ import annotations

import logging
import time

from flask import Flask
from redis.exceptions import RedisError

from portal_actions_plugin.extension import extension
from portal_actions_plugin.runner.doorbells.listener import DoorbellListener, listen, still_due, tell_of_foreign
from portal_actions_plugin.runner.liveness.pulse import Doing, Pulse
from portal_actions_plugin.runner.liveness.vitals import Vitals
from portal_actions_plugin.runner.liveness.watchdog import Watchdog
from portal_actions_plugin.runner.prefork import Prefork
from portal_actions_plugin.runner.process.connections import Connections
from portal_actions_plugin.runner.process.forking import adopt_orphans
from portal_actions_plugin.runner.process.interruptions import StopRequest
from portal_actions_plugin.runner.process.rehearsal import rehearse
from portal_actions_plugin.runner.teller import Teller
from portal_actions_plugin.runs.news.delivery import deliver_by
from portal_actions_plugin.runs.news.redis_names import NamespaceUnknownError
from portal_actions_plugin.storage import away

log = logging.getLogger(__name__)

WAIT_FOR_REDIS = 1.0
WAIT_FOR_DATABASE = 5.0


def doorbell(run_id: str) -> None:
    """What a job on RQ is named after, by this function's very path. RQ's own workers must never run it.

    Raises:
        RuntimeError: always: a foreign worker has heard it, which would know nothing of leases.
    """
    raise RuntimeError(f"The wake-up for run {run_id} was heard by a foreign worker: run `flask actions worker`.")


def work(app: Flask, queue: str, place: str, connections: Connections, pulse: Pulse) -> None:
    """Be the worker at a place until told to stop; returns once the running step is finished.

    Args:
        app: the host's app.
        queue: what it hears, as settings name it.
        place: its name, for people.
        connections: of this process to databases.
        pulse: where its supervisor sees that its loop turns.
    """
    stop = StopRequest()
    adopt_orphans()
    with app.app_context(), Watchdog(f"the worker {place}", extension().config.stall_seconds) as watchdog:
        vitals = Vitals(pulse, watchdog)
        rehearse()
        teller = Teller(app, connections, watchdog)
        deliver_by(teller)
        prefork = Prefork(app, queue, place, connections, vitals, teller)
        listener: DoorbellListener | None = None
        while not stop.calm:
            try:
                vitals.turn(Doing.STARTING if listener is None else pulse.doing)
                tell_of_foreign(queue)
                listener = listener or listen(queue)
                teller.turn()
                prefork.stand_by()
                vitals.turn(Doing.STANDING_BY)
                run_id = listener.hear()
                if run_id and not still_due([run_id]):
                    listener.drop_stale()
                    continue
            except NamespaceUnknownError as error:
                away.tell(log, "nobody can listen yet", str(error))
                time.sleep(WAIT_FOR_DATABASE)
                continue
            except RedisError as error:
                log.warning("Redis is away, trying again: %s", error)
                vitals.turn(Doing.REDIS_AWAY)
                time.sleep(WAIT_FOR_REDIS)
                continue
            if run_id:
                prefork.run(run_id, stop)
        prefork.dismiss()
        teller.end(watchdog.turned)
        if listener:
            listener.leave()
