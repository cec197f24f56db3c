"""What the runs of the chaos tests do, and templates that mix it. Every effect leaves a line in a file."""

from __future__ import annotations

import json
import os
import time
import uuid
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from marshmallow import Schema, fields

from portal_actions_plugin.actions.context import ActionContext
from portal_actions_plugin.actions.registry import action
from portal_actions_plugin.errors import ConflictError, RateLimitedError, RemoteError, ValidationError
from portal_actions_plugin.runs.guards.forge_pauses import ForgePauses

REPEATABLE = "chaos.idempotent@v1"
ONCE = "chaos.once@v1"
REFUSED = "chaos.refused@v1"
LOCKED = "chaos.locked@v1"
PICKY = "chaos.picky@v1"

MANY = 15
"""Attempts of what may be repeated: chaos takes many, and a run that has used them up proves nothing."""

PATIENCE_SECONDS = 240
"""What a handler may take: on SQLite a process that is stopped in a transaction keeps all others from writing, for seconds."""

TEMPLATE = """\
apiVersion: portal-actions/v1
kind: Template
metadata: {{name: {name}, title: {name}}}
spec:
  owner: team:platform
  type: service
  parameters:
    - required: [key, seconds, nonce]
      properties:
        key: {{type: string}}
        seconds: {{type: number}}
        nonce: {{type: string}}
  steps:
{steps}
"""
STEP = """\
    - id: {id}
      name: {id}
      action: {action}
      input: {{key: "${{{{ parameters.key }}}}", seconds: "${{{{ parameters.seconds{share} }}}}", before: {before}{more}}}
"""
TEMPLATES = {
    "chaos-plain": (REPEATABLE, LOCKED, REPEATABLE),
    "chaos-flaky": ("chaos.flaky@v1", REPEATABLE, LOCKED),
    "chaos-once": (ONCE, REPEATABLE, "chaos.flaky@v1"),
    "chaos-refused": (REPEATABLE, LOCKED, REFUSED),
    "chaos-cleanup": (REPEATABLE, REFUSED, LOCKED),
    "chaos-always": (REPEATABLE, ONCE, LOCKED),
    "chaos-items": (LOCKED, PICKY, LOCKED),
    "chaos-beside": (LOCKED, ONCE, LOCKED),
    "chaos-swept": (REPEATABLE, REFUSED, REPEATABLE),
    "chaos-mended": (REPEATABLE, PICKY, REPEATABLE),
}

WRITING = (REPEATABLE, PICKY)
"""They say what they find in the workspace, and leave something there."""


@dataclass(frozen=True)
class Items:
    """A step with ``each``: its place, what it goes through, and how many of that are done at a time."""

    position: int
    values: tuple[str, ...]
    concurrency: int = 1


ITEMS = {
    "chaos-items": Items(1, ("a", "b", "c")),
    "chaos-beside": Items(1, ("a", "b", "c", "d"), 2),
    "chaos-swept": Items(2, ("a", "b", "c")),
    "chaos-mended": Items(1, ("a", "b", "c")),
}
REFUSED_ITEM = "b"
"""Of what ``picky`` does: the first run that comes to it fails there, and the one that resumes that one does not."""

RESUMED = ("chaos-items", "chaos-beside", "chaos-mended")
"""Whenever a run of them has failed, somebody resumes it."""

FETCHING = "chaos-mended"
"""Its first step reads what lies beside it."""
BESIDE = {"hello.txt": b"hello"}

CLEANING = ("chaos-cleanup", "chaos-always", "chaos-swept", "chaos-mended")
"""Their last step always runs once the first has succeeded, whatever became of the second."""
STEP_IDS = ("one", "two", "three")


def place_before(template: str, position: int) -> int | None:
    """The place of the step whose output a step is given; None for the first."""
    if not position:
        return None
    return 0 if template in CLEANING else position - 1


