"""Three steps on plain RQ, each waiting for the one before; its workers fork."""

from __future__ import annotations

import logging

import drive
from rq import Queue

log = logging.getLogger(__name__)


def step(message: str) -> None:
    log.info(message)


def last(run_id: str) -> None:
    log.info(run_id)
    drive.ended(run_id)


def start(run_id: str) -> None:
    queue = Queue(connection=drive.connection())
    first = queue.enqueue("rq_steps.step", "one")
    second = queue.enqueue("rq_steps.step", "two", depends_on=first)
    queue.enqueue("rq_steps.last", run_id, depends_on=second)


if __name__ == "__main__":
    drive.main(start)
