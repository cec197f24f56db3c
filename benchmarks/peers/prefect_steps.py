"""Three steps on Prefect: a flow of three tasks, served by a runner that runs two at once."""

from __future__ import annotations

import sys

import drive
from prefect import flow, get_run_logger, task
from prefect.deployments import run_deployment


@task
def step(message: str) -> None:
    get_run_logger().info(message)


@task
def last(run_id: str) -> None:
    get_run_logger().info(run_id)
    drive.ended(run_id)


@flow
def three_steps(run_id: str) -> None:
    step("one")
    step("two")
    last(run_id)


def start(run_id: str) -> None:
    run_deployment("three-steps/benchmark", parameters={"run_id": run_id}, timeout=0)


if __name__ == "__main__":
    if sys.argv[1] == "serve":
        three_steps.serve(name="benchmark", limit=2)
    else:
        drive.main(start)