def write_templates(folder: Path) -> None:
    (folder / "beside").mkdir()
    for path, content in BESIDE.items():
        (folder / "beside" / path).write_bytes(content)
    for name, actions in TEMPLATES.items():
        steps = ""
        for position, (step, action_id) in enumerate(zip(STEP_IDS, actions, strict=True)):
            given = place_before(name, position)
            before = '"nothing"' if given is None else f'"${{{{ {_made_by(name, given)} }}}}"'
            items = items_at(name, position)
            more = ', item: "${{ each.value }}", nonce: "${{ parameters.nonce }}"' if items else ""
            more += ", skeleton: ./beside" if name == FETCHING and position == 0 else ""
            share = f" / {len(items.values)}" if items else ""
            steps += STEP.format(id=step, action=action_id, before=before, more=more, share=share)
            if items:
                steps += f"      each: {json.dumps(items.values)}\n"
                steps += f"      concurrency: {items.concurrency}\n" if items.concurrency > 1 else ""
            if name in CLEANING and position == len(STEP_IDS) - 1:
                steps += '      if: "${{ always() and steps.one.output.made }}"\n'
        (folder / f"{name}.yaml").write_text(TEMPLATE.format(name=name, steps=steps))


def items_at(template: str, position: int) -> Items | None:
    """What a step goes through; None for a step without ``each``."""
    items = ITEMS.get(template)
    return items if items and items.position == position else None


def _made_by(template: str, position: int) -> str:
    made = f"steps.{STEP_IDS[position]}.output.made"
    return f"{made} | join(',')" if items_at(template, position) else made


