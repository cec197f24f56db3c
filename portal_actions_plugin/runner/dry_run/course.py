"""Trying a template: each step's condition and input on what the steps before it would have made."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from marshmallow import Schema, fields

from portal_actions_plugin.actions.context import ActionContext, RunInfo
from portal_actions_plugin.actions.workspace import Workspace
from portal_actions_plugin.errors import ActionError, PortalActionsError, ValidationError, field_lines
from portal_actions_plugin.extension import extension
from portal_actions_plugin.hooks import asking
from portal_actions_plugin.http_client.guard import HttpRules
from portal_actions_plugin.runner.attempt.forges import open_forge
from portal_actions_plugin.runner.attempt.prepare import HandlerCall
from portal_actions_plugin.runner.dry_run.forge import RecordingForge
from portal_actions_plugin.runner.dry_run.hosts import (
    KeepingRecorder,
    RecordingCatalog,
    RecordingScorecards,
    RefusingRecorder,
    WouldWriteError,
    sender,
)
from portal_actions_plugin.runner.dry_run.made import MadeForge
from portal_actions_plugin.runner.dry_run.notes import DryRun, StepState, TriedStep, Writes
from portal_actions_plugin.runs.course import Course, Failure, with_secrets
from portal_actions_plugin.runs.forges.needs import needs_of_template
from portal_actions_plugin.runs.forges.requirements import require_forges
from portal_actions_plugin.runs.guards import access
from portal_actions_plugin.runs.secrets.redaction import Redactor
from portal_actions_plugin.runs.secrets.requester import ask_requester, entity_of_requester
from portal_actions_plugin.runs.secrets.sealing import masking_errors
from portal_actions_plugin.runs.secrets.token_shapes import MASK
from portal_actions_plugin.software_templates import items, step_rendering
from portal_actions_plugin.software_templates.items import Known
from portal_actions_plugin.software_templates.skeletons.files import read_skeleton
from portal_actions_plugin.software_templates.spec import validate_inputs
from portal_actions_plugin.storage.sessions import new_id

if TYPE_CHECKING:
    from portal_actions_plugin.actions.registry import Action
    from portal_actions_plugin.host import Identity
    from portal_actions_plugin.scm.provider import ScmProvider
    from portal_actions_plugin.software_templates.spec import Step, Template

OURS = "portal_actions_plugin.actions."
"""Where the actions are that reach nothing but what their context gives them."""

WAITS = frozenset({"debug.wait@v1", "debug:wait", "roadiehq:utils:sleep"})
"""Those that do nothing but wait."""


def dry_run(identity: Identity, template: Template, inputs: Mapping[str, Any], entity: str | None = None) -> DryRun:
    """Try a template on the real state. Nothing is written but temporary files of this process.

    Args:
        identity: as whom.
        template: whole.
        inputs: its parameters by name, secrets too.
        entity: that the run would be about.

    Raises:
        ValidationError: an input is wrong; each is named.
    """
    permitted = access.permitted_template(identity, template)
    with masking_errors(inputs, permitted.secret_names):
        valid = validate_inputs(permitted, inputs)
    with tempfile.TemporaryDirectory(prefix="portal-actions-dry-run-") as folder:
        return _Trial(identity, permitted, valid, entity, Workspace(Path(folder).resolve())).run()


class _Trial:
    def __init__(
        self, identity: Identity, template: Template, valid: Mapping[str, Any], entity: str | None, workspace: Workspace
    ) -> None:
        self._identity = identity
        self._template = template
        self._workspace = workspace
        self._writes = Writes()
        self._made: dict[str, MadeForge] = {}
        self._redactor = Redactor()
        self._lacks: list[str] = []
        secret = template.secret_names
        self._secrets = {name: value for name, value in valid.items() if name in secret}
        for value in (*self._secrets.values(), *extension().config.environment.secrets.values()):
            self._redactor.add(value)
        shown = {name: MASK if name in secret else value for name, value in valid.items()}
        self._course = Course(new_id(), template, shown, identity.id, identity.name, entity)

    def run(self) -> DryRun:
        self._look_at_permissions()
        self._collect(self._ask_host)
        steps = list(self._steps())
        self._collect(partial(self._require_forges, steps))
        output = self._redactor.data(self._course.output())
        return DryRun(self._template.name, self._template.version, tuple(self._lacks), tuple(steps), output)

    # -- what a start would ask for

    def _look_at_permissions(self) -> None:
        demands = [("template:run", self._template.name), *access.demands_of_template(self._template)]
        for permission, what in demands:
            if not access.allowed(self._identity, permission, what):
                self._lacks.append(f"{self._identity.id} lacks the permission {permission} for {what}")

    def _ask_host(self) -> None:
        entity = entity_of_requester(self._template, self._identity)
        self._course = replace(self._course, user_entity=entity)
        own = ask_requester(self._template, self._identity)
        for value in own.values():
            self._redactor.add(value)
        self._secrets = {**self._secrets, **own}

    def _require_forges(self, steps: list[TriedStep]) -> None:
        first = next((step.position for step in steps if step.state is not StepState.SKIPPED), None)
        if first is not None:
            require_forges(needs_of_template(replace(self._course, outputs={}, failure=None), first))

    def _collect(self, ask: Callable[[], None]) -> None:
        try:
            ask()
        except PortalActionsError as error:
            self._lacks.append(self._redactor.text(error.message))

    # -- the steps

    def _steps(self) -> Iterator[TriedStep]:
        position, count = 0, len(self._template.steps)
        while position < count:
            try:
                following = self._course.next_step(position)
            except step_rendering.ConditionError as error:
                following = error.position
                yield from self._passed(position, following)
                yield self._failed(following, error, {})
                position = following + 1
                continue
            yield from self._passed(position, count if following is None else following)
            if following is None:
                return
            once = self._template.steps[following].each is None
            yield from (self._once(following),) if once else self._items(following)
            position = following + 1

    def _passed(self, begin: int, end: int) -> Iterator[TriedStep]:
        state = StepState.NOT_REACHED if self._course.failure else StepState.SKIPPED
        for position in range(begin, end):
            yield self._tried(position, state)

    def _once(self, position: int) -> TriedStep:
        tried, outputs = self._try(position)
        if outputs is not None:
            self._course = self._course.after_success(tried.id, outputs)
        return tried

    def _items(self, position: int) -> Iterator[TriedStep]:
        """Each item of a step with ``each``; those after one that is refused are not reached."""
        step, course = self._template.steps[position], self._course
        made: list[Mapping[str, Any]] = []
        try:
            plain, most = course.context(), extension().config.max_items
            known = Known(plain, self._known(plain), self._secrets, course.failure is not None)
            found = items.work_out(self._template, position, known, most, lambda _data: None)
        except ValidationError as error:
            yield self._failed(position, error, {})
            return
        is_refused = False  # not asked of the course: an earlier step of this id may have failed
        for item in found:
            key = self._redactor.text(item.key)
            if is_refused:
                yield replace(self._tried(position, StepState.NOT_REACHED), item=key)
                continue
            if not item.runs:
                yield replace(self._tried(position, StepState.SKIPPED), item=key)
                continue
            self._course = course.at_item(item)
            tried, outputs = self._try(position)
            self._course = self._course.at_item(None)
            yield replace(tried, item=key)
            is_refused = outputs is None
            made += [] if outputs is None else [outputs]
        if not found:
            yield replace(self._tried(position, StepState.RUNS), says=("there is nothing to go through",))
        if not is_refused:
            self._course = course.after_items(step.id, made)

    def _try(self, position: int) -> tuple[TriedStep, Mapping[str, Any] | None]:
        """Call a step, or one item of it; with what it would give, None where it is refused."""
        step, shown = self._template.steps[position], dict[str, Any]()
        try:
            given = self._rendered(position)
            shown = self._masked(given, step)
            if step.action not in extension().registry:
                raise ValidationError(f"There is no action {step.action!r}: it is not installed.")
            action = extension().registry.get(step.action)
            action.load_input(given)
            if why_not := _why_not(action):
                tried = self._tried(position, StepState.NOT_TRIED)
                return replace(tried, input=shown, error=why_not), _made_up(action)
            outputs, warnings = self._call(step, action, given)
        except PortalActionsError as error:
            return self._failed(position, error, shown), None
        except WouldWriteError as error:
            return self._failed(position, ActionError(str(error)), shown), None
        except Exception as error:  # noqa: BLE001 a handler may be anybody's
            return self._failed(position, ActionError(f"{type(error).__name__}: {error}"), shown), None
        tried = self._tried(position, StepState.RUNS)
        return replace(tried, input=shown, writes=self._taken(), says=warnings), outputs

    def _rendered(self, position: int) -> dict[str, Any]:
        known, check = self._known(self._course.context()), self._course.status_check()
        return step_rendering.render_step_input(self._template, position, known, self._secrets, check)

    def _known(self, plain: Mapping[str, Any]) -> dict[str, Any]:
        return with_secrets(plain, self._secrets, dict(extension().config.environment.secrets))

    def _masked(self, given: Mapping[str, Any], step: Step) -> dict[str, Any]:
        registry = extension().registry
        secret = registry.get(step.action).secret_names() if step.action in registry else frozenset()
        shown = {name: MASK if name in secret else value for name, value in given.items()}
        return dict(self._redactor.data(shown))

    def _call(self, step: Step, action: Action, given: Mapping[str, Any]) -> tuple[Mapping[str, Any], tuple[str, ...]]:
        if action.id in WAITS:
            return {}, ("it would wait",)
        hooks, call = extension().hooks, HandlerCall(action, given, {})
        info = RunInfo(
            new_id(),
            action.id,
            1,
            1,
            self._identity.id,
            self._identity.name,
            step_id=step.id,
            template_run_id=self._course.run_id,
            template=self._template.name,
            entity=self._course.entity,
        )
        catalog = asking.catalog(hooks.catalog)
        ctx = ActionContext(
            run=info,
            recorder=KeepingRecorder(),
            make_scm=partial(self._forge, call),
            host_catalog=RecordingCatalog(catalog, self._writes) if catalog else None,
            host_scorecards=RecordingScorecards(self._writes) if hooks.scorecards else None,
            http=HttpRules.of(extension().config),
            read_skeleton=partial(read_skeleton, self._template),
            open_workspace=(lambda: self._workspace) if action.workspace else None,
            on_redact=self._redactor.add,
            ask_authorizer=lambda permission, target: access.allowed(self._identity, permission, target),
            reading=self._template.reading,
            forge_addresses=extension().config.forge_addresses,
            send=sender(self._writes),
        )
        outputs = action.run(ctx, given)
        return outputs, tuple(map(self._redactor.text, ctx.warnings))

    def _forge(self, call: HandlerCall, provider: str, ctx: ActionContext) -> ScmProvider:
        real = open_forge(call, provider, replace(ctx, recorder=RefusingRecorder()))
        forge: Any = RecordingForge(real, provider, self._writes, self._made.setdefault(provider, MadeForge()))
        return forge  # type: ignore[no-any-return]

    # -- what is told

    def _failed(self, position: int, error: Exception, shown: Mapping[str, Any]) -> TriedStep:
        said = error.message if isinstance(error, PortalActionsError) else str(error)
        hint = error.hint if isinstance(error, PortalActionsError) else ""
        fields = error.fields if isinstance(error, PortalActionsError) else {}
        code = error.code if isinstance(error, PortalActionsError) else "INTERNAL_ERROR"
        self._course = self._course.after_failure(self._template.steps[position].id, Failure(position, code))
        return replace(
            self._tried(position, StepState.REFUSED),
            input=shown,
            writes=self._taken(),
            error=self._redactor.text(said),
            hint=self._redactor.text(hint),
            # Some errors are those of a field: that is not said twice.
            says=tuple(self._redactor.text(line) for line in field_lines(fields) if said not in line),
        )

    def _taken(self) -> tuple[Any, ...]:
        return tuple(
            replace(one, target=self._redactor.text(one.target), details=self._redactor.data(dict(one.details)))
            for one in self._writes.take()
        )

    def _tried(self, position: int, state: StepState) -> TriedStep:
        step = self._template.steps[position]
        return TriedStep(position, step.id, step.name, step.action, state)


def _why_not(action: Action) -> str:
    """Why an action is not tried: empty when it reaches the outside by what its context gives, and by nothing else."""
    if action.handler.__module__.startswith(OURS):
        return ""
    return f"nobody knows what {action.id} would write: it is of another package. Later steps get made-up outputs of it"


def _made_up(action: Action) -> dict[str, Any]:
    """Outputs as an action's schema has them; a text says whose it is."""
    return _of_schema(action.output(), f"<output of {action.id}>") if action.output else {}


def _of_schema(schema: Schema, text: str) -> dict[str, Any]:
    return {field.data_key or name: _of_field(field, text) for name, field in schema.fields.items()}


def _of_field(field: fields.Field[Any], text: str) -> Any:
    if isinstance(field, fields.Nested):
        return _of_schema(field.schema, text)
    for kind, value in ((fields.Boolean, True), (fields.Number, 1), (fields.List, []), (fields.Mapping, {})):
        if isinstance(field, kind):
            return value
    return text
