"""A run that leaves no trace: a process that does it before it forks spares its children the making of every statement."""

from __future__ import annotations

import logging
from uuid import uuid4

from sqlalchemy.exc import DBAPIError

from portal_actions_plugin.runner.attempt import record
from portal_actions_plugin.runner.attempt.following import LastStep
from portal_actions_plugin.runner.attempt.prepare import Performer, PreparedAttempt, prepare
from portal_actions_plugin.runner.attempt.queued_run import next_queued_run, read_queued_run
from portal_actions_plugin.runs.changes import claims, due, log_lines, transitions
from portal_actions_plugin.runs.changes.log_lines import Line
from portal_actions_plugin.runs.changes.steps import begin_step, prepare_step, queue_step
from portal_actions_plugin.runs.changes.transitions import Result
from portal_actions_plugin.runs.course import Course
from portal_actions_plugin.runs.secrets.redaction import Redactor
from portal_actions_plugin.software_templates.spec import Step, Template
from portal_actions_plugin.storage import away
from portal_actions_plugin.storage.sessions import Transaction, database, new_id

log = logging.getLogger(__name__)

_NOBODY = "system:rehearsal"
_TEMPLATE = Template(
    name="rehearsal",
    title="Rehearsal",
    description="",
    tags=(),
    owner="",
    type="",
    parameters=(),
    steps=tuple(Step(name, name, "debug.log@v1", {"message": "${{ context.runId }}"}) for name in ("one", "two")),
    output={},
    permissions=(),
    version="",
)


def rehearse() -> None:
    """Take a template run of two steps from its start to its end, and undo it.

    Making a statement takes SQLAlchemy longer than running it, and what is made is kept for the process and its children.
    """
    try:
        with database().rehearsing() as tx:
            _play(tx)
    except DBAPIError as error:
        away.bear(error, log, "no rehearsal, the first run takes a little longer")


def _play(tx: Transaction) -> None:
    performer, redactor = Performer(str(uuid4()), "rehearsal"), Redactor()
    course = Course(new_id(), _TEMPLATE, {}, _NOBODY, _NOBODY)
    _accept(tx, course)
    step = prepare_step(course, 0)
    run = read_queued_run(tx, queue_step(tx, step))
    if run is None:
        raise AssertionError("a row that was just inserted is there")
    first = prepare(run, performer, redactor)
    due.oldest(tx, step["queue"], 1)
    claims.claim(tx, first.claim)
    _speak(tx, first)
    record.succeed(tx, first, Result())
    step = prepare_step(course, 1)
    second = prepare(next_queued_run(run, course, step), performer, redactor)
    begin_step(tx, step, second.claim)
    record.succeed_last(tx, second, Result(), LastStep({}))


def _accept(tx: Transaction, course: Course) -> None:
    values = {
        "template": course.template.name,
        "title": course.template.title,
        "template_version": course.template.version,
        "definition": course.template.snapshot(),
        "inputs": dict(course.inputs),
        "requested_by": course.requested_by,
        "requester_name": course.requester_name,
    }
    transitions.accept_template_run(tx, course.run_id, values)


def _speak(tx: Transaction, attempt: PreparedAttempt) -> None:
    line = Line(attempt.run.ref.id, attempt.claim.process_token, 1, 1, "info", "")
    log_lines.add(tx, line)
    log_lines.add_all(tx, [line])