def append(file: str, **line: Any) -> None:
    """Add a line to a file that many processes write, at a clock that all of them share."""
    at = time.monotonic()
    out = os.open(Path(os.environ["CHAOS_FOLDER"]) / file, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    try:
        os.write(out, (json.dumps({"at": at, "pid": os.getpid(), **line}) + "\n").encode())
    finally:
        os.close(out)


def effect(ctx: ActionContext, event: str, **more: Any) -> None:
    """Do something that shows, as a handler does it to a forge: only after a look at whose run it is."""
    looked_at = time.monotonic()
    ctx.recorder.ensure_ours()
    run = ctx.run
    append(
        "effects",
        event=event,
        looked_at=looked_at,
        run=run.template_run_id,
        action_run=run.id,
        action=run.action,
        attempt=run.attempt,
        **more,
    )


class Work(Schema):
    key = fields.String(required=True)
    seconds = fields.Float(required=True)
    before = fields.String(required=True)
    item = fields.String(load_default="")
    nonce = fields.String(load_default="")
    skeleton = fields.String(load_default="")


def work(ctx: ActionContext, seconds: float, **more: Any) -> dict[str, Any]:
    """Touch everything that a handler can write to the database, between two effects."""
    effect(ctx, "begin", **more)
    ctx.log("begun")
    ctx.progress(1, 2)
    made = ctx.checkpoint("made", lambda: uuid.uuid4().hex)
    effect(ctx, "made", made=made)
    ctx.link("What was made", f"https://example.com/{made}")
    time.sleep(seconds)
    ctx.log("done")
    effect(ctx, "end", made=made, **more)
    return {"made": made, "attempt": ctx.run.attempt}


@action(
    REPEATABLE,
    title="Repeatable",
    input=Work,
    idempotent=True,
    timeout=PATIENCE_SECONDS,
    max_attempts=MANY,
    workspace="writes",
)
def idempotent(
    ctx: ActionContext, *, key: str, seconds: float, before: str, item: str, skeleton: str, **_more: str
) -> dict[str, Any]:
    if skeleton and [(one.path, one.content) for one in ctx.skeleton(skeleton)] != list(BESIDE.items()):
        raise AssertionError(f"{ctx.skeleton(skeleton)} is not what lies beside the template")
    return work_on_files(ctx, seconds, item, before=before, files=found_files(ctx, item))


SHARED = "shared"
"""The file that each of them writes, with its step's id."""


def own_file(step_id: str, item: str) -> str:
    """The file that a step leaves, or an item of one."""
    return f"{step_id}-{item}" if item else step_id


def own_words(outputs: Mapping[str, Any]) -> str:
    """What is in that file when a step has made this."""
    return f"{outputs['made']} {outputs['attempt']}"


def found_files(ctx: ActionContext, item: str) -> dict[str, str]:
    """What is in the workspace; begins to write there."""
    found = {one.path: ctx.workspace.path(one.path).read_text() for one in ctx.workspace.files()}
    ctx.workspace.path(SHARED).write_text(str(ctx.run.step_id))
    ctx.workspace.path(own_file(str(ctx.run.step_id), item)).write_text("begun")
    return found


def work_on_files(ctx: ActionContext, seconds: float, item: str, **more: Any) -> dict[str, Any]:
    outputs = work(ctx, seconds, **more)
    ctx.workspace.path(own_file(str(ctx.run.step_id), item)).write_text(own_words(outputs))
    return outputs


@action(ONCE, title="Not repeatable", input=Work, idempotent=False, timeout=PATIENCE_SECONDS, max_attempts=MANY)
def once(ctx: ActionContext, *, key: str, seconds: float, before: str, **_more: str) -> dict[str, Any]:
    return work(ctx, seconds, before=before)


@action("chaos.flaky@v1", title="Fails twice", input=Work, idempotent=True, timeout=PATIENCE_SECONDS, max_attempts=MANY)
def flaky(ctx: ActionContext, *, key: str, seconds: float, before: str, **_more: str) -> dict[str, Any]:
    if ctx.run.attempt == 1:
        raise RemoteError("The other side is asleep.")
    if ctx.run.attempt == 2:
        ForgePauses().begin("chaos", key, 0.3)
        ForgePauses().wait("chaos", key)
        raise RateLimitedError("The other side is busy.", retry_after=0.3)
    return work(ctx, seconds, before=before)


@action(
    PICKY,
    title="Refused once",
    input=Work,
    idempotent=True,
    timeout=PATIENCE_SECONDS,
    max_attempts=MANY,
    workspace="writes",
)
def picky(
    ctx: ActionContext, *, key: str, seconds: float, before: str, item: str, nonce: str, **_more: str
) -> dict[str, Any]:
    files = found_files(ctx, item)
    if item == REFUSED_ITEM and _is_first(ctx, nonce):
        effect(ctx, "begin", before=before, files=files)
        raise ConflictError("Not in this run.")
    return work_on_files(ctx, seconds, item, before=before, files=files)


def _is_first(ctx: ActionContext, nonce: str) -> bool:
    """Whether this is the first run to come here of those that resume one another: in each of its attempts."""
    mark = Path(os.environ["CHAOS_FOLDER"]) / f"refused-{nonce}"
    with suppress(FileExistsError):
        mark.symlink_to(str(ctx.run.template_run_id))  # at once with its content, unlike a file
    return str(mark.readlink()) == ctx.run.template_run_id


def _lock(data: Mapping[str, Any]) -> str:
    return f"chaos:{data['key']}"


@action(
    LOCKED, title="One at a time", input=Work, idempotent=True, timeout=PATIENCE_SECONDS, max_attempts=MANY, lock=_lock
)
def locked(ctx: ActionContext, *, key: str, seconds: float, before: str, **_more: str) -> dict[str, Any]:
    return work(ctx, seconds, before=before, lock=key)


@action(REFUSED, title="Always refused", input=Work, idempotent=True, timeout=PATIENCE_SECONDS, max_attempts=MANY)
def refused(ctx: ActionContext, *, key: str, seconds: float, before: str, **_more: str) -> None:
    effect(ctx, "begin", before=before)
    raise ValidationError("Nobody takes this.")
