"""Three steps on Celery, in its defaults, with and without a result backend."""

from __future__ import annotations

import logging
import os

import drive
from celery import Celery, chain

log = logging.getLogger(__name__)

app = Celery(broker=os.environ["PEER_BROKER"], backend=os.environ.get("PEER_BACKEND"))
app.conf.task_ignore_result = "PEER_BACKEND" not in os.environ


@app.task(name="step")
def step(message: str) -> None:
    log.info(message)


@app.task(name="last")
def last(run_id: str) -> None:
    log.info(run_id)
    drive.ended(run_id)


def start(run_id: str) -> None:
    chain(step.si("one"), step.si("two"), last.si(run_id)).apply_async()


if __name__ == "__main__":
    drive.main(start)
