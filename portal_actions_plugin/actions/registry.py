"""Declaring actions with ``@action``, and finding them: the registry has those of every module that entry points name."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from types import ModuleType
from typing import TYPE_CHECKING, Any, Literal

from marshmallow import EXCLUDE, Schema, fields
from marshmallow import ValidationError as SchemaError

from portal_actions_plugin.answers import drop, refuse_async
from portal_actions_plugin.errors import ConfigurationError, InternalError, NotFoundError, ValidationError
from portal_actions_plugin.field_messages import sentences
from portal_actions_plugin.scm.base import Operation

if TYPE_CHECKING:
    from portal_actions_plugin.actions.context import ActionContext

GROUP = "portal_actions.actions"
MAX_LOCK_KEY = 255
_VERSION = "@"
_ID = re.compile(r"[a-z][A-Za-z0-9]*(\.[a-z][A-Za-z0-9]*)*@v[1-9][0-9]*|[a-z][\w-]*(:[a-z][\w-]*)+", re.ASCII)
"""Ours, with a version; and Backstage's, which have none."""

Handler = Callable[..., Mapping[str, Any] | None]
WorkspaceUse = Literal["reads", "writes"]
Operations = tuple[Operation, ...] | Callable[[Mapping[str, Any]], Collection[Operation]]


@dataclass(frozen=True, slots=True)
class Action:
    """A versioned handler with a typed input.

    Attributes:
        id: ``name@version``, such as ``scm.createRepo@v1``; of Backstage's actions their name, such as ``fetch:template``.
        handler: called as ``handler(ctx, **loaded_input)``; returns the outputs.
        input: the marshmallow schema that validates the input and becomes the API's JSON Schema.
        output: the marshmallow schema of what the handler returns, which becomes the API's JSON Schema; None when there
            is nothing to promise.
        idempotent: whether a step whose worker died may simply be run again, or a function that says so of an input: it
            gets the input as it is given, without its secret fields.
        timeout: seconds after which an attempt is ended.
        max_attempts: how many times an action run may be tried.
        queue: which queue its steps go to, unless ``PORTAL_ACTIONS_QUEUES`` says otherwise.
        lock: a function of the input as it is given, without its secret fields, that names what only one run may
            write at a time; None locks nothing.
        permissions: demanded of the requester beyond ``action:run``.
        operations: what it asks of a forge, known before it runs, or a function that says so of an input: it gets what is
            known of the input then, without its secret fields, so that any field may be missing.
        workspace: whether its handler reads or writes the folder that a template run's steps share; None when it does
            without.
        forges: the kinds of forges that it is for, such as ``github``; all kinds where it names none.
    """

    id: str
    handler: Handler
    title: str
    description: str
    input: type[Schema]
    output: type[Schema] | None
    idempotent: bool | Callable[[Mapping[str, Any]], bool]
    timeout: float
    max_attempts: int
    queue: str
    lock: Callable[[Mapping[str, Any]], str | None] | None
    permissions: tuple[str, ...]
    operations: Operations = ()
    workspace: WorkspaceUse | None = None
    forges: tuple[str, ...] = ()

    @property
    def ignores_unknown_keys(self) -> bool:
        """Whether a key that its schema does not know is left out, as at home, and told of when a template is loaded."""
        return _VERSION not in self.id

    def load_input(self, data: Mapping[str, Any]) -> dict[str, Any]:
        """Validate an input.

        Args:
            data: as it was given, with the schema's ``data_key`` names; secrets too.

        Returns:
            What the handler is called with, by the names of its arguments.

        Raises:
            ValidationError: ``fields`` has the messages of every wrong field, nested as the input is.
        """
        schema = self.input()
        if self.ignores_unknown_keys:
            schema.unknown = EXCLUDE
        try:
            loaded: dict[str, Any] = schema.load(data)
        except SchemaError as error:
            said = sentences(error.messages)
            messages = said if isinstance(said, dict) else {"input": said}
            names = ", ".join(sorted(str(name) for name in messages))
            raise ValidationError(f"{self.id} cannot take this input: see {names}.", fields=messages) from None
        return loaded

    def secret_names(self) -> frozenset[str]:
        """The input's fields that are secret: ``load_only``, or with ``secret`` in their metadata."""
        return _secret_names(self.input)

    def needs_a_secret(self) -> bool:
        """Whether it cannot be run without a secret."""
        return any(field.required and _is_secret(field) for field in self.input().fields.values())

    def lock_key(self, data: Mapping[str, Any]) -> str | None:
        """What only one run may write at a time.

        Args:
            data: an input as it was given; its secret fields are left out before the action's function sees it.

        Returns:
            At most ``MAX_LOCK_KEY`` characters, a longer key as its SHA-256; None when nothing is locked.

        Raises:
            ConfigurationError: the action's function answers with something else than a text or None.
            Exception: whatever that function raises.
        """
        if self.lock is None:
            return None
        key: object = self.lock(self._open_part(data))
        if key is None:
            return None
        if not isinstance(key, str):
            drop(key)
            raise ConfigurationError(f"{self.id}: its lock answered with a {type(key).__name__}, not a text or None.")
        return key if len(key) <= MAX_LOCK_KEY else hashlib.sha256(key.encode()).hexdigest()

    def may_be_repeated(self, data: Mapping[str, Any]) -> bool:
        """Whether what was done with an input may be done again.

        Args:
            data: an input as it was given; its secret fields are left out before the action's function sees it.

        Raises:
            ConfigurationError: the action's function answers with something else than a bool.
            Exception: whatever that function raises.
        """
        if isinstance(self.idempotent, bool):
            return self.idempotent
        answer: object = self.idempotent(self._open_part(data))
        if not isinstance(answer, bool):
            drop(answer)
            raise ConfigurationError(f"{self.id}: its idempotent answered with a {type(answer).__name__}, not a bool.")
        return answer

    def operations_for(self, data: Mapping[str, Any]) -> frozenset[Operation]:
        """What it asks of a forge.

        Args:
            data: as much of an input as is known; its secret fields are left out before the action's function sees it.

        Raises:
            ConfigurationError: the action's function answers with something else than operations.
            Exception: whatever that function raises.
        """
        if isinstance(self.operations, tuple):
            return frozenset(self.operations)
        answer: object = self.operations(self._open_part(data))
        if not isinstance(answer, Collection) or not all(isinstance(one, Operation) for one in answer):
            drop(answer)
            raise ConfigurationError(f"{self.id}: its operations answered with something else than operations.")
        return frozenset(answer)

    def _open_part(self, data: Mapping[str, Any]) -> dict[str, Any]:
        secret = self.secret_names()
        return {name: value for name, value in data.items() if name not in secret}

    def run(self, ctx: ActionContext, data: Mapping[str, Any]) -> dict[str, Any]:
        """Validate an input, call the handler and return its outputs.

        Args:
            ctx: what the handler gets first.
            data: the input as it was given, secrets too.

        Returns:
            What the handler returned; nothing for None.

        Raises:
            ValidationError: a field of the input is wrong.
            InternalError: the handler returned something else than a mapping or None.
            Exception: whatever the handler raises.
        """
        outputs: object = self.handler(ctx, **self.load_input(data))
        if outputs is not None and not isinstance(outputs, Mapping):
            drop(outputs)
            raise InternalError(f"The handler of {self.id} returned a {type(outputs).__name__}, not a mapping or None.")
        return dict(outputs or {})


