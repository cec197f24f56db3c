"""Who may do what. Pages, API, commands and the Python API all decide here."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import NoReturn

from portal_actions_plugin.actions.registry import Action
from portal_actions_plugin.errors import (
    NotFoundError,
    PermissionDeniedError,
    PortalActionsError,
    UnauthenticatedError,
)
from portal_actions_plugin.extension import extension
from portal_actions_plugin.hooks import asking
from portal_actions_plugin.host import Identity
from portal_actions_plugin.run_types import ActionRun, AuditEntry, TemplateRun
from portal_actions_plugin.runs import audit
from portal_actions_plugin.software_templates.spec import Template
from portal_actions_plugin.storage.sessions import transaction

Demand = tuple[str, str]
"""A permission that a template or an action demands, and which of them does."""


def allowed(identity: Identity | None, permission: str, target: object = None) -> bool:
    """Whether the identity has the permission: the host's authorizer decides, else the role table.

    Nobody has any while the setting asks for an authorizer and there is none.

    Args:
        identity: who asks.
        permission: such as ``template:run``.
        target: what for: None for a whole list and the navigation, the id of an action or the name of a template,
            the run itself, or ``audit``.
    """
    if identity is None:
        return False
    parts = extension()
    if parts.hooks.authorizer:
        return asking.may(parts.hooks.authorizer, identity, permission, target)
    if parts.config.require_authorizer:
        parts.say_that_nobody_may()
        return False
    roles = identity.roles or parts.config.default_roles
    return any(permission in parts.config.role_permissions.get(role, ()) for role in roles)


def decides_by_object() -> bool:
    """Whether the host decides about each run, action and template by itself: then some may be hidden from somebody."""
    return extension().hooks.authorizer is not None


def require_somebody(identity: Identity | None) -> Identity:
    """Let anybody through who is somebody; raises UnauthenticatedError."""
    if identity is None:
        raise UnauthenticatedError
    return identity


def require_read(identity: Identity | None, permission: str, target: object = None) -> Identity:
    """Let a reader through.

    Raises:
        UnauthenticatedError: nobody asks.
        PermissionDeniedError: names the permission that is missing.
    """
    if identity is None:
        raise UnauthenticatedError
    if not allowed(identity, permission, target):
        raise _denied(permission)
    return identity


def require(identity: Identity | None, permission: str, *, event: str, target: str) -> Identity:
    """Let somebody through who wants to change something; a denial leaves an audit row.

    Args:
        identity: who asks.
        permission: such as ``template:run``.
        event: one of ``audit_trail.EVENTS``, for the audit row.
        target: the template's name, the action's id or the run's id.

    Raises:
        UnauthenticatedError: nobody asks.
        PermissionDeniedError: names the permission that is missing.
    """
    if identity is None:
        raise UnauthenticatedError
    if not allowed(identity, permission, target):
        refuse(identity, permission, event=event, target=target)
    return identity


def require_start(
    identity: Identity | None, permission: str, *, read: str, exists: Callable[[], bool], event: str, target: str
) -> Identity:
    """Let somebody through who may start what is named so, or may not know whether there is such a thing.

    Whoever starts it looks once more, and then says that there is none: to those who may not know, a name that the host
    hides and one that nothing has must be the same.

    Args:
        identity: who asks.
        permission: ``template:run`` or ``action:run``.
        read: the permission that knowing of it takes.
        exists: tells whether there is such a thing; asked where the host decides about each, since it may take a while.
        event: one of ``audit_trail.EVENTS``, for the audit row of a denial.
        target: the template's name or the action's id.

    Raises:
        UnauthenticatedError: nobody asks.
        PermissionDeniedError: names the permission that is missing.
    """
    asker = require_somebody(identity)
    if decides_by_object() and allowed(asker, read) and not (allowed(asker, read, target) and exists()):
        return asker
    return require(asker, permission, event=event, target=target)


def require_known(
    asker: Identity,
    permission: str,
    error: NotFoundError,
    *,
    read: str,
    exists: Callable[[], bool],
    event: str,
    target: str,
) -> None:
    """Refuse to start what the host hides just as what is not there, and leave the same audit row.

    Args:
        asker: who asks.
        permission: ``template:run`` or ``action:run``.
        error: says that there is none.
        read: the permission that knowing of it takes.
        exists: tells whether there is such a thing; asked where the host decides about each, since it may take a while.
        event: one of ``audit_trail.EVENTS``.
        target: the template's name or the action's id.

    Raises:
        NotFoundError: the given one.
    """
    if not decides_by_object():
        return
    if hides(asker, read, target) or not allowed(asker, permission, target) or not exists():
        refuse_unseen(asker, read, error, event=event, target=target)


def require_reader(identity: Identity | None, permission: str, *, event: str, target: str) -> Identity:
    """Let somebody through who wants to change a run and may read such runs; which one is asked once it is known.

    Raises:
        UnauthenticatedError: nobody asks.
        PermissionDeniedError: names the permission that is missing; the denial is in the audit.
    """
    asker = require_somebody(identity)
    if not allowed(asker, permission):
        refuse(asker, permission, event=event, target=target)
    return asker


def hides(identity: Identity | None, permission: str, target: object) -> bool:
    """Whether the host keeps this one from somebody who may read others: it does not exist for them."""
    return allowed(identity, permission) and not allowed(identity, permission, target)


def require_demands(asker: Identity, demands: Iterable[Demand], *, event: str, target: str) -> None:
    """Let somebody through who has all that is demanded; a denial leaves an audit row. Raises PermissionDeniedError."""
    for permission, what in demands:
        if not allowed(asker, permission, what):
            refuse(asker, permission, event=event, target=target)


def require_again(identity: Identity | None, run: ActionRun | TemplateRun, *, event: str, target: str) -> Identity:
    """Let somebody through who may start this very run again; what is started may demand more.

    Raises:
        UnauthenticatedError: nobody asks.
        PermissionDeniedError: names the permission that is missing; the denial is in the audit.
    """
    permission = run_permission(run)
    asker = require_start(
        identity, permission, read=read_permission(run), exists=lambda: _is_there(run), event=event, target=target
    )
    if not allowed(asker, permission, run):
        refuse(asker, permission, event=event, target=run.id)
    return asker


def demands_of_action(action: Action) -> list[Demand]:
    """What an action demands of the requester beyond ``action:run``."""
    return sorted((permission, action.id) for permission in set(action.permissions))


def demands_of_template(template: Template) -> list[Demand]:
    """What a template demands beyond ``template:run``: its own permissions, and those of the actions of its steps."""
    registry = extension().registry
    own = {(permission, template.name) for permission in template.permissions}
    actions = [registry.get(step.action) for step in template.steps if step.action in registry]
    return sorted(own.union(*map(demands_of_action, actions)))


def _is_there(run: ActionRun | TemplateRun) -> bool:
    """Whether what a run executed is still there, whole or broken."""
    parts = extension()
    return template_exists(run.template) if isinstance(run, TemplateRun) else run.action in parts.registry


def template_exists(name: str) -> bool:
    """Whether there is a template of this name, whole or broken."""
    try:
        extension().templates.get(name)
    except NotFoundError:
        return False
    except PortalActionsError:
        return True
    return True


def has_all(identity: Identity | None, demands: Iterable[Demand]) -> bool:
    """Whether the identity has all that is demanded."""
    return all(allowed(identity, permission, what) for permission, what in demands)


def require_audit(identity: Identity | None) -> Identity:
    """Let somebody through who wants to read the audit.

    Raises:
        UnauthenticatedError: nobody asks.
        PermissionDeniedError: the permission ``audit:read`` is missing; the denial is in the audit.
    """
    return require(identity, "audit:read", event="audit.read", target="audit")


def refuse(identity: Identity, permission: str, *, event: str, target: str) -> NoReturn:
    """Leave the audit row of a denial and raise PermissionDeniedError."""
    _refuse(AuditEntry(identity.id, event, audit.DENIED, target), permission)


def refuse_cancel(identity: Identity, run: ActionRun | TemplateRun, *, event: str) -> NoReturn:
    """Leave the audit row of a denied cancel and raise PermissionDeniedError."""
    whole = run.id if isinstance(run, TemplateRun) else run.template_run_id
    _refuse(AuditEntry(identity.id, event, audit.DENIED, run.id, run.id, whole), "run:cancel-any")


def refuse_unseen(identity: Identity, permission: str, error: NotFoundError, *, event: str, target: str) -> NoReturn:
    """Leave the audit row of a denial, and raise an error that says that there is no such thing: the host hides it."""
    _leave_row(AuditEntry(identity.id, event, audit.DENIED, target), permission)
    raise error


def _refuse(entry: AuditEntry, permission: str) -> NoReturn:
    _leave_row(entry, permission)
    raise _denied(permission)


def _leave_row(entry: AuditEntry, permission: str) -> None:
    with transaction("refuse") as tx:
        audit.record_refusal(tx, replace(entry, details={"permission": permission}))


def _denied(permission: str) -> PermissionDeniedError:
    return PermissionDeniedError(f"You need the permission {permission} for this.")


def read_permission(run: ActionRun | TemplateRun) -> str:
    """The permission that reading such a run takes."""
    return "template:read" if isinstance(run, TemplateRun) else "action:read"


def run_permission(run: ActionRun | TemplateRun) -> str:
    """The permission that starting such a run takes."""
    return "template:run" if isinstance(run, TemplateRun) else "action:run"


def may_cancel(identity: Identity | None, run: ActionRun | TemplateRun) -> bool:
    """Whether the identity may cancel this run: its own, or anybody's with ``run:cancel-any``."""
    if identity is None:
        return False
    own = identity.id == run.requested_by and allowed(identity, run_permission(run), run)
    return own or allowed(identity, "run:cancel-any", run)


def permitted_template(identity: Identity | None, template: Template) -> Template:
    """A template as it is for somebody: without the tagged pages, parameters and steps that they may not have."""
    return template.without(
        frozenset(place for place, part in template.tagged if not allowed(identity, part.permission, part))
    )
