"""Starting runs: authorise, replay a known key, validate, limit, write. One way for everybody."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any

from portal_actions_plugin.actions.registry import no_action
from portal_actions_plugin.extension import extension
from portal_actions_plugin.host import Identity
from portal_actions_plugin.run_types import ActionRun
from portal_actions_plugin.runs.accept import (
    ACTION_RUN,
    TEMPLATE_RUN,
    Ask,
    Start,
    Started,
    accept,
    known,
    require_start_left,
    who_and_why,
)
from portal_actions_plugin.runs.changes import existing
from portal_actions_plugin.runs.changes.new_template_run import NewTemplateRun
from portal_actions_plugin.runs.changes.steps import queue_first
from portal_actions_plugin.runs.course import Course, lock_key_of
from portal_actions_plugin.runs.dictionary.of_runs import seen_of_one_off, seen_of_template_run
from portal_actions_plugin.runs.forges.needs import needs_of_action, needs_of_template
from portal_actions_plugin.runs.forges.requirements import require_forges
from portal_actions_plugin.runs.guards import access, refusals
from portal_actions_plugin.runs.guards.idempotency import IdempotencyKey, idempotency_key
from portal_actions_plugin.runs.guards.input_bounds import Size, require_bounded, require_good_secrets
from portal_actions_plugin.runs.guards.passing_rules import require_failing
from portal_actions_plugin.runs.items.lists import Due, what_is_due
from portal_actions_plugin.runs.reading import queries
from portal_actions_plugin.runs.resume import LeftOff, first_due
from portal_actions_plugin.runs.secrets.requester import ask_requester, entity_of_requester
from portal_actions_plugin.runs.secrets.sealing import masking_errors, require_secret, split_secrets
from portal_actions_plugin.runs.secrets.storable import require_storable
from portal_actions_plugin.runs.workspaces import template_files
from portal_actions_plugin.runs.workspaces.handover import as_unavailable
from portal_actions_plugin.software_templates.loader import no_template
from portal_actions_plugin.software_templates.spec import Template, validate_inputs
from portal_actions_plugin.storage.sessions import Transaction, new_id

_PLAIN = Ask()


def start_template_run(identity: Identity | None, name: str, inputs: Mapping[str, Any], ask: Ask = _PLAIN) -> Started:
    """Start a template.

    Args:
        identity: who asks.
        name: the template's name.
        inputs: its parameters by name, secrets among them or in ``ask``.
        ask: what accompanies the start.

    Raises:
        UnauthenticatedError, PermissionDeniedError: nobody asks, or may not.
        NotFoundError: there is no such template.
        ValidationError: inputs are wrong, each named; or the idempotency key was used for something else.
        TooManyStartsError: the identity's limit is reached; it names the wait.
        ConfigurationError: the template is broken, or carries a secret that this portal cannot keep.
        AuthError: a forge would refuse one of its steps: the portal's credential lacks what is named.
    """
    asker = access.require_start(
        identity,
        "template:run",
        read="template:read",
        exists=lambda: access.template_exists(name),
        event="template_run.start",
        target=name,
    )
    return start_template(asker, name, inputs, ask, event="template_run.start", retry_of=None)


def start_action_run(identity: Identity | None, action_id: str, data: Mapping[str, Any], ask: Ask = _PLAIN) -> Started:
    """Start an action as a one-off.

    Args:
        identity: who asks.
        action_id: the action's id, with its version.
        data: its input by field, secrets among it or in ``ask``.
        ask: what accompanies the start.

    Raises:
        UnauthenticatedError, PermissionDeniedError: nobody asks, or may not.
        NotFoundError: there is no such action.
        ValidationError: the input is wrong, field by field; or the idempotency key was used for something else.
        TooManyStartsError: the identity's limit is reached; it names the wait.
        ConfigurationError: the input carries a secret that this portal cannot keep.
        AuthError: a forge would refuse it: the portal's credential lacks what is named.
    """
    asker = access.require_start(
        identity,
        "action:run",
        read="action:read",
        exists=lambda: action_id in extension().registry,
        event="action_run.start",
        target=action_id,
    )
    return start_action(asker, action_id, data, ask, event="action_run.start", retry_of=None)


def start_template(
    asker: Identity,
    name: str,
    inputs: Mapping[str, Any],
    ask: Ask,
    *,
    event: str,
    retry_of: str | None,
    begin: Callable[[], LeftOff] | None = None,
) -> Started:
    """Start a template for somebody who has the permission for it as such, from its beginning or where a run left off.

    Args:
        asker: who asks; what the template and its actions demand is looked at here.
        name: the template's name.
        inputs: its parameters by name.
        ask: what accompanies the start.
        event: ``template_run.start``, ``template_run.retry`` or ``template_run.resume``.
        retry_of: the id of the template run that it repeats.
        begin: reads where that one left off, unless the key is known: then that may be gone by now. None to begin at
            the first step.
    """
    with refusals.counted(asker.id):
        return _start_template(asker, name, inputs, ask, event, retry_of, begin)


def _start_template(
    asker: Identity,
    name: str,
    inputs: Mapping[str, Any],
    ask: Ask,
    event: str,
    retry_of: str | None,
    look_back: Callable[[], LeftOff] | None,
) -> Started:
    size = require_bounded([inputs, ask.secrets])
    key = _key(asker, [event, retry_of or name], "inputs", inputs, ask)
    if replay := known(asker, key):
        return replay
    begin = look_back() if look_back else None
    current = _startable(asker, name, event, begin)
    _look_first(size, asker, event, name)
    require_failing(ask.origin)
    template = begin.template if begin else current
    given = {**inputs, **ask.secrets}
    require_secret(ask.secrets, template.secret_names)
    require_good_secrets(given, template.secret_names)
    with masking_errors(given, template.secret_names):
        valid = validate_inputs(template, given, ask.left_empty)
    own = ask_requester(template, asker)
    kept = split_secrets(valid, template.secret_names, extension().config.secret_keys, about=ask.readable(), beside=own)
    course = Course(
        *(new_id(), template, kept.shown, asker.id, asker.name, ask.entity, begin.outputs if begin else {}),
        user_entity=entity_of_requester(template, asker),
    )
    due = _first_due(course, begin, current, {**_secrets_of(valid, template), **own})
    if due.position is not None:
        require_forges(needs_of_template(due.course, due.position))
    if begin:
        template_files.keep_on(template, current)
    else:
        template_files.keep(template)
    about = who_and_why(asker, ask)
    rows = NewTemplateRun.of(due, {**about, "secrets": kept.sealed, "retry_of": retry_of}, begin)
    return accept(
        Start(
            asker,
            event,
            template.name,
            TEMPLATE_RUN,
            key,
            rows.write,
            ask.origin,
            retry_of,
            end_at_once=None if rows.steps else rows.end,
            sealed=kept.sealed,
            asked_for=frozenset(own),
            seen=tuple(seen_of_template_run(template, about)),
            seen_retry=ask.seen_retry,
        )
    )


def _secrets_of(valid: Mapping[str, Any], template: Template) -> dict[str, Any]:
    return {name: value for name, value in valid.items() if name in template.secret_names}


def _first_due(course: Course, begin: LeftOff | None, current: Template, secrets: Mapping[str, Any]) -> Due:
    """What a run begins with. The list of a step may be made of secrets, which no error repeats.

    Raises:
        ListError, ConditionError: it cannot be worked out.
        ConflictError: of a resumed run.
        UnavailableError: the store of a resumed run's files does not answer.
    """
    with masking_errors(secrets, secrets.keys()):
        if begin:
            with as_unavailable():
                return first_due(begin, current, course, lambda: secrets)
        due = what_is_due(course, 0, lambda: secrets)
        if due.error:
            raise due.error
        return due


def _startable(asker: Identity, name: str, event: str, begin: LeftOff | None) -> Template:
    """The template of this name as it is now, for who may start it, and go on with it as it was."""
    access.require_known(
        asker,
        "template:run",
        no_template(name),
        read="template:read",
        exists=lambda: access.template_exists(name),
        event=event,
        target=name,
    )
    current = access.permitted_template(asker, extension().templates.get(name))
    if begin and access.permitted_template(asker, begin.template) is not begin.template:
        access.refuse(asker, "step:run", event=event, target=name)
    demands = {*access.demands_of_template(current), *(access.demands_of_template(begin.template) if begin else ())}
    access.require_demands(asker, sorted(demands), event=event, target=name)
    return current


def start_action(
    asker: Identity, action_id: str, data: Mapping[str, Any], ask: Ask, *, event: str, retry_of: str | None
) -> Started:
    """Start an action as a one-off, for somebody who has the permission for it as such.

    Args:
        asker: who asks; what the action demands is looked at here.
        action_id: the action's id, with its version.
        data: its input by field.
        ask: what accompanies the start.
        event: ``action_run.start`` or ``action_run.retry``.
        retry_of: the id of the action run that it repeats.
    """
    with refusals.counted(asker.id):
        return _start_action(asker, action_id, data, ask, event, retry_of)


def _start_action(
    asker: Identity, action_id: str, data: Mapping[str, Any], ask: Ask, event: str, retry_of: str | None
) -> Started:
    size = require_bounded([data, ask.secrets])
    parts = extension()
    key = _key(asker, [event, retry_of or action_id], "input", data, ask)
    if replay := known(asker, key):
        return replay
    access.require_known(
        asker,
        "action:run",
        no_action(action_id),
        read="action:read",
        exists=lambda: action_id in parts.registry,
        event=event,
        target=action_id,
    )
    action = parts.registry.get(action_id)
    access.require_demands(asker, access.demands_of_action(action), event=event, target=action_id)
    _look_first(size, asker, event, action_id)
    require_failing(ask.origin)
    given = {**data, **ask.secrets}
    require_secret(ask.secrets, action.secret_names())
    require_good_secrets(given, action.secret_names())
    with masking_errors(given, action.secret_names()):
        action.load_input(given)
    kept = split_secrets(given, action.secret_names(), parts.config.secret_keys, about=ask.readable())
    require_forges(needs_of_action(action, kept.shown))
    lock_key = lock_key_of(action, kept.shown)
    about = who_and_why(asker, ask)

    def write(tx: Transaction) -> ActionRun:
        if retry_of:
            existing.require_action_run(tx, retry_of)
        row = queue_first(
            tx,
            {
                "action": action.id,
                "queue": parts.config.queue_for(action.id, action.queue),
                "max_attempts": action.max_attempts,
                "input": kept.shown,
                "secrets": kept.sealed,
                "retry_of": retry_of,
                "lock_key": lock_key,
                **about,
            },
        )
        return queries.whole_action_run(tx, row)

    seen = tuple(seen_of_one_off(action.id, about))
    return accept(
        Start(
            asker,
            event,
            action.id,
            ACTION_RUN,
            key,
            write,
            ask.origin,
            retry_of,
            sealed=kept.sealed,
            seen=seen,
            seen_retry=ask.seen_retry,
        )
    )


def _look_first(size: Size, asker: Identity, event: str, target: str) -> None:
    """Refuse a large start before it is checked, when none is left: its checks cost more than this look."""
    if size.is_large:
        require_start_left(asker, event, target)


def _key(asker: Identity, asked: list[str], field: str, data: Mapping[str, Any], ask: Ask) -> IdempotencyKey | None:
    """What makes this request the same as another; raises ValidationError for what cannot be stored."""
    origin = asdict(ask.origin) if ask.origin else None
    require_storable({field: data, "secrets": ask.secrets, "entity": ask.entity, "origin": origin})
    # Only where there are any: a request that was sent before is still the same.
    empty = [sorted(map(str, ask.left_empty))] if ask.left_empty else []
    return idempotency_key(asker.id, ask.idempotency_key, [*asked, data, dict(ask.secrets), ask.entity, origin, *empty])