def action(
    action_id: str,
    *,
    title: str,
    input: type[Schema],  # noqa: A002 the word of actions.md, and of the API
    output: type[Schema] | None = None,
    description: str = "",
    idempotent: bool | Callable[[Mapping[str, Any]], bool] = False,
    timeout: float = 60,
    max_attempts: int = 3,
    queue: str = "default",
    lock: Callable[[Mapping[str, Any]], str | None] | None = None,
    permissions: tuple[str, ...] = (),
    operations: Operations = (),
    workspace: WorkspaceUse | None = None,
    forges: tuple[str, ...] = (),
) -> Callable[[Handler], Action]:
    """Declare an action: the decorated function is its handler, and its name becomes the ``Action``.

    Args:
        action_id: ``name@version``, such as ``scm.createRepo@v1``; or a name of Backstage's kind, such as
            ``fetch:template``.
        title: what pages call it.
        input: the marshmallow schema of its input, whose fields are the handler's arguments.
        output: the marshmallow schema of what the handler returns; None when there is nothing to promise.
        description: one sentence; by default the first line of the handler's docstring.
        idempotent: whether an attempt whose worker died may simply be made again, or a function that says so of an input.
        timeout: seconds after which an attempt is ended.
        max_attempts: how many times a run of it may be tried, the first one included.
        queue: which queue its runs go to, unless ``PORTAL_ACTIONS_QUEUES`` says otherwise.
        lock: a function of an input that names what only one run may write at a time; None locks nothing.
        permissions: demanded of the requester beyond ``action:run``.
        operations: what it asks of the forge that its input names, so that a credential which may not is known before
            anything runs; or a function that says so of as much of an input as is known.
        workspace: ``reads`` or ``writes`` when the handler uses ``ctx.workspace``: what it changes there is kept only
            for one that writes.
        forges: the kinds of forges that it is for, such as ``github``; left out for all kinds.

    Raises:
        ConfigurationError: the id is neither ``name@vN`` nor ``name:name``, a number is out of range, or a function is async.
    """
    if not _ID.fullmatch(action_id):
        raise ConfigurationError(
            f"{action_id!r} is not an action id: write it like scm.createRepo@v1 or fetch:template."
        )
    if timeout <= 0 or max_attempts < 1:
        raise ConfigurationError(f"{action_id}: timeout must be above 0 seconds and max_attempts at least 1.")

    for name, function in (("idempotent", idempotent), ("lock", lock), ("operations", operations)):
        refuse_async(function, f"{action_id}: its {name}")
    if isinstance(permissions, str):
        raise ConfigurationError(f"{action_id}: permissions is one text, and it takes a tuple: ({permissions!r},).")
    if nested := sorted(_nested_secrets(input())):
        raise ConfigurationError(f"{action_id}: a secret must be a field of its own, not inside {', '.join(nested)}.")

    def declare(handler: Handler) -> Action:
        refuse_async(handler, f"{action_id}: its handler")
        words = description or (handler.__doc__ or "").strip().partition("\n")[0]
        return Action(
            action_id,
            handler,
            title,
            words,
            input,
            output,
            idempotent,
            timeout,
            max_attempts,
            queue,
            lock,
            permissions,
            operations,
            workspace,
            forges,
        )

    return declare


@cache
def _secret_names(schema: type[Schema]) -> frozenset[str]:
    """Asked for several times in each run, and making a schema copies all of its fields."""
    return frozenset(field.data_key or name for name, field in schema().fields.items() if _is_secret(field))


def _is_secret(field: fields.Field[Any]) -> bool:
    return bool(field.load_only or field.metadata.get("secret"))


def _nested_secrets(schema: Schema) -> Iterator[str]:
    """The fields of a schema that hold a secret somewhere inside: only whole fields are encrypted."""
    for name, field in schema.fields.items():
        if not _is_secret(field) and any(map(_is_secret, _within(field, set()))):
            yield name


def _within(field: fields.Field[Any], seen: set[tuple[type[Schema], frozenset[str]]]) -> Iterator[fields.Field[Any]]:
    """The fields inside a field, at any depth. A schema may be nested in itself."""
    inside: list[Any] = []
    if isinstance(field, fields.List):
        inside = [field.inner]
    elif isinstance(field, fields.Tuple):
        inside = list(field.tuple_fields)
    elif isinstance(field, fields.Mapping):
        inside = [part for part in (field.key_field, field.value_field) if part]
    elif isinstance(field, fields.Nested):
        key = (type(field.schema), frozenset(field.schema.fields))
        inside = [] if key in seen else list(field.schema.fields.values())
        seen.add(key)
    for part in inside:
        yield part
        yield from _within(part, seen)


class Registry:
    """The actions that one app knows, by id. Refuses duplicates and says who registered first."""

    def __init__(self) -> None:
        self._actions: dict[str, Action] = {}
        self._registered_by: dict[str, str] = {}

    @classmethod
    def from_entry_points(cls) -> Registry:
        """Load every module of the entry point group; a broken one stops the start and is named."""
        registry = cls()
        for point in sorted(entry_points(group=GROUP), key=lambda point: (point.name, point.value)):
            registry.add_module(_load(point), _who(point))
        return registry

    def add_module(self, module: ModuleType, who: str) -> None:
        """Register every ``Action`` that a module holds; ``who`` brings it, and is named when an id is taken already."""
        for value in vars(module).values():
            if isinstance(value, Action):
                self.add(value, who)

    def add(self, declared: Action, who: str) -> None:
        """Register one action; ``who`` is named when its id is taken already."""
        if declared.id in self._actions:
            if self._actions[declared.id] is declared:
                return
            raise ConfigurationError(
                f"The action {declared.id} is registered twice: first by {self._registered_by[declared.id]}, "
                f"then by {who}. Remove one of them."
            )
        self._actions[declared.id] = declared
        self._registered_by[declared.id] = who

    def get(self, action_id: str) -> Action:
        """Find an action; raises NotFoundError."""
        try:
            return self._actions[action_id]
        except KeyError:
            raise no_action(action_id) from None

    def __contains__(self, action_id: object) -> bool:
        return action_id in self._actions

    def __iter__(self) -> Iterator[Action]:
        return iter(sorted(self._actions.values(), key=lambda declared: declared.id))


def no_action(action_id: str) -> NotFoundError:
    """The error for an action that is not there, or that somebody may not know of."""
    return NotFoundError(f"There is no action {action_id[:80]}.", hint="The list of actions has those that there are.")


def _who(point: EntryPoint) -> str:
    package = point.dist.name if point.dist else "an unknown package"
    return f"{package} (entry point {point.name} = {point.value})"


def _load(point: EntryPoint) -> ModuleType:
    try:
        loaded = point.load()
    except Exception as error:
        raise ConfigurationError(f"The actions of {_who(point)} cannot be loaded: {error!r}.") from error
    if not isinstance(loaded, ModuleType):
        raise ConfigurationError(f"The actions of {_who(point)} are not a module.")
    return loaded
